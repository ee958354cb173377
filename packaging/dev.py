"""Set NG Explorer up and open it, or check it, with nothing but Python's standard library.

    python3 packaging/dev.py run  [arguments for ngexplorer]
    python3 packaging/dev.py test [arguments for pytest]

Both make .venv, install the project in it and bring the system libraries that Qt needs. What is in place already is
left alone, and an interrupted set-up goes on where it stopped. Without a display, `run` does its job off-screen.
"""

import sys

# First, and in words that old Pythons can read: below this line nothing newer than their syntax may stand either.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.stderr.write(f"NG Explorer needs Python 3.11 or newer; this is Python {sys.version.split()[0]}.\n")
    sys.exit(2)

import contextlib
import hashlib
import importlib
import importlib.util
import json
import os
import platform
import re
import shlex
import shutil
import socket
import subprocess
import sysconfig
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
STAMP = VENV / ".ngexplorer-setup.json"
CONSTRAINTS = ROOT / "packaging" / "constraints.txt"
PATHS = sysconfig.get_paths(scheme="venv", vars={"base": str(VENV), "platbase": str(VENV)})
SCRIPTS, SITE_PACKAGES = Path(PATHS["scripts"]), Path(PATHS["purelib"])
PYTHON = SCRIPTS / ("python.exe" if os.name == "nt" else "python")

# The tests side by side, file by file; what is skipped says why.
SIDE_BY_SIDE = ["-rs", "-n", "logical", "--maxprocesses", "4", "--dist", "loadfile"]

EXPERIMENT = "digits"
ANOTHER_PYTHON = "Install Python 3.11 or newer with its venv and ensurepip modules, and start this with it."

# What loading Qt may miss: the package that brings it on Debian and Ubuntu, and on Arch. (rpm finds it by the soname.)
QT_LIBRARIES = {
    "libEGL.so.1": ("libegl1", "libglvnd"),
    "libGL.so.1": ("libgl1", "libglvnd"),
    "libGLX.so.0": ("libglx0", "libglvnd"),
    "libGLdispatch.so.0": ("libglvnd0", "libglvnd"),
    "libX11.so.6": ("libx11-6", "libx11"),
    "libX11-xcb.so.1": ("libx11-xcb1", "libx11"),
    "libdbus-1.so.3": ("libdbus-1-3", "dbus"),
    "libfontconfig.so.1": ("libfontconfig1", "fontconfig"),
    "libfreetype.so.6": ("libfreetype6", "freetype2"),
    "libglib-2.0.so.0": ("libglib2.0-0", "glib2"),
    "libgthread-2.0.so.0": ("libglib2.0-0", "glib2"),
    "libwayland-client.so.0": ("libwayland-client0", "wayland"),
    "libwayland-cursor.so.0": ("libwayland-cursor0", "wayland"),
    "libwayland-egl.so.1": ("libwayland-egl1", "wayland"),
    "libxcb.so.1": ("libxcb1", "libxcb"),
    "libxcb-cursor.so.0": ("libxcb-cursor0", "xcb-util-cursor"),
    "libxcb-glx.so.0": ("libxcb-glx0", "libxcb"),
    "libxcb-icccm.so.4": ("libxcb-icccm4", "xcb-util-wm"),
    "libxcb-image.so.0": ("libxcb-image0", "xcb-util-image"),
    "libxcb-keysyms.so.1": ("libxcb-keysyms1", "xcb-util-keysyms"),
    "libxcb-randr.so.0": ("libxcb-randr0", "libxcb"),
    "libxcb-render.so.0": ("libxcb-render0", "libxcb"),
    "libxcb-render-util.so.0": ("libxcb-render-util0", "xcb-util-renderutil"),
    "libxcb-shape.so.0": ("libxcb-shape0", "libxcb"),
    "libxcb-shm.so.0": ("libxcb-shm0", "libxcb"),
    "libxcb-sync.so.1": ("libxcb-sync1", "libxcb"),
    "libxcb-util.so.1": ("libxcb-util1", "xcb-util"),
    "libxcb-xfixes.so.0": ("libxcb-xfixes0", "libxcb"),
    "libxcb-xinerama.so.0": ("libxcb-xinerama0", "libxcb"),
    "libxcb-xinput.so.0": ("libxcb-xinput0", "libxcb"),
    "libxcb-xkb.so.1": ("libxcb-xkb1", "libxcb"),
    "libxkbcommon.so.0": ("libxkbcommon0", "libxkbcommon"),
    "libxkbcommon-x11.so.0": ("libxkbcommon-x11-0", "libxkbcommon-x11"),
    "libz.so.1": ("zlib1g", "zlib"),
    "libzstd.so.1": ("libzstd1", "zstd"),
}
# What the test on a screen needs beside them: a display in memory, a window manager and a hand; and apt's names for it.
SCREEN = {"Xvfb": "xvfb", "openbox": "openbox", "xdotool": "xdotool"}
INSTALL = {
    "apt-get": ["apt-get", "install", "-y", "--no-install-recommends"],
    "dnf": ["dnf", "install", "-y"],
    "pacman": ["pacman", "-S", "--needed", "--noconfirm"],
    "zypper": ["zypper", "install", "-y"],
}
MANAGERS = {"debian": "apt-get", "ubuntu": "apt-get", "fedora": "dnf", "arch": "pacman", "suse": "zypper"}


