"""Figures that show every single run as a point: repeated draws next to choices that are made only once."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from pruning_course.lab.colours import COLOURS

from .figures import HATCHES, MARKERS

GREY = "#777777"  # what is drawn at random
STEPS = (0.0, 0.12, -0.12, 0.06, -0.06, 0.18, -0.18)  # how far points are moved sideways, so that all can be seen


def draw_clouds(axes: Axes, clouds: Mapping[str, Sequence[float]], dense: float) -> None:
    """Draw the values of each cloud as points above its name, and their mean, where there are several, as a short line.

    Clouds whose name begins with "random" are grey circles; the others get a colour and a marker each. `dense` is a
    dashed line.
    """
    chosen = [name for name in clouds if not name.startswith("random")]
    for place, (name, values) in enumerate(clouds.items()):
        number = chosen.index(name) if name in chosen else None
        colour, marker = (GREY, "o") if number is None else (COLOURS[number], MARKERS[number + 1])
        places = [place + STEPS[i % len(STEPS)] for i in range(len(values))]
        axes.plot(places, values, linestyle="", color=colour, marker=marker, alpha=0.8)
        if len(values) > 1:
            axes.hlines(sum(values) / len(values), place - 0.3, place + 0.3, color=colour, linewidth=1.5)
    axes.axhline(dense, color="black", linestyle="--", linewidth=1)
    axes.annotate("dense", (len(clouds) - 0.5, dense), xytext=(0, 3), textcoords="offset points", ha="right")
    axes.set_xticks(range(len(clouds)), list(clouds))
    axes.set_xlim(-0.5, len(clouds) - 0.5)


def draw_pairs(axes: Axes, pairs: Mapping[str, Sequence[float]], names: Sequence[str]) -> None:
    """Draw bars in groups: one group for each of `names`, in it one bar for each of `pairs`, with its value in it."""
    width = 0.8 / len(pairs)
    for i, (label, values) in enumerate(pairs.items()):
        places = [place + width * i for place in range(len(values))]
        bars = axes.bar(
            places, values, 0.95 * width, label=label, color=COLOURS[i], hatch=HATCHES[i], edgecolor="white"
        )
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        axes.bar_label(bars, fmt="%.2f", label_type="center", bbox=box)
    axes.set_xticks([place + width * (len(pairs) - 1) / 2 for place in range(len(names))], list(names))
    axes.legend(ncols=3, loc="upper center")
