"""How every kind of widget is drawn: Qt's style sheet in the colours of a theme."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ngexplorer import resource_files

if TYPE_CHECKING:
    from ngexplorer.gui.theme import Theme


def style_sheet(t: Theme) -> str:
    """The style sheet of the whole application in the colours of a theme."""
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
