"""Measured numbers as dots: where a bar would need a foot, as on a log axis, and where several runs should be seen."""

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from pruning_course.lab.colours import COLOURS

from .figures import MARKERS, new_figure

Measured = float | Sequence[float]


def dots(
    series: Mapping[str, Mapping[str, Measured]],
    lines: Mapping[str, float] | None = None,
    log: bool = False,
    form: str = ".0f",
) -> tuple[Figure, Axes]:
    """Draw a row of dots for each category, from top to bottom; the mean of each series is written above its dots.

    Args:
        series: name to category to one number, or to several, which then are small dots around a large one. A series
            may lack categories.
        lines: names to numbers that all others are compared with, drawn as dashed lines.
        log: whether the axis of the numbers is logarithmic.
        form: how to write a number, in the language of `format`.

    Raises ValueError if there is no number.
    """
    categories = list(dict.fromkeys(category for found in series.values() for category in found))
    if not categories:
        raise ValueError("There is no number to draw.")
    figure, axes = new_figure(height=1.3 + 0.55 * len(categories))
    apart = 0.6 / len(series)
    for i, (name, found) in enumerate(series.items()):
        look: dict[str, Any] = {"color": COLOURS[i], "marker": MARKERS[i], "linestyle": ""}
        label: str | None = name
        for category, measured in found.items():
            several = list(measured) if isinstance(measured, Sequence) else [measured]
            y = categories.index(category) + (i - (len(series) - 1) / 2) * apart
            axes.plot(several, [y] * len(several), **look, markersize=4, alpha=0.6)
            axes.plot([mean(several)], [y], **look, markersize=8, label=label)
            label = None  # one entry in the legend
            place: dict[str, Any] = {
                "xytext": (0, 5),
                "textcoords": "offset points",
                "ha": "center",
                "va": "bottom",
                "fontsize": 9,
            }
            axes.annotate(f"{mean(several):{form}}", (mean(several), y), **place)
    for name, number in (lines or {}).items():
        axes.axvline(number, color="black", linestyle="--", linewidth=1)
        axes.annotate(name, (number, 1.0), xycoords=("data", "axes fraction"), ha="center", va="bottom", fontsize=9)
    axes.set(yticks=range(len(categories)), ylim=(len(categories) - 0.4, -0.8), xscale="log" if log else "linear")
    axes.set_yticklabels(categories)
    axes.margins(x=0.1)
    if log:
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:,g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    if len(series) > 1:
        axes.legend(ncols=len(series), loc="upper center", bbox_to_anchor=(0.5, -0.12 - 0.5 / len(categories)))
    return figure, axes