def main(arguments):
    """Do what the first argument says and return the exit status."""
    jobs = {"run": run, "test": test}
    if not arguments or arguments[0] not in jobs:
        print(__doc__)
        return 0 if arguments in (["-h"], ["--help"]) else 2
    try:
        return jobs[arguments[0]](arguments[1:])
    except KeyboardInterrupt:
        print("\nInterrupted: run the same command again, it goes on where it stopped.", file=sys.stderr)
        return 130
    except OSError as error:
        sys.exit(f"Stopped: {error}")


def run(arguments):
    """Open NG Explorer, or do its main job off-screen where there is no display."""
    kind = display_kind()
    set_up(False, kind)
    if kind == "offscreen":
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
        if not arguments:
            return run_off_screen(Path("results").absolute())
    return start(["-m", "ngexplorer", *arguments])


def test(arguments):
    """Run every check, pytest last, even when an earlier one fails; the status is 1 if any did."""
    set_up(True, "offscreen")
    bring_screen()
    # Two threads on the small matrices of the tests cost more than they bring.
    environment = {"OMP_NUM_THREADS": "1", **os.environ, "QT_QPA_PLATFORM": "offscreen"}
    failed, lines = [], []
    for name, command in checks(arguments).items():
        if name == "pytest":
            say("\n" + "\n".join(lines) + "\n")
        else:
            say(f"{name} ...")
        began = time.monotonic()
        passed = subprocess.call(command, cwd=ROOT, env=environment) == 0
        lines.append(f"{name:<20}{'ok' if passed else 'FAILED':<8}{time.monotonic() - began:6.1f} s")
        failed += [] if passed else [name]
    say(f"{lines[-1]}   {'failed: ' + ', '.join(failed) if failed else 'all checks passed'}")
    return 1 if failed else 0


def checks(arguments):
    """Return the checks in the order in which they run, as name → command."""
    python = [str(PYTHON), "-m"]
    return {
        "ruff check": [*python, "ruff", "check", "."],
        "ruff format --check": [*python, "ruff", "format", "--check", "."],
        "mypy": [*python, "mypy"],
        "lint-imports": [str(SCRIPTS / "lint-imports"), "--no-logo"],
        "pytest": [*python, "pytest", *(arguments or SIDE_BY_SIDE)],
    }


