"""The methods of the sweep that comes with the course: their names and looks, paired differences, and figures."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pruning_course.lab.colours import COLOURS

from .figures import new_figure
from .paired import smallest_seen

BLUE, RED, GREEN, PINK, SKY, ORANGE, BLACK = COLOURS
GREY, DARK = "#888888", "#00513B"
# A method has one colour and one marker; the order is that of the figures, from top to bottom.
LOOKS = {
    "magnitude": (BLUE, "o"),
    "magnitude, row": (SKY, "s"),
    "gradual": (PINK, "^"),
    "Wanda, row": (RED, "D"),
    "neurons, random": (GREY, "X"),
    "neurons, norm": (ORANGE, "P"),
    "neurons, gradient": (GREEN, "v"),
    "heads and neurons": (DARK, "p"),
    "three blocks": (BLACK, "<"),
}
CONTROL = "dense, trained"
UNITS = {"head+neuron": "heads and neurons", "layer": "three blocks"}


def name_methods(results: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of `read_results` with a column `method`, such as "neurons, gradient" or "dense, trained"."""
    return results.assign(method=[_name(run) for run in results.to_dict("records")])


def _name(run: Mapping[str, Any]) -> str:
    if run["prune_sparsity"] == 0:
        return CONTROL
    if run["prune_method"] == "structured":
        return UNITS.get(run["structure"]) or f"neurons, {run['importance']}"
    method = str(run["prune_method"]).replace("wanda", "Wanda")
    return method if pd.isna(run["group"]) else f"{method}, {run['group']}"


def pair_runs(runs: pd.DataFrame, one: str, other: str, sparsity: float, metric: str = "micro_f1") -> pd.Series:
    """Return `one` minus `other` at a sparsity, for each seed that both methods have.

    The dense control is the one with the learning rate of that sparsity.
    """
    rate = runs.loc[runs["prune_sparsity"] == sparsity, "learning_rate"].iloc[0]
    columns = []
    for method in (one, other):
        share = 0 if method == CONTROL else sparsity
        chosen = (runs["method"] == method) & (runs["prune_sparsity"] == share) & (runs["learning_rate"] == rate)
        columns.append(runs[chosen].set_index("seed")[metric])
    return (columns[0] - columns[1]).dropna()


def draw_methods(
    runs: pd.DataFrame, dense: float, title: str, lowest: float, metric: str = "micro_f1", label: str = "micro-F1"
) -> Figure:
    """Draw the score of every run, a panel for each sparsity and a row for each method; a line is the mean.

    The dashed line is the dense model, the dotted one the mean of the dense model with the same training.
    """
    shares = sorted(share for share in runs["prune_sparsity"].unique() if share)
    names = [name for name in LOOKS if (runs["method"] == name).any()]
    panels: Any
    figure, panels = new_figure(1, len(shares), height=0.34 * len(names) + 1.5, sharey=True, squeeze=False)
    for axes, share in zip(panels[0], shares, strict=True):
        at = runs[runs["prune_sparsity"] == share]
        for row, name in enumerate(names):
            values = at.loc[at["method"] == name, metric].clip(lower=lowest)
            colour, marker = LOOKS[name]
            axes.plot(values, [row] * len(values), linestyle="", color=colour, marker=marker, markersize=5, alpha=0.7)
            if len(values):
                axes.plot([values.mean()] * 2, [row - 0.35, row + 0.35], color=colour, marker="", linewidth=2)
        control = runs[(runs["method"] == CONTROL) & runs["learning_rate"].isin(at["learning_rate"])]
        axes.axvline(dense, color=BLACK, linestyle="--", linewidth=1)
        if len(control):
            axes.axvline(control[metric].mean(), color=BLACK, linestyle=":", linewidth=1.5)
        axes.set(title=f"{share:.0%} removed", xlim=(lowest - 0.01, dense + 0.02), yticks=range(len(names)))
        axes.grid(axis="y", alpha=0)
    panels[0, 0].set_yticklabels(names)
    panels[0, 0].invert_yaxis()
    figure.supxlabel(f"{label} on validation (a truncated axis)", fontsize=10)
    figure.suptitle(title, fontsize=12)
    return figure


def draw_pairs(runs: pd.DataFrame, pairs: Sequence[tuple[str, str]], title: str, metric: str, label: str) -> Figure:
    """Draw one method minus another, a row for each pair and a panel for each sparsity.

    A small dot is a seed; the large one is the mean, with its 95% interval. Right of 0 the first method is ahead.
    """
    shares = sorted(share for share in runs["prune_sparsity"].unique() if share)
    panels: Any
    figure, panels = new_figure(1, len(shares), height=0.34 * len(pairs) + 1.5, sharex=True, sharey=True, squeeze=False)
    for axes, share in zip(panels[0], shares, strict=True):
        for row, (one, other) in enumerate(pairs):
            differences = pair_runs(runs, one, other, share, metric).tolist()
            axes.plot(differences, [row] * len(differences), linestyle="", color=GREY, marker="o", markersize=3)
            mean, reach = sum(differences) / len(differences), smallest_seen(differences)
            colour = BLACK if abs(mean) > reach else GREY
            axes.errorbar(mean, row, xerr=reach, color=colour, marker="o", markersize=6, capsize=3)
        axes.axvline(0, color=BLACK, linestyle="--", linewidth=1)
        axes.set(title=f"{share:.0%} removed", yticks=range(len(pairs)))
        axes.grid(axis="y", alpha=0)
    panels[0, 0].set_yticklabels([f"{one} \N{MINUS SIGN} {other}" for one, other in pairs], fontsize=9)
    panels[0, 0].invert_yaxis()
    figure.supxlabel(f"difference of the {label} on validation", fontsize=10)
    figure.suptitle(title, fontsize=12)
    return figure


