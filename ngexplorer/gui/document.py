"""The experiment as a file: open, save, recent ones, and whether anything would be lost."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QFileDialog, QMessageBox, QWidget

from ngexplorer import resource_files
from ngexplorer.gui.preferences import Preferences
from ngexplorer.gui.session import Notice, Session
from ngexplorer.runs import experiment as experiments
from ngexplorer.runs.experiment import Experiment
from ngexplorer.settings import SettingError

_KINDS = "Experiments (*.toml)"


class Document(QObject):
    """Where the set-up comes from and what of it is saved."""

    changed = Signal()
    """Its path, whether it is saved, or the recent files."""

    def __init__(self, session: Session, preferences: Preferences, window: QWidget, path: Path | None = None) -> None:
        super().__init__()
        self._session, self._preferences, self._window = session, preferences, window
        self.path = None if path is None or _shipped(path) else path
        """The file that `save` writes; None where there is none yet, or only a shipped one to start from."""
        self._saved = session.experiment
        session.opened.connect(self._opened)
        session.experiment_changed.connect(self.changed)

    @property
    def modified(self) -> bool:
        """Whether the set-up has changes that no file has."""
        return self._session.experiment != self._saved

    def _opened(self) -> None:
        self.path, self._saved = None, self._session.experiment

    def open(self, path: Path) -> bool:
        """Open an experiment file, once what would be lost has been seen to. What is wrong with it is said in a
        notice, and the present one stays; returns whether it was opened."""
        try:
            experiment = experiments.read(path)
            experiment.check()
        except SettingError as error:
            if not path.exists():
                self._preferences.forget(path)
            self._session.noticed.emit(Notice(str(error)))
            self.changed.emit()
            return False
        if not self.replace(experiment):
            return False
        if not _shipped(path):
            self.path = path
            self._preferences.remember(path.absolute())
            self._preferences.folder = path.parent
        self.changed.emit()
        return True

    def replace(self, experiment: Experiment) -> bool:
        """Put an experiment in the place of the set-up, once what would be lost has been seen to; returns whether."""
        if not self.may_go():
            return False
        self._session.open_experiment(experiment)
        return True

    def ask_and_open(self) -> None:
        """Ask which file, and open it."""
        folder = str(self._preferences.folder)
        name, _ = QFileDialog.getOpenFileName(self._window, "Open experiment", folder, _KINDS)
        if name:
            self.open(Path(name))

    def save(self) -> bool:
        """Write the set-up to its file; asks for one where there is none. Returns whether it was written."""
        return self._write(self.path) if self.path is not None else self.save_as()

    def save_as(self) -> bool:
        """Ask for a file and write the set-up to it; returns whether it was written."""
        usual = self.path.name if self.path is not None else "experiment.toml"
        name = self.new_file("Save experiment", usual, _KINDS)
        return bool(name) and self._write(Path(name))

    def _write(self, path: Path) -> bool:
        experiment = self._session.experiment
        try:
            experiments.write(experiment, path)
        except OSError as error:
            self._session.noticed.emit(Notice(str(error)))
            return False
        self.path, self._saved = path, experiment
        self._preferences.remember(path.absolute())
        self._session.noticed.emit(Notice(f"Saved {path}", error=False))
        self.changed.emit()
        return True

    def new_file(self, title: str, usual: str, kinds: str) -> str:
        """Ask for a file to write, in the folder of the last one; empty where the person thinks better of it."""
        name, _ = QFileDialog.getSaveFileName(self._window, title, str(self._preferences.folder / usual), kinds)
        if name:
            self._preferences.folder = Path(name).parent
        return name

    def may_go(self) -> bool:
        """Whether the set-up may be left: nothing of it would be lost, or a person saved it or lets it go."""
        if not self.modified:
            return True
        box = QMessageBox(self._window)
        box.setIcon(QMessageBox.Icon.Question)
        box.setWindowTitle("Save the set-up?")
        box.setText(f"The set-up “{self._session.experiment.title}” has changes that are not saved.")
        choices = QMessageBox.StandardButton
        box.setStandardButtons(choices.Save | choices.Discard | choices.Cancel)
        box.setDefaultButton(choices.Save)
        answer = box.exec()
        box.deleteLater()
        if answer == choices.Save:
            return self.save()
        return answer == choices.Discard

    def forget_changes(self) -> None:
        """Count the set-up as saved: nothing is asked when it is left."""
        self._saved = self._session.experiment


def dropped(paths: list[Path]) -> tuple[Path | None, str]:
    """Which of the files dropped on the window is the experiment, or why none is."""
    if len(paths) > 1:
        return None, f"{len(paths)} files were dropped; one experiment can be opened at a time"
    if not paths or paths[0].suffix.lower() != ".toml":
        name = paths[0].name if paths else "what was dropped"
        return None, f"{name} is no experiment: a file whose name ends in .toml is needed"
    return paths[0], ""


def _shipped(path: Path) -> bool:
    return path.absolute().is_relative_to(resource_files.ROOT.absolute())
