"""Colours, type and spacing: one palette for the window and the plots, dark and light."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from functools import lru_cache

import pyqtgraph as pg
from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QGuiApplication, QIcon, QPainter, QPalette, QPen, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication

from ngexplorer import resource_files
from ngexplorer.gui.style_sheet import style_sheet

GRID = 8
"""Every distance is a multiple of this, in pixels, or half of it."""


@dataclass(frozen=True)
class Theme:
    """The colours of one appearance. `data` twins Okabe and Ito's palette where a colour is too faint on `panel`."""

    name: str
    window: str
    panel: str
    raised: str
    field: str
    hairline: str
    text: str
    muted: str
    accent: str
    on_accent: str
    error: str
    warning: str
    marker: str
    """The damping λ and the current step, drawn over data."""


DARK = Theme(
    name="dark",
    window="#13161a",
    panel="#1b1f25",
    raised="#242931",
    field="#15181d",
    hairline="#2c323b",
    text="#e8eaed",
    muted="#98a1ad",
    accent="#56b4e9",
    on_accent="#0b1016",
    error="#ff7a66",
    warning="#f0c040",
    marker="#f0e442",
)
LIGHT = Theme(
    name="light",
    window="#f2f4f7",
    panel="#ffffff",
    raised="#eef1f5",
    field="#ffffff",
    hairline="#d9dee5",
    text="#161b22",
    muted="#5b6572",
    accent="#0072b2",
    on_accent="#ffffff",
    error="#b3261e",
    warning="#8a6100",
    marker="#8a7a00",
)

# Okabe and Ito (2008), in the order in which runs take them.
SKY, ORANGE, PURPLE, GREEN, VERMILION, BLUE, YELLOW, GREY = PALETTE = (
    "#56B4E9",
    "#E69F00",
    "#CC79A7",
    "#009E73",
    "#D55E00",
    "#0072B2",
    "#F0E442",
    "#999999",
)
_USUAL = {
    "natural-gradient": SKY,
    "newton": ORANGE,
    "heavy-ball": PURPLE,
    "adam": GREEN,
    "gauss-newton": VERMILION,
    "gradient-descent": GREY,
}
STYLES = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine, Qt.PenStyle.DotLine, Qt.PenStyle.DashDotLine)


