"""Forms made from the engine's typed settings: a new setting there appears here with its bounds, unit and help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

import msgspec
from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal
from PySide6.QtGui import QHelpEvent, QKeyEvent, QKeySequence, QMouseEvent, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QToolButton,
    QToolTip,
    QVBoxLayout,
    QWidget,
)

from ngexplorer.gui import theme
from ngexplorer.gui.declared import heading, parsed, unwrapped, written
from ngexplorer.settings import members

_LABEL_WIDTH = 96
"""Pixels: what the longest word of a title takes; longer titles have two lines."""
_VISIBLE = 14
"""At most so many items of a list are seen at once; it scrolls to the others."""

_HEADING = object()
"""What stands for a heading among the values of a choice."""

_CLICKS = (QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonRelease, QEvent.Type.MouseButtonDblClick)

Refusal = Callable[[str, Any], str | None]
"""(path, record type or choice) → why it cannot be chosen now, or None."""


def caption(text: str) -> QLabel:
    """A caption in small capitals."""
    label = QLabel(text)
    label.setObjectName("caption")
    label.setFont(theme.caption_font())
    return label


class Choice(QComboBox):
    """A combo box of (value, title) whose wheel does not change it in passing, and whose items may say what they are,
    or why they cannot be chosen. Its list is as wide as its longest title, and scrolls."""

    picked = Signal(object)

    def __init__(
        self, options: list[tuple[Any, str]], helps: list[str] | None = None, groups: list[str] | None = None
    ) -> None:
        super().__init__()
        self._helps = helps or [""] * len(options)
        self._values: list[Any] = []
        self._places: list[int] = []
        """The row of each option; a heading has one too where there are several groups."""
        groups = groups or [""] * len(options)
        for i, ((value, title), group) in enumerate(zip(options, groups, strict=True)):
            if len(set(groups)) > 1 and group not in groups[:i]:
                self._values.append(_HEADING)
                self.addItem(group)
                self.setItemData(self.count() - 1, theme.caption_font(), Qt.ItemDataRole.FontRole)
                self._item(self.count() - 1).setEnabled(False)
            self._places.append(self.count())
            self._values.append(value)
            self.addItem(title)
        self.setCurrentIndex(self._places[0])
        # Not by a click: the space bar is the race's again once something has been chosen.
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(6)
        self.setMaxVisibleItems(_VISIBLE)
        self.activated.connect(lambda row: self.picked.emit(self._values[row]))
        self.currentIndexChanged.connect(self.updateGeometry)
        self.view().viewport().installEventFilter(self)
        self.refuse([None] * len(options))

    def offer(self, titles: list[str]) -> None:
        """Replace the items by others, whose values are their places."""
        self.clear()
        self._helps, self._places, self._values = [""] * len(titles), [*range(len(titles))], [*range(len(titles))]
        self.addItems(titles)

    @property
    def shown(self) -> str:
        """What of the chosen title there is room for."""
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        complex_control, part = QStyle.ComplexControl.CC_ComboBox, QStyle.SubControl.SC_ComboBoxEditField
        room = self.style().subControlRect(complex_control, option, part, self).width() - self._icon_width
        return self.fontMetrics().elidedText(self.currentText(), Qt.TextElideMode.ElideRight, room)

    def sizeHint(self) -> QSize:
        """Wide enough for what is chosen."""
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        width = self.fontMetrics().horizontalAdvance(self.currentText()) + 2 + self._icon_width
        text = QSize(width, self.fontMetrics().height())
        wanted = self.style().sizeFromContents(QStyle.ContentsType.CT_ComboBox, option, text, self)
        return super().sizeHint().expandedTo(wanted)

    @property
    def help(self) -> str:
        """What the chosen item is, in words."""
        return self._helps[self._places.index(self.currentIndex())]

    @property
    def _icon_width(self) -> int:
        """What an icon before the title takes of its room."""
        return 0 if self.itemIcon(self.currentIndex()).isNull() else self.iconSize().width() + 4

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """A click on what cannot be chosen does nothing: Qt would take the item that was last under the pointer."""
        if event.type() in _CLICKS and isinstance(event, QMouseEvent):
            item = self.view().indexAt(event.position().toPoint())
            if item.isValid() and not item.flags() & Qt.ItemFlag.ItemIsEnabled:
                return True
        return super().eventFilter(watched, event)

    def wheelEvent(self, event: Any) -> None:
        event.ignore()

    def paintEvent(self, event: Any) -> None:
        painter = QStylePainter(self)
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        option.currentText = self.shown
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip and self.shown != self.currentText():
            text = f"{self.currentText()}\n{self.toolTip()}" if self.toolTip() else self.currentText()
            QToolTip.showText(event.globalPos(), text, self)
            return True
        return super().event(event)

    def showPopup(self) -> None:
        view = self.view()
        bar = view.verticalScrollBar().sizeHint().width() if self.count() > self.maxVisibleItems() else 0
        view.setMinimumWidth(view.sizeHintForColumn(0) + bar + 2 * theme.GRID)
        super().showPopup()

    def show_value(self, value: Any) -> None:
        if value in self._values:
            self.setCurrentIndex(self._values.index(value))

    def refuse(self, reasons: list[str | None]) -> None:
        """Grey out the items that have a reason, which becomes their tool tip in place of what they are."""
        for place, reason, help_text in zip(self._places, reasons, self._helps, strict=True):
            item = self._item(place)
            item.setEnabled(reason is None)
            item.setToolTip(reason or help_text)

    def _item(self, row: int) -> QStandardItem:
        model = self.model()
        assert isinstance(model, QStandardItemModel)
        return model.item(row)


class Entry(QLineEdit):
    """A line to type in. Enter takes what was typed and gives the keys back to the window, unless it cannot be; Escape
    takes back what was typed and not yet entered. The window's shortcuts with Ctrl work here too."""

    def __init__(self) -> None:
        super().__init__()
        self._standing = ""

    def show_text(self, text: str) -> None:
        """Show a text, unless someone is typing another one."""
        self._standing = text
        if self.text() != text and not (self.hasFocus() and self.isModified()):
            self.setText(text)
            self.setCursorPosition(0)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            if event.key() == Qt.Key.Key_Escape and self.isModified():
                event.accept()
                return True
            if event.matches(QKeySequence.StandardKey.Undo) and self.isModified() and self.isUndoAvailable():
                event.accept()  # what is being typed is taken back first
                return True
            if self._is_the_window_s(event):
                self.editingFinished.emit()  # what has been typed counts for what is asked for
                event.ignore()
                return True
        return super().event(event)

    def _is_the_window_s(self, event: QKeyEvent) -> bool:
        keys = QKeySequence(event.keyCombination())
        control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        return control and any(action.shortcut() == keys for action in self.window().actions())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.isModified():
            self.setText(self._standing)
            return
        super().keyPressEvent(event)
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not self.property("invalid"):
            self.window().setFocus()


