"""The ground of a trajectory: the loss on its plane as contours or as shaded relief."""

from __future__ import annotations

from typing import Any

from ngexplorer.analysis.planes import Surface
from ngexplorer.analysis.relief import Relief, relief
from ngexplorer.gui.plots.axes import Frame
from ngexplorer.gui.plots.contours import Contours
from ngexplorer.gui.plots.shading import NodeImage, relief_colours
from ngexplorer.gui.session import Session

_QUESTION = "trajectory relief"


class Ground:
    """Draws a surface once, and again only where it, the theme or the way of drawing has changed."""

    def __init__(self, session: Session, frame: Frame) -> None:
        self.session = session
        self.contours = Contours()
        self.shading = NodeImage(smooth=True)
        self.shading.hide()
        for item in (self.contours, self.shading):
            frame.addItem(item, ignoreBounds=True)
        self._asked: Surface | None = None
        self._relief: tuple[Surface, Relief] | None = None
        """The last surface whose relief is known."""
        self._drawn: tuple[Surface, str, bool] | None = None

    def clear(self) -> None:
        """Draw nothing."""
        self.contours.clear()
        self.shading.hide()
        self._drawn = None

    def ask(self, surface: Surface) -> None:
        """Have the relief of a surface computed."""
        if self._asked is not surface:
            self._asked = surface
            self.session.analyst.ask(_QUESTION, lambda _: iter([(surface, relief(surface.values))]))

    def take(self, key: str, _: int, answer: Any) -> bool:
        """Take an answer, which names its surface; whether it was one to this."""
        if key == _QUESTION:
            self._relief = answer
        return key == _QUESTION

    def relief_of(self, surface: Surface) -> Relief | None:
        """The relief of a surface, where it is known."""
        return self._relief[1] if self._relief is not None and self._relief[0] is surface else None

    def draw(self, surface: Surface, shaded: bool) -> None:
        """Draw a surface; as a relief once that is known, and till then what is there stays."""
        theme, known = self.session.theme, self.relief_of(surface)
        if shaded and known is None and self._drawn is not None:
            return
        shaded = shaded and known is not None
        if self._drawn is not None and self._drawn[0] is surface and self._drawn[1:] == (theme.name, shaded):
            return
        self._drawn = (surface, theme.name, shaded)
        self.shading.setVisible(shaded)
        if shaded and known is not None:
            self.contours.clear()
            self.shading.show_nodes(relief_colours(known, theme), surface.window)
        else:
            self.contours.show_surface(surface, theme)
