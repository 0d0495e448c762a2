"""The figure of an experiment."""

from itertools import cycle
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from pruning_course.lab.colours import COLOURS

MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def draw(frame: pd.DataFrame, axes: list[str], title: str) -> Figure:
    """Draw the micro-F1 of the runs in `frame` (a row for each run) against one of the settings `axes`.

    The horizontal axis is the first numeric setting, or the first setting if none is numeric; each combination of the
    others has a colour. A small marker is a run, a large open one the mean over the seeds, and the dashed line the
    dense model.
    """
    numbers = [name for name in axes if _is_number(frame[name])]
    x = (numbers or axes or ["prune_method"])[0]
    others = [name for name in axes if name != x]
    figure = Figure(figsize=(7, 4), layout="constrained")
    plot = figure.add_subplot(
        xlabel=x.replace("_", " "), xmargin=0.05 if numbers else 0.3, ylabel="micro-F1, validation", title=title
    )
    series = frame.groupby(others, sort=False, dropna=False) if others else [((), frame)]
    for (values, runs), colour, marker in zip(series, cycle(COLOURS), cycle(MARKERS), strict=False):
        means = runs.groupby(x, sort=_is_number(frame[x]), dropna=False)["micro_f1"].mean()
        places = _places(means.index.to_series())
        # NaN stands for an option that the method does not have.
        names = [f"{name} {value}" for name, value in zip(others, values, strict=True) if not pd.isna(value)]
        label = ", ".join(names) or "mean of the seeds"
        style: dict[str, Any] = {"marker": marker, "color": colour}
        plot.plot(_places(runs[x]), runs["micro_f1"], linestyle="", markersize=4, alpha=0.5, **style)
        line = "-" if numbers else ""
        plot.plot(places, means, linestyle=line, markersize=10, markerfacecolor="none", label=label, **style)
    plot.axhline(frame["dense_micro_f1"].mean(), color="black", linestyle="--", linewidth=1, label="dense")
    plot.grid(alpha=0.3)
    plot.legend()
    return figure


def _is_number(column: pd.Series) -> bool:
    return is_numeric_dtype(column) and not is_bool_dtype(column)


def _places(column: pd.Series) -> list[Any]:
    """Return numbers as they are, and other values as text, which matplotlib places side by side."""
    return list(column) if _is_number(column) else [str(value) for value in column]