def mark_invalid(editor: QWidget, invalid: bool) -> None:
    """Draw an editor as one whose value cannot be, or as any other."""
    if editor.property("invalid") != invalid:
        editor.setProperty("invalid", invalid)
        editor.style().unpolish(editor)
        editor.style().polish(editor)


class Field(QWidget):
    """An editor, and under it what is wrong with its value."""

    def __init__(self, editor: QWidget) -> None:
        super().__init__()
        self.editor = editor
        self.message = QLabel()
        self.message.setObjectName("error")
        self.message.setWordWrap(True)
        self.message.setFont(theme.font(12))
        self.message.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(editor)
        layout.addWidget(self.message)

    def mark(self, reason: str) -> None:
        """Mark the field and say why; an empty reason unmarks it."""
        self.message.setText(reason)
        self.message.setVisible(bool(reason))
        mark_invalid(self.editor, bool(reason))


class RecordForm(QWidget):
    """A form for one record type, its values as plain data. `changed` carries a path and the value typed there,
    checked by nobody yet: the whole set-up is checked at once, and `mark` says where it failed."""

    changed = Signal(str, object)

    def __init__(
        self,
        kind: type[msgspec.Struct],
        path: str,
        *,
        refusal: Refusal | None = None,
        skip: tuple[str, ...] = (),
        unfolded: set[str] | None = None,
    ) -> None:
        super().__init__()
        self.path = path
        self._refusal = refusal or (lambda path, option: None)
        self._unfolded = unfolded
        self._setters: dict[str, Callable[[Any], None]] = {}
        self._fields: dict[str, Field] = {}
        self._layout = QFormLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setHorizontalSpacing(theme.GRID)
        self._layout.setVerticalSpacing(theme.GRID // 2)
        self._layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._layout.setRowWrapPolicy(QFormLayout.RowWrapPolicy.DontWrapRows)
        self.kind = kind
        for field in msgspec.structs.fields(kind):
            if field.name not in skip:
                self._add(field.name, field.type)

    @property
    def empty(self) -> bool:
        return not self._setters

    def show_values(self, raw: dict[str, Any]) -> None:
        """Show these values, without telling of a change."""
        for name, setter in self._setters.items():
            if name in raw:
                setter(raw[name])

    def take_focus(self) -> None:
        """Take the keyboard to the first line to type in, else to the first choice."""
        editors = [field.editor for field in self._fields.values()]
        lines = [editor for editor in editors if isinstance(editor, Entry)]
        (lines or editors)[0].setFocus(Qt.FocusReason.OtherFocusReason)

    def mark(self, faults: dict[str, str]) -> set[str]:
        """Mark what is wrong, reasons by path, at the field there or the nearest above it, and unmark all else; returns
        the paths that are this form's."""
        found: set[str] = set()
        for name, field in self._fields.items():
            full = f"{self.path}.{name}" if self.path else name
            mine = {p: why for p, why in faults.items() if p == full or p.startswith((full + ".", full + "["))}
            inner = field.editor.mark(mine) if isinstance(field.editor, PartForm) else set()
            field.mark(next((why for path, why in mine.items() if path not in inner), ""))
            found |= mine.keys()
        return found

    def _add(self, name: str, declared: Any) -> None:
        full = f"{self.path}.{name}" if self.path else name
        kind, title, help_text = unwrapped(name, declared)
        editor, setter = self._editor(kind, full)
        editor.setToolTip(help_text)
        editor.setAccessibleName(title)
        editor.setAccessibleDescription(help_text)
        field = Field(editor)
        field.setToolTip(help_text)
        self._fields[name] = field
        self._setters[name] = setter
        self.add_row(title, field, editor.fold if isinstance(editor, PartForm) else None)
        if isinstance(editor, PartForm):
            self._layout.addRow(editor.settings)

    def add_row(self, title: str, widget: QWidget, beside: QWidget | None = None) -> None:
        """Put a labelled widget below, another one beside the label."""
        label = QLabel(title)
        label.setObjectName("muted")
        label.setToolTip(widget.toolTip())
        label.setWordWrap(True)
        label.setContentsMargins(0, 5, 0, 0)
        label.setAlignment(Qt.AlignmentFlag.AlignTop)
        named = QWidget()
        named.setFixedWidth(_LABEL_WIDTH)
        row = QHBoxLayout(named)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(label, 1)
        if beside is not None:
            row.addWidget(beside, 0, Qt.AlignmentFlag.AlignTop)
        self._layout.addRow(named, widget)

    def _editor(self, kind: Any, path: str) -> tuple[QWidget, Callable[[Any], None]]:
        if get_origin(kind) is Literal:
            choice = Choice([(value, str(value)) for value in get_args(kind)])
            choice.picked.connect(lambda value: self.changed.emit(path, value))
            return choice, choice.show_value
        if kind is bool:
            box = QCheckBox()
            box.setMinimumHeight(26)
            box.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            box.clicked.connect(lambda on: self.changed.emit(path, on))
            return box, box.setChecked
        if members(kind):
            part = PartForm(kind, path, self._refusal, self._unfolded)
            part.changed.connect(self.changed)
            return part, part.show_values
        line = Entry()
        line.editingFinished.connect(lambda: line.isModified() and self._typed(line, path, kind))
        line.returnPressed.connect(lambda: self._typed(line, path, kind))
        return line, lambda value: line.show_text(written(value, kind))

    def _typed(self, line: QLineEdit, path: str, kind: Any) -> None:
        line.setModified(False)
        line.show_text(line.text())
        self.changed.emit(path, parsed(line.text(), kind))


class PartForm(QWidget):
    """A choice among records, with the settings of the chosen one under it: always, or folded until asked for where
    the names of the parts that are not folded are given."""

    changed = Signal(str, object)

    def __init__(self, kind: Any, path: str, refusal: Refusal, unfolded: set[str] | None = None) -> None:
        super().__init__()
        self._kinds = members(kind)
        self._path = path
        self._refusal = refusal
        self._form: RecordForm | None = None
        self.choice = Choice(
            [(k.__struct_config__.tag, k.title) for k in self._kinds],
            [" ".join((k.__doc__ or "").split()) for k in self._kinds],
            [heading(k) for k in self._kinds],
        )
        self.choice.picked.connect(self._picked)
        self._unfolded = unfolded
        self.fold = QToolButton()
        """Shows the settings, or puts them away; whoever lays out this form puts it beside the label."""
        self.fold.setObjectName("quiet")
        self.fold.setArrowType(Qt.ArrowType.RightArrow)
        self.fold.setCheckable(True)
        self.fold.hide()
        self.fold.clicked.connect(self._fold)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.choice)
        self.setFocusProxy(self.choice)
        self.settings = QWidget()
        """Where the chosen record's settings are; whoever lays out this form gives it a row of its own."""
        self.settings.hide()
        self._below = QVBoxLayout(self.settings)
        self._below.setContentsMargins(0, 0, 0, theme.GRID // 2)

    def setAccessibleName(self, name: str) -> None:
        super().setAccessibleName(name)
        self.choice.setAccessibleName(name)
        self.fold.setAccessibleName(f"Settings: {name}")
        self.fold.setToolTip(f"Settings: {name}")

    def show_values(self, raw: dict[str, Any]) -> None:
        """Show a record: its name in the choice, its settings below."""
        self.choice.show_value(raw["name"])
        self.choice.setToolTip(self.choice.help)
        self.choice.refuse([self._refusal(self._path, k) for k in self._kinds])
        kind = next(k for k in self._kinds if k.__struct_config__.tag == raw["name"])
        if self._form is None or self._form.kind is not kind:
            if self._form is not None:
                self._below.removeWidget(self._form)
                self._form.deleteLater()
            self._form = RecordForm(kind, self._path, refusal=self._refusal)
            self._form.changed.connect(self.changed)
            self._below.addWidget(self._form)
            self._show_fold()
        self._form.show_values(raw)

    def mark(self, faults: dict[str, str]) -> set[str]:
        """Mark what is wrong inside the chosen record; returns the paths that are there."""
        found = self._form.mark(faults) if self._form is not None else set()
        if found and self._unfolded is not None:
            self._unfolded.add(self._name)
            self._show_fold()
        return found

    @property
    def _name(self) -> str:
        return self._path.rpartition(".")[2]

    def _fold(self, out: bool) -> None:
        assert self._unfolded is not None
        (self._unfolded.add if out else self._unfolded.discard)(self._name)
        self._show_fold()

    def _show_fold(self) -> None:
        something = self._form is not None and not self._form.empty
        out = self._unfolded is None or self._name in self._unfolded
        self.fold.setVisible(something and self._unfolded is not None)
        self.fold.setChecked(out)
        self.fold.setArrowType(Qt.ArrowType.DownArrow if out else Qt.ArrowType.RightArrow)
        self.settings.setVisible(something and out)

    def _picked(self, name: str) -> None:
        self.changed.emit(self._path, {"name": name})
