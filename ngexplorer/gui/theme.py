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
    application.setStyleSheet(_style_sheet(theme))


def _style_sheet(t: Theme) -> str:
    images = (resource_files.THEMES / t.name).as_posix()
    return f"""
    QWidget {{ color: {t.text}; }}
    QMainWindow, QDialog {{ background: {t.window}; }}
    QToolTip {{ background: {t.raised}; color: {t.text}; border: 1px solid {t.hairline}; padding: 4px; }}
    QFrame#panel {{ background: {t.panel}; border: 1px solid {t.hairline}; border-radius: 8px; }}
    QFrame#panel[docked="true"] {{ border-top: none; border-top-left-radius: 0; border-top-right-radius: 0; }}
    QFrame#head {{ background: {t.panel}; border: 1px solid {t.hairline}; border-bottom: none;
        border-top-left-radius: 8px; border-top-right-radius: 8px; }}
    QFrame#start {{ background: {t.panel}; border: 1px solid {t.hairline}; border-radius: 8px; }}
    QPushButton#entry {{ background: transparent; border: 1px solid transparent; padding: 0; }}
    QPushButton#entry:hover, QPushButton#entry:focus {{ background: {t.raised}; border-color: {t.hairline}; }}
    QFrame#card {{ background: {t.raised}; border: 1px solid transparent; border-radius: 6px; }}
    QFrame#card[open="true"] {{ border-color: {t.hairline}; }}
    QFrame#readout {{ background: {t.panel}; border: 1px solid {t.hairline}; border-radius: 4px; }}
    QFrame#notice {{ background: {t.raised}; border: 1px solid {t.hairline}; border-radius: 6px; }}
    QLabel#title {{ font-size: 14px; font-weight: 600; }}
    QLabel#application {{ font-size: 16px; font-weight: 600; }}
    QLabel#muted, QLabel#caption {{ color: {t.muted}; }}
    QLabel#error {{ color: {t.error}; }}
    QLabel#hint {{ color: {t.warning}; }}
    QScrollArea, QScrollArea > QWidget > QWidget {{ background: transparent; border: none; }}
    QPushButton, QToolButton {{
        background: {t.raised}; border: 1px solid {t.hairline}; border-radius: 5px; padding: 4px 12px; }}
    QFileDialog QToolButton {{ padding: 2px; }}
    QToolButton#quiet {{ background: transparent; border: 1px solid transparent; padding: 2px; }}
    QToolButton#chip {{ background: transparent; border: 1px solid transparent; padding: 1px 0; }}
    QToolButton#chip:!checked, QToolButton#chip[faint="true"] {{ color: {t.muted}; }}
    QToolButton#toggle {{ background: transparent; padding: 2px 5px; color: {t.muted}; }}
    QToolButton#toggle:checked {{ background: {t.raised}; color: {t.text}; }}
    QPushButton#small {{ padding: 2px 10px; }}
    QPushButton:hover, QToolButton:hover {{ border-color: {t.muted}; }}
    QPushButton:focus, QToolButton:focus, QLineEdit:focus, QComboBox:focus {{ border-color: {t.accent}; }}
    QPushButton:pressed, QToolButton:pressed {{ background: {t.field}; }}
    QPushButton:disabled, QToolButton:disabled {{ color: {t.muted}; background: transparent; }}
    QPushButton#primary {{
        background: {t.accent}; color: {t.on_accent}; border-color: {t.accent}; font-weight: 600; }}
    QPushButton#primary:hover {{ border-color: {t.text}; }}
    QPushButton#primary:disabled {{ background: {t.raised}; color: {t.muted}; border-color: {t.hairline}; }}
    QToolButton::menu-indicator {{ image: none; }}
    QLineEdit, QComboBox {{
        background: {t.field}; border: 1px solid {t.hairline}; border-radius: 4px; padding: 3px 7px;
        min-height: 18px; selection-background-color: {t.accent}; selection-color: {t.on_accent}; }}
    QLineEdit[invalid="true"], QComboBox[invalid="true"] {{ border-color: {t.error}; }}
    QComboBox {{ combobox-popup: 0; }}
    QComboBox::drop-down {{ border: none; width: 18px; }}
    QComboBox::down-arrow {{ image: url("{images}/chevron.svg"); width: 12px; height: 12px; }}
    QComboBox QAbstractItemView, QMenu {{
        background: {t.raised}; border: 1px solid {t.hairline}; padding: 4px; outline: none;
        selection-background-color: {t.accent}; selection-color: {t.on_accent}; }}
    QComboBox QAbstractItemView::item {{ padding: 3px 8px; min-height: 18px; border-radius: 3px; }}
    QComboBox QAbstractItemView::item:selected {{ background: {t.accent}; color: {t.on_accent}; }}
    QComboBox QAbstractItemView::item:disabled {{ color: {t.muted}; }}
    QMenu::item {{ padding: 4px 24px 4px 12px; border-radius: 3px; }}
    QMenu::item:selected {{ background: {t.accent}; color: {t.on_accent}; }}
    QMenu::item:disabled {{ color: {t.muted}; }}
    QMenu::separator {{ height: 1px; background: {t.hairline}; margin: 4px 8px; }}
    QMenuBar {{ background: {t.window}; }}
    QMenuBar::item {{ padding: 3px 6px; border-radius: 4px; color: {t.muted}; }}
    QMenuBar::item:selected {{ background: {t.raised}; color: {t.text}; }}
    QTreeView {{
        background: transparent; border: none; outline: none; selection-background-color: {t.raised}; }}
    QTreeView::item {{ padding: 0 8px; border: none; }}
    QTreeView::item:selected {{ background: {t.raised}; }}
    QTreeView::branch {{ background: transparent; }}
    QTreeView::branch:has-children:closed {{ image: url("{images}/fold.svg"); }}
    QTreeView::branch:has-children:open {{ image: url("{images}/chevron.svg"); }}
    QTreeView::branch:selected {{ background: {t.raised}; }}
    QTableView {{
        background: transparent; border: none; outline: none; gridline-color: transparent;
        selection-background-color: {t.raised}; selection-color: {t.text}; }}
    QTableView::item {{ padding: 0 2px; border: none; }}
    QTableCornerButton::section {{ background: transparent; border: none; }}
    QHeaderView::section {{
        background: transparent; color: {t.muted}; border: none; border-bottom: 1px solid {t.hairline};
        padding: 2px 11px; }}
    QTableView QHeaderView::section {{ padding: 0 2px; border: none; }}
    QHeaderView {{ background: transparent; }}
    QSlider::groove:horizontal {{ height: 4px; border-radius: 2px; background: {t.hairline}; }}
    QSlider::sub-page:horizontal {{ height: 4px; border-radius: 2px; background: {t.accent}; }}
    QSlider::sub-page:horizontal:disabled {{ background: {t.hairline}; }}
    QSlider::handle:horizontal {{
        width: 14px; height: 14px; margin: -5px 0; border-radius: 7px; background: {t.accent}; }}
    QSlider::handle:horizontal:disabled {{ background: {t.muted}; }}
    QSlider::handle:horizontal:focus {{ border: 2px solid {t.text}; width: 10px; height: 10px; }}
    QMainWindow::separator {{ background: transparent; width: 8px; height: 8px; }}
    QMainWindow::separator:hover {{ background: {t.hairline}; }}
    QTabBar {{ background: transparent; qproperty-drawBase: 0; font-size: 12px; }}
    QTabBar::tab {{ background: transparent; color: {t.muted}; padding: 4px 6px; border: none; }}
    QTabBar::tab:selected {{ color: {t.text}; border-bottom: 2px solid {t.accent}; }}
    QDialog#palette {{ border: 1px solid {t.hairline}; }}
    QListWidget {{ background: transparent; border: none; outline: none; }}
    QListWidget::item:selected {{ background: {t.raised}; border: 1px solid {t.accent}; border-radius: 4px; }}
    QTextBrowser#page {{ background: transparent; border: none;
        selection-background-color: {t.accent}; selection-color: {t.on_accent}; }}
    QProgressBar {{ background: {t.hairline}; border: none; border-radius: 1px; }}
    QProgressBar::chunk {{ background: {t.accent}; border-radius: 1px; }}
    QStatusBar {{ background: {t.window}; color: {t.muted}; }}
    QStatusBar::item {{ border: none; }}
    QStatusBar QLabel {{ color: {t.muted}; padding: 0 8px; }}
    QScrollBar:vertical {{ background: transparent; width: 6px; margin: 0; }}
    QScrollBar::handle:vertical {{ background: {t.hairline}; border-radius: 3px; min-height: 24px; }}
    QScrollBar::handle:vertical:hover {{ background: {t.muted}; }}
    QScrollBar::add-line, QScrollBar::sub-line, QScrollBar::add-page, QScrollBar::sub-page {{
        background: none; height: 0; }}
    QListWidget::item {{ padding: 2px 4px; }}
    QRadioButton::indicator {{
        width: 14px; height: 14px; border: 1px solid {t.hairline}; border-radius: 8px; background: {t.field}; }}
    QRadioButton::indicator:checked {{
        width: 6px; height: 6px; border: 5px solid {t.accent}; border-radius: 8px; background: {t.on_accent}; }}
    QRadioButton:focus {{ color: {t.accent}; }}
    QRadioButton:disabled {{ color: {t.muted}; }}
    QCheckBox::indicator, QListWidget::indicator {{
        width: 14px; height: 14px; border: 1px solid {t.hairline}; border-radius: 3px; background: {t.field}; }}
    QCheckBox::indicator:checked, QListWidget::indicator:checked {{
        background: {t.accent}; border-color: {t.accent}; image: url("{images}/check.svg"); }}
    QCheckBox:focus {{ color: {t.accent}; }}
    """
