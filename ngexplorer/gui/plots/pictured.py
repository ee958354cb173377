"""A widget of which a picture can be made: copied, or saved as PNG or SVG."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import cast

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots.axes import Frame
from ngexplorer.gui.plots.picture import Entry, Picture
from ngexplorer.gui.session import Notice, Session


class Pictured:
    """What a plot has beside being a widget: it names what it is of, and makes pictures of itself."""

    session: Session

    @property
    def frames(self) -> list[Frame]:
        """Its plots, from top to bottom."""
        raise NotImplementedError

    @property
    def caption(self) -> str:
        """What a picture of it is called."""
        raise NotImplementedError

    @property
    def entries(self) -> list[Entry]:
        """What the legend of a picture names."""
        raise NotImplementedError

    def draw(self) -> None:
        """Draw the present state."""
        raise NotImplementedError

    def _restyle(self) -> None:
        """Take the colours of the present theme."""
        raise NotImplementedError

    @property
    def axes_named(self) -> list[tuple[str, str]]:
        """What a picture says of each frame's horizontal and vertical axis; nothing where that is empty."""
        return [("", "")] * len(self.frames)

    @contextmanager
    def on_paper(self) -> Iterator[Picture]:
        """The plot as it stands, in light colours on white, as long as the picture is being drawn."""
        session = self.session
        theme = session.theme
        session.theme = themes.LIGHT
        try:
            for frame in self.frames:
                frame.dress(themes.LIGHT)
            self.draw()
            with ExitStack() as drawn:
                for frame in self.frames:
                    drawn.enter_context(frame.as_lines())
                yield Picture(self.caption, self.frames, self.axes_named, self.entries)
        finally:
            session.theme = theme
            self._restyle()
            self.draw()

    def add_pictures(self, menu: QMenu) -> None:
        """The entries of this plot's menu that make a picture of it: the last ones."""
        for text, tip, carry_out in (
            ("Copy as a picture", "This plot to the clipboard, in light colours on white", self.copy),
            ("Save as PNG or SVG…", "This plot at the size of print, in light colours on white", self.ask_and_save),
        ):
            action = menu.addAction(text)
            action.setToolTip(tip)
            action.triggered.connect(carry_out)
        self.menu = menu

    def copy(self) -> None:
        """Put a picture on the clipboard."""
        with self.on_paper() as picture:
            QGuiApplication.clipboard().setImage(picture.image())

    def ask_and_save(self) -> None:
        """Ask for a file and write a picture to it."""
        kinds = "SVG, for print (*.svg);;PNG, 300 dots an inch (*.png)"
        name, kind = QFileDialog.getSaveFileName(cast(QWidget, self), "Save picture", "plot.svg", kinds)
        if name:
            path = Path(name)
            self.save(path if path.suffix else path.with_suffix(".svg" if kind.startswith("SVG") else ".png"))

    def save(self, path: Path) -> bool:
        """Write a picture; tells of a failure, and returns whether it went well."""
        try:
            with self.on_paper() as picture:
                picture.write(path)
        except OSError as error:
            self.session.noticed.emit(Notice(str(error)))
            return False
        self.session.noticed.emit(Notice(f"Saved {path}", error=False))
        return True