def run_off_screen(folder):
    """Run the default experiment, draw its window without a display, and say where the table and the picture are."""
    say(f"No display here: running the experiment '{EXPERIMENT}' off-screen.")
    table, picture = folder / f"{EXPERIMENT}.csv", folder / "window.png"
    for words, job in (
        ("Racing its optimizers ...", ["run", EXPERIMENT, "--out", str(folder)]),
        (
            "Racing them once more, in a window that is drawn into a picture ...",
            ["shot", EXPERIMENT, "--out", str(picture)],
        ),
    ):
        say(words)
        status = subprocess.call([str(PYTHON), "-m", "ngexplorer", *job])
        if status:
            return status
    say(f"The run, step by step:  {table}\nA picture of the window: {picture}")
    return 0


def start(arguments):
    """Become the app, so that it alone holds the terminal and its signals (Windows can only wait for it)."""
    command = [str(PYTHON), *arguments]
    if os.name == "nt":
        return subprocess.call(command)
    sys.stdout.flush()
    return os.execv(command[0], command)


# ---- what Qt will draw on


def display_kind():
    """Name the Qt platform that a window would open on, in Qt's own order; 'offscreen' where none can be reached."""
    if os.environ.get("QT_QPA_PLATFORM", "").startswith("offscreen"):
        return "offscreen"
    if sys.platform != "linux":
        return "native"
    if wayland_answers(os.environ.get("WAYLAND_DISPLAY")):
        return "wayland"
    return "xcb" if x_answers(os.environ.get("DISPLAY")) else "offscreen"


def wayland_answers(display):
    """Whether a Wayland compositor listens on the socket that WAYLAND_DISPLAY names."""
    return bool(display) and socket_answers(os.path.join(os.environ.get("XDG_RUNTIME_DIR", ""), display))


def x_answers(display):
    """Whether an X server listens where DISPLAY ([host]:number[.screen]) says: the variable often outlives it."""
    parts = re.fullmatch(r"(.*):(\d+)(?:\.\d+)?", display or "")
    if not parts:
        return False
    host, number = parts[1], int(parts[2])
    if host in ("", "unix"):
        path = f"/tmp/.X11-unix/X{number}"
        return socket_answers(path) or socket_answers("\0" + path)
    try:
        socket.create_connection((host, 6000 + number), timeout=1).close()
    except OSError:
        return False
    return True


def socket_answers(path):
    """Whether someone listens on this Unix socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1)
        try:
            return client.connect_ex(path) == 0
        except OSError:  # longer than the path of a socket may be
            return False


# ---- setting up


def set_up(with_tests, kind):
    """Bring .venv, the project in it and the libraries of this Qt platform; only read a few files if they are there."""
    stamp = read_stamp()
    if not PYTHON.exists() or stamp.get("key") != setup_key() or (with_tests and not stamp["tests"]):
        STAMP.unlink(missing_ok=True)
        if not venv_is_sound():
            make_venv()
        install(with_tests)
        stamp = {"key": setup_key(), "tests": with_tests, "libraries": {}}
        write_stamp(stamp)
    found = stamp["libraries"].get(kind)
    if sys.platform == "linux" and (found is None or not all(map(os.path.exists, found))):
        stamp["libraries"][kind] = bring_qt_libraries(kind)
        write_stamp(stamp)


def setup_key():
    """Hash all that an installation depends on: what it asks for, the Python and the folder it was made with and in."""
    digest = hashlib.sha256(repr((sys.version_info[:2], ROOT)).encode())
    for file in (ROOT / "pyproject.toml", CONSTRAINTS):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def read_stamp():
    """Return what the last finished set-up noted, nothing if there was none."""
    try:
        return json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def write_stamp(stamp):
    """Note a finished set-up, in one piece or not at all; someone else's .venv is used without a note."""
    draft = STAMP.with_suffix(".draft")
    with contextlib.suppress(PermissionError):
        draft.write_text(json.dumps(stamp), encoding="utf-8")
        draft.replace(STAMP)


