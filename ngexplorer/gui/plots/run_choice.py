"""The choice of the run that a view looks at: the first visible one, until a person picks another or highlights one."""

from __future__ import annotations

from PySide6.QtCore import QSize, Signal

from ngexplorer.gui import theme as themes
from ngexplorer.gui.forms import Choice
from ngexplorer.gui.session import Session, Shown


class RunChoice(Choice):
    """The runs of the race by name and colour."""

    changed = Signal()
    """Another run is looked at."""

    def __init__(self, session: Session, what: str, *, modelled: bool = False) -> None:
        """`modelled`: of those that can be seen, rather the first with a quadratic model."""
        super().__init__([(None, "–")])
        self.session = session
        self._modelled = modelled
        self._picked: int | None = None
        """The run that a person picked; None: whichever comes first."""
        self._highlighted = session.highlighted
        self._shown: tuple[int, int | None] = (0, None)
        self.setAccessibleName(what)
        self.setToolTip(what)
        self.setIconSize(QSize(10, 10))
        self.activated.connect(self.pick)
        session.race_changed.connect(self._fill)
        session.shown_changed.connect(self._follow)
        session.theme_changed.connect(self._dress)
        self._fill()

    @property
    def number(self) -> int | None:
        """The place of the run among those of the race; None where there is none."""
        runs = self.session.runs
        if self._picked is not None and self._picked < len(runs):
            return self._picked
        seen = [number for number in range(len(runs)) if not self.session.is_hidden(number)]
        if self._modelled:
            seen.sort(key=lambda number: not runs[number].run.optimizer.second_order)
        return next(iter(seen), 0 if runs else None)

    @property
    def chosen(self) -> Shown | None:
        number = self.number
        return None if number is None else self.session.runs[number]

    def pick(self, number: int) -> None:
        """Look at that run, whether it is visible in the plots or not."""
        self._picked = number
        self._follow()

    def _fill(self) -> None:
        labels = [shown.label for shown in self.session.runs] or ["–"]
        if [self.itemText(i) for i in range(self.count())] != labels:
            self._picked = None
            self.offer(labels)
        self.setEnabled(bool(self.session.runs))
        self._dress()
        self._follow()

    def _dress(self) -> None:
        for i, shown in enumerate(self.session.runs):
            self.setItemIcon(i, themes.dot(themes.line_colour(shown.colour, self.session.theme), 10))

    def _follow(self) -> None:
        if self._highlighted != self.session.highlighted:
            self._highlighted = self.session.highlighted
            if len(self._highlighted) == 1:
                (self._picked,) = self._highlighted
        number = self.number
        self.setCurrentIndex(number or 0)
        if self._shown != (self.session.generation, number):
            self._shown = (self.session.generation, number)
            self.changed.emit()
