"""A page of text: Markdown with its formulas typeset, in the type and colours of the window."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QMimeData, QRectF, QSize, QSizeF, Qt
from PySide6.QtGui import (
    QColor,
    QFontMetrics,
    QKeyEvent,
    QPainter,
    QPyTextObject,
    QResizeEvent,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextFormat,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QSizePolicy, QTextBrowser

from ngexplorer.gui import theme as themes
from ngexplorer.gui import typeset
from ngexplorer.gui.session import Session
from ngexplorer.gui.typeset import Box
from ngexplorer.tour import page as pages

_TEXT, _DISPLAY = 13, 15
"""Pixels of the type, and of a formula that stands alone."""
_INDENT = 14
"""Pixels by which such a formula and a list stand in."""
_KIND = QTextFormat.ObjectTypes.UserObject + 1
_NUMBER = QTextFormat.Property.UserProperty + 1
_FIRST = 0xE000
"""A formula stands in the text as a character of Unicode's private use, until it is typeset."""
_OBJECT = "\ufffc"
_TABLE = '<table cellpadding="3" cellspacing="0" width="100%" style="margin-bottom: 8px">'


@dataclass(frozen=True)
class _Formula:
    source: str
    box: Box
    alone: bool


class _Typesetter(QPyTextObject):
    """Tells Qt's text layout how large a formula is, and draws it."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self._page = page

    def _place(self, format: QTextFormat) -> tuple[_Formula, int, int]:
        """A formula, and how far it reaches over and under the line: Qt puts the font's descent below an object."""
        found = self._page.formulas[int(format.property(_NUMBER))]
        under = QFontMetrics(format.toCharFormat().font()).descent()
        if found.alone:
            under = max(under, round(found.box.descent)) + 2
        return found, round(found.box.ascent + 0.5) + 2 * found.alone, under

    def intrinsicSize(self, document: QTextDocument, at: int, format: QTextFormat) -> QSizeF:
        found, over, under = self._place(format)
        width = min(found.box.width, document.textWidth() - _INDENT) if found.alone else found.box.width
        return QSizeF(width, over + under)

    def drawObject(
        self, painter: QPainter, place: QRectF | object, document: QTextDocument, at: int, format: QTextFormat
    ) -> None:
        assert isinstance(place, QRectF)
        found, _, under = self._place(format)
        brush = format.toCharFormat().foreground()
        muted = brush.style() != Qt.BrushStyle.NoBrush
        painter.setPen(brush.color() if muted else QColor(self._page.session.theme.text))
        typeset.paint(painter, found.box, place, place.bottom() - under)


class Page(QTextBrowser):
    """As high as its text, without a scroll bar of its own; text can be selected and copied, formulas as they are
    written."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.formulas: list[_Formula] = []
        self._text = ""
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setObjectName("page")
        self.setOpenExternalLinks(True)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        for bar in (self.setVerticalScrollBarPolicy, self.setHorizontalScrollBarPolicy):
            bar(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.document().setDocumentMargin(0)
        self._typesetter = _Typesetter(self)
        self.document().documentLayout().registerHandler(_KIND, self._typesetter)
        session.theme_changed.connect(self._write)

    def show_text(self, text: str) -> None:
        """Show a page in Markdown, without its title."""
        self._text = text
        self.setAccessibleName(pages.plain(text))
        self._write()

    def _write(self) -> None:
        from markdown_it import MarkdownIt  # when there is a page to show: a window has to open quickly

        theme = self.session.theme
        self.clear()  # while there is a formula in the document, Qt may ask for it
        self.formulas = []
        marked = pages.with_formulas(self._text, self._inline, self._display)
        self.document().setDefaultFont(themes.font(_TEXT))
        self.document().setDefaultStyleSheet(
            f"body {{ color: {theme.text}; }} p {{ margin: 0 0 8px 0; line-height: 132%; }}"
            f"ul {{ margin: 0 0 8px {_INDENT}px; -qt-list-indent: 0; }} li {{ margin: 0 0 4px 0; line-height: 132%; }}"
            f"th {{ color: {theme.muted}; font-weight: 500; text-align: left; }} strong {{ font-weight: 600; }}"
            "code, pre { font-family: DejaVu Sans Mono, monospace; font-size: 12px; } pre { margin: 0 0 8px 0; }"
            f"a {{ color: {theme.accent}; }}"
        )
        html = MarkdownIt("commonmark").enable("table").render(marked).replace("\n</code>", "</code>")
        self.setHtml(f"<body>{html.replace('<table>', _TABLE)}</body>")
        self._put_formulas_in()
        self._fit()

    def _inline(self, source: str, after: str) -> str:
        boxes = typeset.inline(source, _TEXT, after)
        return "".join(self._kept(source + after if i == 0 else "", box, False) for i, box in enumerate(boxes))

    def _display(self, lines: list[str]) -> str:
        return "<br>".join(self._kept(line, typeset.display(line, _DISPLAY), True) for line in lines)

    def _kept(self, source: str, box: Box, alone: bool) -> str:
        self.formulas.append(_Formula(source, box, alone))
        return chr(_FIRST + len(self.formulas) - 1)

    def _put_formulas_in(self) -> None:
        document = self.document()
        for number, found in enumerate(self.formulas):
            cursor = document.find(chr(_FIRST + number))
            format = QTextCharFormat(cursor.charFormat())
            format.setObjectType(_KIND)
            format.setProperty(_NUMBER, number)
            format.setVerticalAlignment(QTextCharFormat.VerticalAlignment.AlignBaseline)
            cursor.insertText(_OBJECT, format)
            if found.alone:
                block = cursor.blockFormat()
                block.setLeftMargin(_INDENT)
                block.setBottomMargin(10)
                block.setLineHeight(100, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
                cursor.setBlockFormat(block)

    def _fit(self) -> None:
        """As high as the text is at this width."""
        self.document().setTextWidth(self.viewport().width())
        self.setFixedHeight(int(self.document().size().height()) + 1)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self._fit()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Whatever it stands in scrolls."""
        event.ignore()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """The page keys, too, are for what it stands in."""
        if event.key() in (Qt.Key.Key_PageUp, Qt.Key.Key_PageDown):
            event.ignore()
        else:
            super().keyPressEvent(event)

    def sizeHint(self) -> QSize:
        return QSize(240, self.height())

    def createMimeDataFromSelection(self) -> QMimeData:
        """What is selected as text, each formula as it is written."""
        cursor, text = self.textCursor(), ""
        for at in range(cursor.selectionStart(), cursor.selectionEnd()):
            one = QTextCursor(self.document())
            one.setPosition(at)
            one.setPosition(at + 1, QTextCursor.MoveMode.KeepAnchor)
            number = one.charFormat().property(_NUMBER)
            text += one.selectedText() if number is None else self.formulas[int(number)].source
        data = QMimeData()
        data.setText(text.replace("\u2029", "\n").replace("\u2028", "\n"))
        return data