def venv_is_sound():
    """Whether .venv has pip, runs this version of Python and was made in this very folder, which its scripts name."""
    try:
        notes = (VENV / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
        version = captured([PYTHON, "-c", "import pip, sys; print(sys.version_info[:2])"]).stdout.strip()
    except OSError:
        return False
    return version == str(sys.version_info[:2]) and any(line.endswith(f" {VENV}") for line in notes)


def make_venv():
    """Make .venv from nothing, whatever was left in its place."""
    if missing_modules():
        bring_venv_modules()
    say("Setting up: making .venv" + (" anew" if VENV.exists() else ""))
    made = captured([sys.executable, "-m", "venv", "--clear", VENV])
    if made.returncode:
        sys.exit(f"{tail(made.stdout)}\nPython could not make .venv (its words are above). {ANOTHER_PYTHON}")


def install(with_tests):
    """Install the project with pip: with its progress on a terminal, quietly elsewhere."""
    say("Setting up: installing NG Explorer (torch is large: the first time takes minutes)")
    forget_half_installed()
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check"]
    command += ["-c", str(CONSTRAINTS.relative_to(ROOT)), "-e", ".[test]" if with_tests else "."]
    if sys.stdout.isatty():
        status, words = subprocess.call(command, cwd=ROOT, stdin=subprocess.DEVNULL), ""
    else:
        done = captured([*command, "-q"])
        status, words = done.returncode, tail(done.stdout) + "\n"
    if status:
        sys.exit(
            f"{words}pip could not install NG Explorer (its words are above). "
            "Check the network and the free disk space, then run the same command again."
        )


def forget_half_installed():
    """Remove what an interrupted pip left: it would take a package whose files are half there for an installed one.

    INSTALLER is the first file that pip writes after all those of the package; ~ marks one it was about to remove.
    """
    for leftover in [*SITE_PACKAGES.glob("*.dist-info"), *SITE_PACKAGES.glob("~*")]:
        if not (leftover / "INSTALLER").exists() or leftover.name.startswith("~"):
            shutil.rmtree(leftover, ignore_errors=True)


# ---- what only the system can bring


def missing_modules():
    """Name the modules needed to make .venv that this Python lacks: Debian keeps them in a package of their own."""
    importlib.invalidate_caches()
    return [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]


def bring_venv_modules():
    """Install venv and ensurepip, or stop with the command that does."""
    need = f"This Python lacks {' and '.join(missing_modules())}."
    if package_manager() != "apt-get":
        sys.exit(f"{need} {ANOTHER_PYTHON}")
    system_install("apt-get", [(f"python3.{sys.version_info[1]}-venv", "python3-venv")], need)
    if missing_modules():
        sys.exit(f"{need} {ANOTHER_PYTHON}")


def bring_qt_libraries(kind):
    """Install what this Qt platform misses, or stop with the command that does; return the libraries it then uses."""
    plugin = SITE_PACKAGES / "PySide6" / "Qt" / "plugins" / "platforms" / f"libq{kind}.so"
    before, missing = None, missing_libraries(plugin)
    while missing:
        need = f"Qt needs system libraries that are missing here: {', '.join(sorted(missing))}."
        manager = package_manager()
        if manager is None:
            sys.exit(f"{need} Install the packages that hold them, then run the same command again.")
        if missing == before:
            sys.exit(f"{need} Their packages are installed, and still Qt does not find them.")
        system_install(manager, qt_packages(manager, missing), need)
        before, missing = missing, missing_libraries(plugin)
    return [path for path in linked(plugin).values() if path]


def missing_libraries(plugin):
    """Name the system libraries without which Qt or its platform plugin does not load."""
    load = "import ctypes, sys; from PySide6 import QtGui, QtWidgets; ctypes.CDLL(sys.argv[1])"
    loaded = captured([PYTHON, "-c", load, plugin])
    if loaded.returncode == 0:
        return set()
    named = re.findall(r"(\S+\.so[.\d]*): cannot open shared object file", loaded.stdout)
    if not named:
        sys.exit(f"{tail(loaded.stdout)}\nQt does not load on this machine, for the reason above.")
    return {*named, *(name for name, path in linked(plugin).items() if path is None)}


def linked(plugin):
    """Ask ldd for every library behind a plugin, as soname → path, None if missing; nothing where there is no ldd."""
    words = captured(["ldd", plugin]).stdout if shutil.which("ldd") else ""
    found = re.findall(r"^\s*(\S+) => (?:not found|(/.*?) \(0x[0-9a-f]+\))$", words, re.MULTILINE)
    return {soname: path or None for soname, path in found}


def bring_screen():
    """Bring what the test on a screen needs, once, where that is ours to do; else say how to have it run."""
    stamp = read_stamp()
    missing = [name for name in SCREEN if shutil.which(name) is None]
    if sys.platform != "linux" or stamp.get("screen"):
        return
    try:
        if missing:
            need = f"The test of the window on a screen needs {', '.join(missing)}."
            if package_manager() != "apt-get":
                sys.exit(need)
            system_install("apt-get", [(SCREEN[name],) for name in missing], need)
        set_up(True, "xcb")
    except SystemExit as reason:
        say(f"{reason}\nUntil then that test is skipped.")
    write_stamp({**read_stamp(), "screen": True})


def package_manager():
    """Name this system's package manager, None if it is not one of those known here."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return None
    family = [release["ID"], *release.get("ID_LIKE", "").split()]
    return next((MANAGERS[name] for name in family if name in MANAGERS), None)


def qt_packages(manager, sonames):
    """Return what to ask the package manager for, each as its possible names, to get these libraries."""
    if manager in ("dnf", "zypper"):
        return [(f"{soname}()(64bit)",) for soname in sorted(sonames)]
    unknown = sorted(sonames - QT_LIBRARIES.keys())
    if unknown:
        search = "apt-file search" if manager == "apt-get" else "pacman -F"
        sys.exit(f"Qt needs {unknown[0]}, of no package known here: '{search} {unknown[0]}' says which one to install.")
    if manager == "pacman":
        return [(name,) for name in sorted({QT_LIBRARIES[soname][1] for soname in sonames})]
    # Debian and Ubuntu renamed some of their libraries when they made time 64 bits wide.
    return [(name, name + "t64") for name in sorted({QT_LIBRARIES[soname][0] for soname in sonames})]


def system_install(manager, packages, need):
    """Install system packages where that is ours to do, with apt as root; else stop with the one command that does."""
    ours = manager == "apt-get" and os.geteuid() == 0
    if ours:
        say(f"{need}\nSetting up: installing what is missing with apt")
        captured(["dpkg", "--configure", "-a"])
        captured(["apt-get", "update"])
    known = known_to_apt(packages) if manager == "apt-get" else set()
    names = [next((name for name in candidates if name in known), candidates[0]) for candidates in packages]
    command = [*INSTALL[manager], *names]
    if not ours:
        refresh = "sudo apt-get update && " if manager == "apt-get" and not known.issuperset(names) else ""
        advice = "Install what is missing, then run the same command again:"
        sys.exit(f"{need} {advice}\n\n  {refresh}sudo {shlex.join(command)}\n")
    done = captured(command)
    if done.returncode:
        sys.exit(f"{tail(done.stdout)}\napt could not do it (its words are above): {shlex.join(command)}")


def known_to_apt(packages):
    """Return those of the possible names that apt can install."""
    words = captured(["apt-cache", "policy", *(name for candidates in packages for name in candidates)]).stdout
    return set(re.findall(r"^(\S+):\n  Installed: .*\n  Candidate: (?!\(none\))", words, re.MULTILINE))


# ---- words


def say(line):
    """Print at once, so that our lines keep their place among those of the programs we start."""
    print(line, flush=True)


def captured(command):
    """Run a command to its end, asking nothing of anyone, and return it with all its words, in English, in stdout."""
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def tail(words):
    """Return the last lines: they name the reason."""
    return "\n".join(words.strip().splitlines()[-15:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
