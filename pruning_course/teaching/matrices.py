"""Figures that show a matrix itself: its numbers, and hatched what is removed from it."""

from collections.abc import Collection
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor


def draw_matrix(
    axes: Axes,
    matrix: Tensor,
    removed_rows: Collection[int] = (),
    removed_columns: Collection[int] = (),
    removed: Tensor | None = None,
    digits: int = 1,
    limits: tuple[float, float] = (-0.5, 1.0),
    **labels: Any,
) -> None:
    """Draw the numbers of a matrix (rows, columns) on their colours; hatched is what goes.

    `removed` is a bool tensor of single cells that go, for matrices that do not lose whole rows or columns. `limits`
    are the numbers with the darkest and the lightest colour; `labels` are for `axes.set`, such as a title.
    """
    low, high = limits
    axes.imshow(matrix, vmin=low, vmax=high, aspect="auto")
    rows, columns = matrix.shape
    for row in range(rows):
        for column in range(columns):
            value = float(matrix[row, column])
            colour = "black" if value > low + 0.57 * (high - low) else "white"
            axes.text(column, row, f"{value:.{digits}f}", ha="center", va="center", color=colour, fontsize=9)
            goes = row in removed_rows or column in removed_columns
            if goes or (removed is not None and removed[row, column]):
                frame: dict[str, Any] = {"fill": False, "edgecolor": "red", "hatch": "//", "linewidth": 0}
                axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, **frame))
    axes.grid(False)
    axes.set(**{"xticks": [], "yticks": [], **labels})
