"""How far the curvature matrices are from each other, as a table of which a click shows the difference."""

from __future__ import annotations

import math

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from ngexplorer.curvature.kinds import KINDS
from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots.axes import compact
from ngexplorer.gui.plots.colour_scale import short
from ngexplorer.gui.plots.lines import Array

_CELL, _ROW = 36, 20
"""Pixels: the width and the height of a distance."""
TITLES = {
    "hessian": "Hessian",
    "gauss-newton": "GGN",
    "fisher": "Fisher",
    "empirical-fisher": "Empirical Fisher",
    "kfac": "K-FAC",
}
SYMBOLS = {"hessian": "H", "gauss-newton": "G", "fisher": "F", "empirical-fisher": "F̄", "kfac": "K"}


class Distances(QTableWidget):
    """How far each matrix (row) is from each other (column), relative to that."""

    def __init__(self) -> None:
        super().__init__(len(KINDS), len(KINDS))
        self.setAccessibleName("Relative distances of the matrices")
        self.setFont(themes.font(11))
        self.setShowGrid(False)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setTabKeyNavigation(False)
        symbols = [SYMBOLS[name] for name in KINDS]
        self.setHorizontalHeaderLabels(symbols)
        self.setVerticalHeaderLabels(symbols)
        for header, size in ((self.horizontalHeader(), _CELL), (self.verticalHeader(), _ROW)):
            header.setFont(themes.font(11))
            header.setMinimumSectionSize(_ROW)
            header.setDefaultSectionSize(size)
            header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.horizontalHeader().setFixedHeight(_ROW)
        self.verticalHeader().setFixedWidth(_ROW)
        for bars in (self.setHorizontalScrollBarPolicy, self.setVerticalScrollBarPolicy):
            bars(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFixedSize(_ROW + len(KINDS) * _CELL + 2, _ROW * (len(KINDS) + 1) + 2)
        for row in range(len(KINDS)):
            for column in range(len(KINDS)):
                item = QTableWidgetItem()
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.setItem(row, column, item)

    def show_distances(
        self, names: list[str], distances: Array, refused: dict[str, str], matrix: str, taken_off: str | None
    ) -> None:
        """Fill it in with the distances of the matrices named, (K, K), and mark what is shown; a dash stands for one
        that is refused or not here yet."""
        kinds = list(KINDS)
        for row, one in enumerate(kinds):
            for column, other in enumerate(kinds):
                item = self.item(row, column)
                assert item is not None
                symbols = f"‖{SYMBOLS[one]} − {SYMBOLS[other]}‖ / ‖{SYMBOLS[other]}‖"
                why = refused.get(one) or refused.get(other)
                known = one in names and other in names
                value = float(distances[names.index(one), names.index(other)]) if known else math.nan
                item.setText(short(value))
                click = "click to see it" if row == column else "click to see the difference"
                item.setToolTip(why or f"{symbols} = {compact(value)}: {click}")
        self.clearSelection()
        if matrix in kinds:
            self.setCurrentCell(kinds.index(matrix), kinds.index(taken_off or matrix))