def colours(optimizers: list[str], chosen: list[str | None]) -> list[str]:
    """A colour for each run: the chosen one, else for the first run of an optimizer that optimizer's usual one, else
    one that is still free."""
    found = [colour and colour.upper() for colour in chosen]
    for i, name in enumerate(optimizers):
        usual = _USUAL.get(name)
        if found[i] is None and name not in optimizers[:i] and usual not in found:
            found[i] = usual
    for i in range(len(optimizers)):
        if found[i] is None:
            # Once all are taken they come round, each with another line style than before.
            again = PALETTE[(i + i // len(PALETTE)) % len(PALETTE)]
            found[i] = next((c for c in PALETTE if c not in found), again)
    return [colour for colour in found if colour]


def contrast(first: QColor, second: QColor) -> float:
    """The contrast ratio of WCAG 2, 1 to 21."""

    def luminance(colour: QColor) -> float:
        parts = (colour.redF(), colour.greenF(), colour.blueF())
        red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def mixed(first: QColor, second: QColor, share: float) -> QColor:
    """`first` with that share of `second`."""
    parts = ((a, b) for a, b in zip(first.getRgb()[:3], second.getRgb()[:3], strict=True))
    return QColor(*(round(a + share * (b - a)) for a, b in parts))


@lru_cache
def readable(colour: str, theme: Theme, ratio: float = 4.5) -> QColor:
    """The colour with that contrast against the panel: where it has less, with just enough white in it on the dark
    theme, black on the light one."""
    found, ground = QColor(colour), QColor(theme.panel)
    if contrast(found, ground) >= ratio:
        return found
    end = QColor("#ffffff" if theme.name == "dark" else "#000000")
    # Once a mixture has enough contrast, so has every one with a larger share: the least is found by halving.
    short, enough = 0.0, 1.0
    for _ in range(8):
        between = (short + enough) / 2
        if contrast(mixed(found, end, between), ground) >= ratio:
            enough = between
        else:
            short = between
    return mixed(found, end, enough)


def line_colour(colour: str, theme: Theme) -> QColor:
    """A run's colour for lines and dots: graphics need 3 : 1 (WCAG 2.1, 1.4.11), less than text."""
    return readable(colour, theme, 3.0)


def system_theme() -> Theme:
    """What the desktop prefers; dark where it has no preference."""
    scheme = QGuiApplication.styleHints().colorScheme()
    return LIGHT if scheme == Qt.ColorScheme.Light else DARK


def chosen(appearance: str) -> Theme:
    """The theme by what a person chose: "system", "dark" or "light"."""
    return {"dark": DARK, "light": LIGHT}.get(appearance) or system_theme()


def load_fonts() -> None:
    """Make the shipped typefaces known to Qt, so that the window looks the same everywhere."""
    for path in sorted(resource_files.FONTS.glob("*.ttf")):
        QFontDatabase.addApplicationFont(str(path))


def font(pixels: int = 13, weight: QFont.Weight = QFont.Weight.Normal) -> QFont:
    """The interface's typeface, digits of equal width."""
    made = QFont()
    made.setFamilies(["Inter", "NG Explorer Math"])
    made.setPixelSize(pixels)
    made.setWeight(weight)
    # Letter spacing would otherwise depend on the machine's font settings.
    made.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
    made.setFeature(QFont.Tag("tnum"), 1)
    return made


def caption_font() -> QFont:
    """Small capitals for captions."""
    made = font(11, QFont.Weight.Medium)
    made.setCapitalization(QFont.Capitalization.AllUppercase)
    made.setLetterSpacing(QFont.SpacingType.AbsoluteSpacing, 0.8)
    return made


def icon(name: str, colour: str, size: int = 16) -> QIcon:
    """A shipped icon in a colour."""
    text = (resource_files.ICONS / f"{name}.svg").read_text(encoding="utf-8").replace("currentColor", colour)
    renderer = QSvgRenderer(QByteArray(text.encode()))
    made = QIcon()
    for scale in (1, 2):
        pixmap = QPixmap(QSize(size * scale, size * scale))
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        renderer.render(painter)
        painter.end()
        pixmap.setDevicePixelRatio(scale)
        made.addPixmap(pixmap)
    return made


def dot(colour: QColor, size: int = 10, filled: bool = True) -> QIcon:
    """A run's colour as a disc, or as a ring where it is switched off."""
    made = QIcon()
    for scale in (1, 2):
        pixmap = QPixmap(QSize(size * scale, size * scale))
        pixmap.setDevicePixelRatio(scale)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(colour, 1.4))
        if filled:
            painter.setBrush(colour)
        painter.drawEllipse(QRectF(1, 1, size - 2, size - 2))
        painter.end()
        for mode in (QIcon.Mode.Normal, QIcon.Mode.Selected):  # Qt would tint it in a row that is chosen
            made.addPixmap(pixmap, mode)
    return made


_WORN = "theme"


def apply(theme: Theme, application: QApplication) -> None:
    """Dress the whole application: palette, style sheet, and pyqtgraph's defaults. What it wears already is left on: it
    takes a tenth of a second, and more with each widget."""
    if application.property(_WORN) == theme.name:
        return
    application.setProperty(_WORN, theme.name)
    # Qt walks through all widgets meanwhile, and crashes where Python takes one away that it has done with.
    collecting = gc.isenabled()
    gc.disable()
    try:
        _dress(theme, application)
    finally:
        if collecting:
            gc.enable()
    pg.setConfigOptions(background=theme.panel, foreground=theme.muted, antialias=True)


def _dress(theme: Theme, application: QApplication) -> None:
    application.setStyle("Fusion")
    application.setFont(font())
    palette = QPalette()
    roles = {
        QPalette.ColorRole.Window: theme.window,
        QPalette.ColorRole.Base: theme.field,
        QPalette.ColorRole.AlternateBase: theme.panel,
        QPalette.ColorRole.Button: theme.raised,
        QPalette.ColorRole.WindowText: theme.text,
        QPalette.ColorRole.Text: theme.text,
        QPalette.ColorRole.ButtonText: theme.text,
        QPalette.ColorRole.PlaceholderText: theme.muted,
        QPalette.ColorRole.Highlight: theme.accent,
        QPalette.ColorRole.HighlightedText: theme.on_accent,
        QPalette.ColorRole.ToolTipBase: theme.raised,
        QPalette.ColorRole.ToolTipText: theme.text,
        QPalette.ColorRole.Link: theme.accent,
    }
    for role, colour in roles.items():
        palette.setColor(role, QColor(colour))
    for role in (QPalette.ColorRole.Text, QPalette.ColorRole.WindowText, QPalette.ColorRole.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor(theme.muted))
    application.setPalette(palette)
    application.setStyleSheet(style_sheet(theme))
