"""A decision tree as a picture."""

from collections.abc import Mapping
from typing import TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .figures import new_figure

LINE, EDGE = "#888888", "#000000"
# A leaf of a decision tree is a text, every other node a question and the nodes that its answers lead to.
Tree: TypeAlias = "str | tuple[str, Mapping[str, Tree]]"


def draw_tree(tree: Tree) -> Figure:
    """Draw a decision tree such as ("Fast?", {"yes": "cut neurons", "no": "magnitude"}), the leaves in grey."""
    figure, axes = new_figure(height=1.6 * _depth(tree))
    axes.axis("off")
    leaves = _place(axes, tree, 0, 0)[1]
    axes.set(xlim=(-0.6, leaves - 0.4), ylim=(0.6 - _depth(tree), 0.4))
    return figure


def _depth(tree: Tree) -> int:
    return 1 if isinstance(tree, str) else 1 + max(map(_depth, tree[1].values()))


def _place(axes: Axes, tree: Tree, depth: int, leaves: int) -> tuple[float, int]:
    """Draw the tree right of the `leaves` that are drawn already; return the x of its root, and their new number."""
    places: dict[str, float] = {}
    for answer, child in () if isinstance(tree, str) else tree[1].items():
        places[answer], leaves = _place(axes, child, depth + 1, leaves)
    x = sum(places.values()) / len(places) if places else float(leaves)
    for answer, place in places.items():
        axes.plot([x, place], [-depth, -depth - 1], color=LINE, marker="", linewidth=1, zorder=0)
        middle = ((x + place) / 2, -depth - 0.5)
        axes.text(*middle, answer, ha="center", va="center", fontsize=9, backgroundcolor="white")
    look = {"boxstyle": "round,pad=0.4", "facecolor": "white" if places else "#eeeeee", "edgecolor": EDGE}
    axes.text(x, -depth, tree if isinstance(tree, str) else tree[0], ha="center", va="center", fontsize=9, bbox=look)
    return x, leaves + (not places)
