"""The figures of the lesson on repair: F1 before and after training, how far weights move, rates and epochs."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from torch import Tensor

from pruning_course.lab.colours import COLOURS

from .figures import HATCHES, MARKERS, new_figure

BEFORE, DENSE = "0.6", "black"


def before_and_after(removed: Sequence[float], before: Sequence[float], after: Sequence[float]) -> Figure:
    """Pairs of bars, F1 before and after training, for each share of the weights that was removed."""
    figure, axes = new_figure()
    for shift, label, values, colour in ((-0.2, "before training", before, BEFORE), (0.2, "after", after, COLOURS[2])):
        hatch = HATCHES[shift > 0]
        places = [place + shift for place in range(len(values))]
        bars = axes.bar(places, values, 0.38, label=label, color=colour, hatch=hatch, edgecolor="white")
        axes.bar_label(bars, fmt="%.2f", label_type="center", bbox={"color": "white", "pad": 1})
    axes.set_xticks(range(len(removed)), [f"{share:.0%}" for share in removed])
    axes.set(xlabel="weights removed from each layer of the blocks", ylabel="micro-F1, validation", ylim=(0, 1.15))
    axes.set_title("The more is removed, the more stays lost")
    axes.legend(ncols=2, loc="upper right")
    return figure


def relative_changes(changes: Tensor) -> Figure:
    """A histogram of how far weights moved, as a share of their old value, up to 5%; a line stands at 4%."""
    figure, axes = new_figure(height=2.6)
    axes.hist(changes.numpy(), bins=[number / 1000 for number in range(51)], color=COLOURS[2])
    axes.axvline(0.04, color=DENSE, linestyle="--", linewidth=1)
    axes.text(0.0395, 0.85, "from 0.50 to 0.52", ha="right", transform=axes.get_xaxis_transform())
    axes.set(xlabel="change of a surviving weight, as a share of its old value", ylabel="weights")
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_title("Most surviving weights change by less than 1% of their value")
    return figure


def rates_by_step(rates: Mapping[str, Sequence[float]]) -> Figure:
    """A line for each learning rate; `rates` has its value before each step and at the end."""
    figure, axes = new_figure(height=2.8)
    for name, values in rates.items():
        axes.plot([1e4 * rate for rate in values], label=name, markersize=4)
    axes.set(xlabel="step", ylabel="learning rate, in 0.0001", xticks=range(0, 17, 4), ylim=(0, 2.9))
    axes.set_title("Four learning rates for 16 steps")
    axes.legend(ncols=2, loc="upper center")
    return figure


def scores_by_rate(scores: Mapping[str, Sequence[float]], dense: float, pruned: float) -> Figure:
    """A point for each run, a column for each rate, and lines for the dense and the untrained pruned model.

    The rates come in the order, and get the colours, of `rates_by_step`.
    """
    figure, axes = new_figure()
    for place, values in enumerate(scores.values()):
        look: dict[str, Any] = {"color": COLOURS[place], "marker": MARKERS[place], "linestyle": ""}
        axes.plot([place] * len(values), values, markersize=9, **look)
        axes.text(place + 0.12, min(values), f"mean {sum(values) / len(values):.2f}")
    for value, label, colour in ((dense, "dense", DENSE), (pruned, "pruned, before training", BEFORE)):
        axes.axhline(value, color=colour, linestyle="--", linewidth=1)
        axes.text(len(scores) - 0.42, value + 0.01, label, ha="right")
    axes.set_xticks(range(len(scores)), list(scores))
    axes.set(ylabel="average precision, validation", ylim=(0.5, 1), xlim=(-0.45, len(scores) - 0.4))
    axes.set_title("70% removed: ten times the rate repairs more in 16 steps")
    return figure


def scores_by_epoch(
    precision: Mapping[str, Sequence[Sequence[float]]], losses: Mapping[str, Sequence[Sequence[float]]], dense: float
) -> Figure:
    """Left the average precision, right the training loss: a line for each run, a colour for each rate."""
    figure, _ = new_figure(1, 2, height=3)
    left, right = figure.axes
    for axes, scores in ((left, precision), (right, losses)):
        for place, (name, runs) in enumerate(scores.items()):
            for number, values in enumerate(runs):
                look: dict[str, Any] = {
                    "color": COLOURS[place],
                    "marker": MARKERS[place],
                    "linewidth": 1,
                    "markersize": 4,
                }
                epochs = range(1, len(values) + 1)
                axes.plot(epochs, values, label=None if number else name, **look)
                axes.set_xticks(epochs)
        axes.set_xlabel("epoch")
    left.axhline(dense, color=DENSE, linestyle="--", linewidth=1)
    left.text(1, dense + 0.01, "dense")
    left.set(ylabel="average precision, validation", ylim=(0.55, 1), title="A tenth does not catch up ...")
    right.set(ylabel="loss on the training texts", ylim=(0, None), title="... and full learns by heart")
    right.legend()
    return figure