def find_front(costs: Sequence[float], scores: Sequence[float]) -> list[int]:
    """Return the places of the models that no other one beats in one of the two and equals in the other."""
    points = list(zip(costs, scores, strict=True))
    return [
        place
        for place, (cost, score) in enumerate(points)
        if not any(c <= cost and s >= score and (c, s) != (cost, score) for c, s in points)
    ]


COSTS = ("ms_1", "ms_8", "mb", "mb_zipped", "work")


def choose_models(runs: pd.DataFrame, shapes: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each shape of `read_shapes` in float32, with the method that has the best F1 on select.

    The columns are name, method, dtype, micro_f1 (the mean over the seeds on validation) and the costs of the shape;
    masks take the time of the dense shape. The dense model comes twice, as float32 and as bfloat16.
    """
    costs = shapes.set_index(["shape", "dtype"])
    dense = costs.loc[("dense", "float32")]
    rows = []
    for dtype in ("float32", "bfloat16"):
        rows.append({"name": f"dense, {dtype}", "method": "dense", "dtype": dtype, **costs.loc[("dense", dtype)]})
    means = (
        runs[runs["prune_sparsity"] > 0].groupby(["method", "prune_sparsity"])[["micro_f1", "select_micro_f1"]].mean()
    )
    means["shape"] = [f"{_shape_of(method)} {share:.0%}" for method, share in means.index]
    for shape in shapes["shape"].unique():
        candidates = means[means["shape"] == shape]
        if candidates.empty:  # the dense shape, or a share that was not trained
            continue
        method, share = candidates["select_micro_f1"].idxmax()
        cost = costs.loc[(shape, "float32")].fillna(dense)
        name = method if method == "three blocks" else f"{method}, {share:.0%}"
        f1 = candidates.loc[(method, share), "micro_f1"]
        rows.append({**cost, "name": name, "method": method, "dtype": "float32", "micro_f1": f1})
    return pd.DataFrame(rows)[["name", "method", "dtype", "micro_f1", *COSTS]]


def _shape_of(method: str) -> str:
    return {"heads and neurons": method, "three blocks": "blocks"}.get(
        method, method.split(",")[0] if "neurons" in method else "masked"
    )


def draw_costs(models: pd.DataFrame, cost: str, axis: str, title: str, lowest: float) -> Figure:
    """Draw F1 against a cost. `models` has a row for each model: name, method, dtype, micro_f1 and the cost.

    The grey stairs are the Pareto front of those in float32. A model below `lowest` is left out.
    """
    figure, axes = new_figure(height=4.4)
    models = models[models["micro_f1"] >= lowest]
    for model in models.to_dict("records"):
        colour, marker = LOOKS.get(model["method"], (BLACK, "*"))
        axes.plot(model[cost], model["micro_f1"], linestyle="", color=colour, marker=marker, markersize=9, zorder=3)
    single = models[models["dtype"] == "float32"]
    front = single.iloc[find_front(single[cost].tolist(), single["micro_f1"].tolist())].sort_values(cost)
    axes.step(front[cost], front["micro_f1"], where="post", color=GREY, marker="", linewidth=1, zorder=0)
    _label(axes, models, cost)
    axes.set(xlabel=axis, ylabel="micro-F1 on validation (a truncated axis)", title=title)
    axes.set_xlim(0, 1.25 * models[cost].max())  # room for the names on the right
    return figure


def _label(axes: Axes, models: pd.DataFrame, cost: str) -> None:
    """Write each model's name left of its point, right where costs are highest; of two that meet one moves down."""
    step = 0.045 * (models["micro_f1"].max() - models["micro_f1"].min())
    most = models[cost].max()
    placed: list[tuple[float, float]] = []
    for model in models.sort_values("micro_f1", ascending=False).to_dict("records"):
        x, y = model[cost], model["micro_f1"]
        right = x > 0.9 * most
        while any(abs(x - u) < 0.31 * most and (u > 0.9 * most) == right and abs(y - v) < step for u, v in placed):
            y -= step / 4
        placed.append((x, y))
        colour, _ = LOOKS.get(model["method"], (BLACK, "*"))
        place = (x + (0.02 if right else -0.02) * most, y)
        axes.annotate(model["name"], place, ha="left" if right else "right", va="center", fontsize=8.5, color=colour)


def draw_cheapest(models: pd.DataFrame, dense: float, cost: str, loss: float) -> Figure:
    """Draw the models with their costs, and circle the cheapest one whose F1 is at most `loss` below `dense`."""
    good = models[models["micro_f1"] >= dense - loss].sort_values([cost, "micro_f1"], ascending=[True, False])
    name = good["name"].iloc[0] if len(good) else "no model"
    figure = draw_costs(models, cost, cost, f"A loss of {loss:.2f} is allowed: {name}", lowest=0.75)
    axes = figure.axes[0]
    axes.axhline(dense - loss, color=BLACK, linestyle=":", linewidth=1)
    for model in good.head(1).to_dict("records"):
        axes.plot(model[cost], model["micro_f1"], "o", markersize=18, markerfacecolor="none", color=BLACK)
    return figure
