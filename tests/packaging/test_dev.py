"""What packaging/dev.py promises: set up once, go on after an interruption, bring what is missing, run every check."""

import ast
import importlib.util
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "packaging" / "dev.py"
VERSION = str(sys.version_info[:2])

LDD = """\
\tlinux-vdso.so.1 (0x00007ffd0d1f2000)
\tlibQt6Gui.so.6 => /a folder/PySide6/Qt/lib/libQt6Gui.so.6 (0x00007f3b5a000000)
\tlibxcb-icccm.so.4 => not found
\tlibEGL.so.1 => not found
\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f3b59c00000)
\t/lib64/ld-linux-x86-64.so.2 (0x00007f3b5b0f5000)
"""
APT_POLICY = """\
{}:
  Installed: (none)
  Candidate: 1.0-1
  Version table:
"""


class Machine:
    """Stands for the programs that dev.py starts: the answer to the first fragment found in a command, or success."""

    def __init__(self):
        self.asked = []
        self.answers = {}

    def __call__(self, command):
        line = " ".join(map(str, command))
        self.asked.append(line)
        answer = next((answer for part, answer in self.answers.items() if part in line), "")
        if callable(answer):
            answer = answer(line)
        status, words = answer if isinstance(answer, tuple) else (0, answer)
        return subprocess.CompletedProcess(command, status, words)

    def were_asked(self, part):
        return [line for line in self.asked if part in line]


def load(path):
    spec = importlib.util.spec_from_file_location("dev", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def dev(tmp_path, monkeypatch):
    """dev.py in a project of its own."""
    project = tmp_path / "project"
    (project / "packaging").mkdir(parents=True)
    (project / "pyproject.toml").write_text("[project]\n")
    (project / "packaging" / "constraints.txt").write_text("torch==2.13.0\n")
    module = load(shutil.copy(SOURCE, project / "packaging"))
    monkeypatch.setattr(module.sys, "platform", "linux")
    return module


@pytest.fixture
def machine(dev, monkeypatch):
    """A Debian where everything works, used by root: `python -m venv` makes a .venv, and nothing is missing."""

    def make_venv(line):
        shutil.rmtree(dev.VENV, ignore_errors=True)
        dev.SCRIPTS.mkdir(parents=True)
        dev.PYTHON.touch()
        (dev.VENV / "pyvenv.cfg").write_text(f"home = /usr/bin\ncommand = /usr/bin/python3 -m venv {dev.VENV}\n")
        return ""

    machine = Machine()
    machine.answers = {"-m venv": make_venv, "import pip": VERSION}
    monkeypatch.setattr(dev, "captured", machine)
    monkeypatch.setattr(dev.os, "geteuid", lambda: 0, raising=False)
    monkeypatch.setattr(dev.platform, "freedesktop_os_release", lambda: {"ID": "debian"})
    monkeypatch.setattr(dev.subprocess, "call", lambda command, **rest: pytest.fail(f"started {command}"))
    monkeypatch.setattr(dev.shutil, "which", lambda name: name)
    return machine


def on(dev, monkeypatch, **release):
    monkeypatch.setattr(dev.platform, "freedesktop_os_release", lambda: release)


# ---- old Pythons


def test_an_old_python_can_parse_the_file():
    ast.parse(SOURCE.read_text(encoding="utf-8"), feature_version=(3, 7))


def test_an_old_python_is_told_so_in_one_line(monkeypatch, capsys):
    with monkeypatch.context() as old:
        old.setattr(sys, "version_info", (3, 10, 4))
        with pytest.raises(SystemExit) as stop:
            load(SOURCE)
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "needs Python 3.11 or newer" in said


# ---- set-up


def test_a_second_set_up_starts_no_program(dev, machine):
    dev.set_up(False, "offscreen")
    assert len(machine.were_asked("pip install")) == 1
    machine.asked.clear()
    dev.set_up(False, "offscreen")
    assert machine.asked == []


def test_pip_gets_the_constraints_and_the_extra_of_the_tests(dev, machine):
    dev.set_up(True, "offscreen")
    (pip,) = machine.were_asked("pip install")
    assert f"-c {Path('packaging', 'constraints.txt')} -e .[test]" in pip


@pytest.mark.parametrize("file", ["pyproject.toml", "packaging/constraints.txt"])
def test_a_changed_requirement_is_installed_again(dev, machine, file):
    dev.set_up(False, "offscreen")
    (dev.ROOT / file).write_text("# changed\n")
    dev.set_up(False, "offscreen")
    assert len(machine.were_asked("pip install")) == 2
    assert len(machine.were_asked("-m venv")) == 1


def test_the_tests_need_more_than_a_run_and_a_run_no_more_than_the_tests(dev, machine):
    dev.set_up(False, "offscreen")
    dev.set_up(True, "offscreen")
    assert len(machine.were_asked("pip install")) == 2
    dev.set_up(False, "offscreen")
    assert len(machine.were_asked("pip install")) == 2


@pytest.mark.parametrize("fault", ["no python", "no pip", "another version", "moved"])
def test_a_venv_that_cannot_serve_is_made_anew(dev, machine, fault):
    machine.answers["-m venv"]("")
    if fault == "no python":
        machine.answers["import pip"] = lambda line: (0, VERSION) if dev.PYTHON.exists() else (127, "not found")
        dev.PYTHON.unlink()
    elif fault == "no pip":
        machine.answers["import pip"] = (1, "ModuleNotFoundError: No module named 'pip'")
    elif fault == "another version":
        machine.answers["import pip"] = "(3, 5)"
    else:
        (dev.VENV / "pyvenv.cfg").write_text("command = /usr/bin/python3 -m venv /elsewhere/.venv\n")
    dev.set_up(False, "offscreen")
    assert len(machine.were_asked("-m venv --clear")) == 1


def test_a_sound_venv_without_a_finished_set_up_is_kept(dev, machine):
    machine.answers["-m venv"]("")
    dev.set_up(False, "offscreen")
    assert machine.were_asked("-m venv") == []
    assert len(machine.were_asked("pip install")) == 1


def test_an_interrupted_set_up_says_so_and_goes_on(dev, machine, monkeypatch, capsys):
    def interrupt(line):
        raise KeyboardInterrupt

    machine.answers["pip install"] = interrupt
    assert dev.main(["test"]) == 130
    assert capsys.readouterr().err.strip() == ("Interrupted: run the same command again, it goes on where it stopped.")
    del machine.answers["pip install"]
    machine.asked.clear()
    monkeypatch.setattr(dev.subprocess, "call", lambda command, **rest: 0)
    assert dev.main(["test"]) == 0
    assert len(machine.were_asked("pip install")) == 1
    assert machine.were_asked("-m venv") == []


def test_a_requirement_changed_back_after_a_failure_is_installed_again(dev, machine):
    dev.set_up(False, "offscreen")
    before = dev.CONSTRAINTS.read_text()
    dev.CONSTRAINTS.write_text("torch==99\n")
    machine.answers["pip install"] = (1, "half done")
    with pytest.raises(SystemExit):
        dev.set_up(False, "offscreen")
    dev.CONSTRAINTS.write_text(before)
    machine.answers["pip install"] = ""
    dev.set_up(False, "offscreen")
    assert len(machine.were_asked("pip install")) == 3


def test_what_an_interrupted_pip_left_is_not_taken_for_installed(dev, machine):
    whole, half, going = (dev.SITE_PACKAGES / f"{name}.dist-info" for name in ("numpy-1", "torch-2", "~cipy-1"))
    for folder in (whole, half, going):
        folder.mkdir(parents=True)
        (folder / "METADATA").touch()
    (whole / "INSTALLER").write_text("pip\n")
    (going / "INSTALLER").write_text("pip\n")
    dev.install(False)
    assert list(dev.SITE_PACKAGES.iterdir()) == [whole]


def test_when_pip_fails_its_last_words_and_one_advice_are_shown(dev, machine):
    machine.answers["pip install"] = (1, "first\n" * 100 + "ERROR: No space left on device")
    with pytest.raises(SystemExit) as stop:
        dev.set_up(False, "offscreen")
    words = stop.value.code.splitlines()
    assert len(words) == 16
    assert words[-2] == "ERROR: No space left on device"
    assert "Check the network and the free disk space" in words[-1]
    assert not dev.STAMP.exists()


# ---- Qt's system libraries


def test_ldd_names_every_library_and_where_it_is(dev, machine):
    machine.answers["ldd"] = LDD
    assert dev.linked("plugin") == {
        "libQt6Gui.so.6": "/a folder/PySide6/Qt/lib/libQt6Gui.so.6",
        "libxcb-icccm.so.4": None,
        "libEGL.so.1": None,
        "libc.so.6": "/lib/x86_64-linux-gnu/libc.so.6",
    }


def test_what_the_loader_and_ldd_miss_is_found_at_once(dev, machine):
    machine.answers["ctypes"] = (1, "OSError: libGL.so.1: cannot open shared object file: No such file or directory")
    machine.answers["ldd"] = LDD
    assert dev.missing_libraries("plugin") == {"libGL.so.1", "libEGL.so.1", "libxcb-icccm.so.4"}


def test_qt_that_fails_for_another_reason_is_reported(dev, machine):
    machine.answers["ctypes"] = (1, "ImportError: /lib/libc.so.6: version `GLIBC_2.99' not found")
    with pytest.raises(SystemExit, match=r"GLIBC_2\.99"):
        dev.missing_libraries("plugin")


def without_ldd(dev, machine, monkeypatch, *sonames):
    """Let Qt miss these libraries, told one at a time, each until its package is installed."""
    monkeypatch.setattr(dev.shutil, "which", lambda name: None)
    missing = list(sonames)

    def load_plugin(line):
        return (1, f"{missing[0]}: cannot open shared object file: No such file or directory") if missing else ""

    machine.answers |= {"ctypes": load_plugin, "apt-get install": lambda line: missing.pop(0) and ""}


def test_root_on_debian_gets_one_library_after_the_other(dev, machine, monkeypatch):
    without_ldd(dev, machine, monkeypatch, "libEGL.so.1", "libxcb-cursor.so.0")
    dev.bring_qt_libraries("xcb")
    installs = machine.were_asked("apt-get install")
    assert [line.split()[-1] for line in installs] == ["libegl1", "libxcb-cursor0"]
    assert machine.asked.index("apt-get update") < machine.asked.index(installs[0])


def test_a_library_that_stays_missing_ends_the_set_up_and_pip_need_not_run_again(dev, machine):
    machine.answers["ctypes"] = (1, "libEGL.so.1: cannot open shared object file")
    for _ in range(2):
        with pytest.raises(SystemExit, match="still Qt does not find them"):
            dev.set_up(False, "xcb")
    assert len(machine.were_asked("apt-get install")) == 2
    assert len(machine.were_asked("pip install")) == 1


def test_a_library_removed_after_the_set_up_is_noticed(dev, machine, tmp_path):
    library = tmp_path / "libEGL.so.1"
    library.touch()
    machine.answers["ldd"] = f"\tlibEGL.so.1 => {library} (0x00007f3b59c00000)\n"
    dev.set_up(False, "xcb")
    machine.asked.clear()
    dev.set_up(False, "xcb")
    assert machine.asked == []
    library.unlink()
    dev.set_up(False, "xcb")
    assert len(machine.were_asked("ctypes")) == 1


def test_each_display_is_looked_at_once(dev, machine):
    for kind in ("offscreen", "xcb", "offscreen", "xcb"):
        dev.set_up(False, kind)
    assert len(machine.were_asked("ctypes")) == 2
    assert machine.were_asked("ctypes")[-1].endswith("libqxcb.so")


def command_for(dev, monkeypatch, sonames):
    """Return the lines, among the words told to one who is not root, that are commands."""
    monkeypatch.setattr(dev.os, "geteuid", lambda: 1000, raising=False)
    manager = dev.package_manager()
    with pytest.raises(SystemExit) as stop:
        dev.system_install(manager, dev.qt_packages(manager, sonames), "Qt needs them.")
    return [line.strip() for line in stop.value.code.splitlines() if "sudo" in line]


def test_one_who_is_not_root_is_told_exactly_one_command(dev, machine, monkeypatch):
    machine.answers["apt-cache"] = "".join(map(APT_POLICY.format, ["libegl1", "libxcb-cursor0", "libglib2.0-0"]))
    sonames = {"libEGL.so.1", "libxcb-cursor.so.0", "libglib-2.0.so.0", "libgthread-2.0.so.0"}
    assert command_for(dev, monkeypatch, sonames) == [
        "sudo apt-get install -y --no-install-recommends libegl1 libglib2.0-0 libxcb-cursor0"
    ]
    assert machine.were_asked("apt-get") == []


def test_the_name_that_this_release_knows_is_asked_for(dev, machine, monkeypatch):
    machine.answers["apt-cache"] = (
        "libglib2.0-0:\n  Installed: (none)\n  Candidate: (none)\n  Version table:\n"
        + APT_POLICY.format("libglib2.0-0t64")
        + APT_POLICY.format("libegl1")
    )
    (command,) = command_for(dev, monkeypatch, {"libEGL.so.1", "libglib-2.0.so.0"})
    assert command.split()[-2:] == ["libegl1", "libglib2.0-0t64"]


def test_an_apt_that_knows_no_packages_yet_is_refreshed_first(dev, machine, monkeypatch):
    (command,) = command_for(dev, monkeypatch, {"libEGL.so.1"})
    assert command == "sudo apt-get update && sudo apt-get install -y --no-install-recommends libegl1"


@pytest.mark.parametrize(
    ("release", "command"),
    [
        ({"ID": "fedora"}, "sudo dnf install -y 'libxcb-icccm.so.4()(64bit)'"),
        ({"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, "sudo dnf install -y 'libxcb-icccm.so.4()(64bit)'"),
        (
            {"ID": "opensuse-tumbleweed", "ID_LIKE": "opensuse suse"},
            "sudo zypper install -y 'libxcb-icccm.so.4()(64bit)'",
        ),
        ({"ID": "manjaro", "ID_LIKE": "arch"}, "sudo pacman -S --needed --noconfirm xcb-util-wm"),
    ],
)
def test_other_systems_are_told_a_command_of_their_own(dev, machine, monkeypatch, release, command):
    on(dev, monkeypatch, **release)
    assert command_for(dev, monkeypatch, {"libxcb-icccm.so.4"}) == [command]


def test_a_library_of_no_known_package_is_named(dev, machine):
    with pytest.raises(SystemExit, match=r"'apt-file search libodd\.so\.3'"):
        dev.qt_packages("apt-get", {"libEGL.so.1", "libodd.so.3"})


def test_an_unknown_system_is_told_what_is_missing(dev, machine, monkeypatch):
    on(dev, monkeypatch, ID="plan9")
    machine.answers["ctypes"] = (1, "libEGL.so.1: cannot open shared object file")
    with pytest.raises(SystemExit, match=r"missing here: libEGL\.so\.1"):
        dev.bring_qt_libraries("xcb")


# ---- a Python without venv


def test_root_on_debian_gets_the_venv_of_this_very_python(dev, machine, monkeypatch):
    lacking = ["ensurepip"]
    package = f"python3.{sys.version_info[1]}-venv"
    monkeypatch.setattr(dev, "missing_modules", lambda: list(lacking))
    machine.answers["apt-cache"] = APT_POLICY.format(package) + APT_POLICY.format("python3-venv")
    machine.answers["apt-get install"] = lambda line: lacking.clear() or ""
    dev.set_up(False, "offscreen")
    assert machine.were_asked("apt-get install")[0].split()[-1] == package
    assert dev.STAMP.exists()


def test_one_who_is_not_root_is_told_how_to_get_venv(dev, machine, monkeypatch):
    monkeypatch.setattr(dev, "missing_modules", lambda: ["ensurepip"])
    monkeypatch.setattr(dev.os, "geteuid", lambda: 1000, raising=False)
    machine.answers["apt-cache"] = APT_POLICY.format("python3-venv")
    with pytest.raises(SystemExit) as stop:
        dev.set_up(False, "offscreen")
    assert "lacks ensurepip" in stop.value.code
    assert stop.value.code.rstrip().endswith("\n  sudo apt-get install -y --no-install-recommends python3-venv")


# ---- display or none


@pytest.fixture
def no_display(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)


def test_a_window_opens_only_where_a_display_answers(dev, no_display, monkeypatch):
    assert dev.display_kind() == "offscreen"
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("DISPLAY", f"127.0.0.1:{server.getsockname()[1] - 6000}.0")
        assert dev.display_kind() == "xcb"
        monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
        assert dev.display_kind() == "offscreen"
    monkeypatch.delenv("QT_QPA_PLATFORM")
    assert dev.display_kind() == "offscreen"


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="Wayland listens on a Unix socket")
def test_wayland_comes_first_as_it_does_for_qt(dev, no_display, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # for a path short enough for a socket
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    monkeypatch.setattr(dev, "x_answers", lambda display: True)
    assert dev.display_kind() == "xcb"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("wayland-0")
        server.listen()
        assert dev.display_kind() == "wayland"
    monkeypatch.setenv("WAYLAND_DISPLAY", "far/" * 100)
    assert dev.display_kind() == "xcb"


def test_a_mac_and_windows_have_a_display(dev, no_display, monkeypatch):
    for name in ("darwin", "win32"):
        monkeypatch.setattr(dev.sys, "platform", name)
        assert dev.display_kind() == "native"


@pytest.fixture
def started(dev, machine, monkeypatch, tmp_path):
    """The arguments of the programs that the user sees, each of which succeeds."""
    commands = []
    monkeypatch.setattr(dev.subprocess, "call", lambda command, **rest: commands.append(command[1:]) or 0)
    monkeypatch.setattr(dev.os, "execv", lambda program, command: commands.append(["exec", *command[1:]]) or 0)
    monkeypatch.setenv("QT_QPA_PLATFORM", "")
    monkeypatch.chdir(tmp_path)
    return commands


def test_without_a_display_the_same_job_is_done_off_screen(dev, started, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(dev, "display_kind", lambda: "offscreen")
    assert dev.main(["run"]) == 0
    table, picture = tmp_path / "results" / "digits.csv", tmp_path / "results" / "window.png"
    assert started == [
        ["-m", "ngexplorer", "run", "digits", "--out", str(table.parent)],
        ["-m", "ngexplorer", "shot", "digits", "--out", str(picture)],
    ]
    assert dev.os.environ["QT_QPA_PLATFORM"] == "offscreen"
    said = capsys.readouterr().out
    assert "No display here" in said
    assert said.count(" ...\n") == len(started), "a word before each of what takes minutes"
    assert str(table) in said
    assert str(picture) in said


def test_an_off_screen_job_that_fails_ends_with_its_status(dev, started, monkeypatch, capsys):
    monkeypatch.setattr(dev, "display_kind", lambda: "offscreen")
    monkeypatch.setattr(dev.subprocess, "call", lambda command, **rest: 3)
    assert dev.main(["run"]) == 3
    assert "window.png" not in capsys.readouterr().out


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot replace a process by another")
def test_with_a_display_the_app_takes_over_and_gets_the_arguments(dev, started, monkeypatch):
    monkeypatch.setattr(dev, "display_kind", lambda: "xcb")
    dev.main(["run", "explore", "--theme", "dark"])
    assert started == [["exec", "-m", "ngexplorer", "explore", "--theme", "dark"]]


# ---- checks


def run_checks(dev, monkeypatch, failing=()):
    """Return the exit status of `test -x` and the checks that ran, where these fail."""
    ran = []

    def call(command, cwd, env):
        assert cwd == dev.ROOT
        assert env["QT_QPA_PLATFORM"] == "offscreen"
        name = next(name for name, known in dev.checks(["-x"]).items() if known == command)
        ran.append(name)
        return int(name in failing)

    monkeypatch.setattr(dev.subprocess, "call", call)
    return dev.main(["test", "-x"]), ran


ALL_CHECKS = ["ruff check", "ruff format --check", "mypy", "lint-imports", "pytest"]


@pytest.mark.parametrize("failing", [[], *([name] for name in ALL_CHECKS), ["mypy", "pytest"]], ids=", ".join)
def test_every_check_runs_in_order_and_any_failure_counts(dev, machine, monkeypatch, capsys, failing):
    assert run_checks(dev, monkeypatch, failing) == (1 if failing else 0, ALL_CHECKS)
    verdict = capsys.readouterr().out.splitlines()[-1]
    assert verdict.startswith("pytest")
    assert verdict.endswith(f"failed: {', '.join(failing)}" if failing else "all checks passed")


def test_the_other_checks_are_summed_up_before_pytest_speaks(dev, machine, monkeypatch, capsys):
    def call(command, **rest):
        if command == ["pytest"]:
            print("7 passed in 0.1s")
        return int(command == ["mypy"])

    monkeypatch.setattr(dev, "checks", lambda arguments: {"mypy": ["mypy"], "pytest": ["pytest"]})
    monkeypatch.setattr(dev.subprocess, "call", call)
    dev.main(["test"])
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line]
    summary = next(i for i, line in enumerate(lines) if line[:2] == ["mypy", "FAILED"])
    assert summary < lines.index(["7", "passed", "in", "0.1s"]) == len(lines) - 2


@pytest.mark.parametrize(("arguments", "status"), [([], 2), (["rum"], 2), (["--help"], 0)])
def test_anything_else_shows_how_to_use_it(dev, machine, capsys, arguments, status):
    assert dev.main(arguments) == status
    assert "packaging/dev.py run" in capsys.readouterr().out
    assert machine.asked == []


def test_tests_that_are_named_run_in_one_process(dev):
    assert dev.checks(["-x", "tests/runs"])["pytest"][-2:] == ["-x", "tests/runs"]
    assert dev.checks([])["pytest"][-len(dev.SIDE_BY_SIDE) :] == dev.SIDE_BY_SIDE


# ---- the test on a screen


def without_a_screen(dev, machine, monkeypatch):
    """Xvfb and openbox are missing; apt knows them and installs them."""
    here = {"xdotool"}
    monkeypatch.setattr(dev.shutil, "which", lambda name: name if name in here or name not in dev.SCREEN else None)
    machine.answers |= {
        "apt-cache": "".join(map(APT_POLICY.format, dev.SCREEN.values())),
        "apt-get install": lambda line: (here.update(dev.SCREEN), "")[1],
    }


def test_root_on_debian_gets_a_screen_for_the_tests_once(dev, machine, monkeypatch):
    without_a_screen(dev, machine, monkeypatch)
    for _ in range(2):
        run_checks(dev, monkeypatch)
    (install,) = machine.were_asked("apt-get install")
    assert install.split()[-2:] == ["xvfb", "openbox"]
    assert machine.were_asked("ctypes")[-1].endswith("libqxcb.so"), "and what Qt needs to draw on it"


def test_one_who_is_not_root_is_told_how_to_have_a_screen_and_the_checks_go_on(dev, machine, monkeypatch, capsys):
    without_a_screen(dev, machine, monkeypatch)
    monkeypatch.setattr(dev.os, "geteuid", lambda: 1000, raising=False)
    assert run_checks(dev, monkeypatch) == (0, ALL_CHECKS)
    words = capsys.readouterr().out
    assert "sudo apt-get install -y --no-install-recommends xvfb openbox\n" in words
    assert "that test is skipped" in words and machine.were_asked("apt-get") == []


def test_a_network_that_is_down_costs_a_screen_and_not_the_checks(dev, machine, monkeypatch, capsys):
    without_a_screen(dev, machine, monkeypatch)
    machine.answers["apt-get install"] = (100, "E: Temporary failure resolving 'packages.example'")
    for _ in range(2):
        assert run_checks(dev, monkeypatch) == (0, ALL_CHECKS)
    assert len(machine.were_asked("apt-get install")) == 1, "nobody waits for it a second time"
    words = capsys.readouterr().out
    assert "Temporary failure" in words and "that test is skipped" in words


def test_a_run_needs_no_screen_for_tests(dev, machine, monkeypatch):
    without_a_screen(dev, machine, monkeypatch)
    dev.set_up(False, "offscreen")
    assert machine.were_asked("apt-get") == []
