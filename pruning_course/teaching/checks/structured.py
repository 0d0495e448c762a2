"""Structured pruning and patterns (notebook 06)."""

import copy

import torch

from pruning_course.selection import keep_per_row
from pruning_course.teaching.checks.check import AS_FOUND, Case, Check, Mistake, WrongKind
from pruning_course.teaching.checks.masks import mask
from pruning_course.teaching.tiny import TinyAttention

EIGHT = torch.tensor([[9.0, 8.0, 7.0, 6.0, 1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0]])


def _of_four(scores, check=True, keep=2):
    if check and scores.shape[1] % 4:
        raise ValueError
    groups = scores.reshape(-1, 4)
    return keep_per_row({"": groups}, 1 - keep / 4)[""].view(scores.shape)


def _half_of_rows(scores):
    if scores.shape[1] % 4:
        raise ValueError
    return keep_per_row({"": scores}, 0.5)[""]


def _strict(scores):
    if scores.shape[1] % 4:
        raise ValueError
    groups = scores.reshape(-1, 4)
    return (groups > groups.sort(dim=1).values[:, 1:2]).view(scores.shape)


check_keep_two_of_four = Check(
    "keep_two_of_four",
    [
        Case("Two rows of eight, with ties", (EIGHT,), mask([1, 1, 0, 0, 0, 0, 1, 1], [1, 1, 0, 0, 1, 1, 0, 0])),
        Case("One group", (torch.tensor([[1.0, 4.0, 2.0, 3.0]]),), mask([0, 1, 0, 1], [0, 1, 0, 1])[:1]),
        Case("Two rows of six, which 4 does not divide", (torch.ones(2, 6),), ValueError),
    ],
    [
        Mistake(
            _half_of_rows,
            "That keeps half of each row wherever it is; hardware wants two of every four neighbours.",
            "Cut the rows into groups of four first: `scores.reshape(-1, 4)`.",
        ),
        Mistake(
            _strict,
            "A threshold drops the ties of a group: some groups keep fewer than two.",
            "Rank the four, and keep ranks 0 and 1.",
        ),
        Mistake(
            lambda scores: _of_four(scores, check=False),
            "With rows of six a group would run from one row into the next.",
            "Refuse rows that 4 does not divide: ValueError.",
        ),
        Mistake(lambda scores: ~_of_four(scores), "The mask is the wrong way round: True means kept."),
    ],
    "Cut the rows into groups of four, rank inside each group, keep ranks 0 and 1.",
)

IN = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])  # 3 neurons, 3 inputs
BIAS = torch.tensor([0.1, 0.2, 0.3])
OUT = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])  # 2 outputs, 3 neurons


def _others(count, gone):
    return [i for i in range(count) if i not in gone]


def _only_rows(weight_in, bias_in, weight_out, gone):
    return weight_in[_others(len(weight_in), gone)], bias_in, weight_out[:, _others(len(weight_in), gone)]


def _rows_twice(weight_in, bias_in, weight_out, gone):
    keep = _others(len(weight_in), gone)
    return weight_in[keep], bias_in[keep], weight_out[_others(len(weight_out), gone)]


def _columns_of_the_first(weight_in, bias_in, weight_out, gone):
    return weight_in[:, _others(weight_in.shape[1], gone)], bias_in, weight_out


check_remove_neurons = Check(
    "remove_neurons",
    [
        Case("Neuron 1 of 3 goes", (IN, BIAS, OUT, [1]), (IN[[0, 2]], BIAS[[0, 2]], OUT[:, [0, 2]])),
        Case("None goes", (IN, BIAS, OUT, []), (IN, BIAS, OUT)),
        Case("All go", (IN, BIAS, OUT, [0, 1, 2]), (IN[[]], BIAS[[]], OUT[:, []])),
    ],
    [
        Mistake(
            _columns_of_the_first,
            AS_FOUND,
            "The weight is (outputs, inputs). Which of the two is a hidden neuron, for the first matrix?",
        ),
        Mistake(_only_rows, "The bias of a removed neuron is still there.", "A neuron has one entry of `bias_in`."),
        Mistake(
            _rows_twice, "A row of the second matrix is an output of the FFN; its *columns* belong to the neurons."
        ),
        Mistake(
            lambda weight_in, bias_in, weight_out, gone: (weight_in[gone], bias_in[gone], weight_out[:, gone]),
            "That keeps exactly the neurons that should go.",
        ),
    ],
    "A neuron is a row of the first matrix, an entry of its bias, and a column of the second one.",
)

TEXT = torch.linspace(-1, 1, 24).view(4, 6)  # 4 tokens, 6 channels


def _zeroed(attention, head, matrices, biases=(), rows=False):
    silent = copy.deepcopy(attention)
    own = slice(head * attention.size, (head + 1) * attention.size)
    for name in matrices:
        weight = getattr(silent, name).weight.data
        if name == "output" and not rows:
            weight[:, own] = 0
        else:
            weight[own] = 0
    for name in biases:
        getattr(silent, name).bias.data[own] = 0
    return silent


def _answer(function, attention, head):
    """What can be seen of the attention that `function` returns."""
    answer = function(attention, head)
    if answer is None:
        return None
    if not isinstance(answer, TinyAttention):
        raise WrongKind("it should return a TinyAttention.")
    with torch.no_grad():
        return {"heads": answer.heads, "query rows": len(answer.query.weight), "output for one token": answer(TEXT)[0]}


def _without(attention, head, heads):
    with torch.no_grad():
        output = _zeroed(attention, head, ["output"])(TEXT)
    return {"heads": heads, "query rows": heads * attention.size, "output for one token": output[0]}


ATTENTION = TinyAttention.random()
NO_BIAS = copy.deepcopy(ATTENTION)
for _layer in (NO_BIAS.query, NO_BIAS.key, NO_BIAS.value):
    _layer.bias.data.zero_()
HEADS = {"Head 0 of 3": (ATTENTION, 0), "Head 2 of 3": (ATTENTION, 2), "Head 1, no biases": (NO_BIAS, 1)}

check_silence_head = Check(
    "silence_head",
    [Case(told, given, _without(*given, heads=3)) for told, given in HEADS.items()],
    [
        Mistake(
            lambda attention, head: _zeroed(attention, head, ["query", "key", "value"]),
            AS_FOUND,
            "Without biases it is right. What does a head put out whose weights are all 0 and whose biases are not?",
        ),
        Mistake(
            lambda attention, head: _zeroed(attention, head, ["output"], rows=True),
            "Rows of the output layer are channels of the result; the head stands in its columns.",
            "`silent.output.weight.data[:, own] = 0`",
        ),
        Mistake(
            lambda attention, head: _zeroed(attention, head, ["query", "key"], ["query", "key"]),
            "Without query and key the head looks at all tokens alike, and still passes their values on.",
            "What goes out through `output` must be cut.",
        ),
        Mistake(
            lambda attention, head: _zeroed(attention, attention.heads - 1 - head, ["output"]),
            "That silences another head: they count from 0, in the order of the rows.",
        ),
    ],
    "Everything that a head says goes through its columns of the output layer.",
    _answer,
)


def _cut(attention, head, biases=True, output=True):
    keep = [i for i in range(attention.heads * attention.size) if i // attention.size != head]
    smaller = TinyAttention(attention.hidden, attention.heads - 1, attention.size)
    for name in ("query", "key", "value"):
        getattr(smaller, name).weight.data = getattr(attention, name).weight.data[keep]
        if biases:
            getattr(smaller, name).bias.data = getattr(attention, name).bias.data[keep]
    columns = keep if output else slice(0, len(keep))
    smaller.output.weight.data = attention.output.weight.data[:, columns]
    smaller.output.bias.data = attention.output.bias.data.clone()
    return smaller


check_remove_head = Check(
    "remove_head",
    [Case(told, given, _without(*given, heads=2)) for told, given in HEADS.items()],
    [
        Mistake(
            lambda attention, head: _zeroed(attention, head, ["output"]),
            "The head is silent, but the matrices are as large as before.",
            "Make a new TinyAttention with one head less, and copy what stays.",
        ),
        Mistake(
            lambda attention, head: _cut(attention, head, biases=False),
            "The biases of query, key and value are lost: those of a new TinyAttention are 0.",
            "Cut each bias like the rows of its weight.",
        ),
        Mistake(
            lambda attention, head: _cut(attention, head, output=False),
            "The output layer lost its last columns instead of those of the head.",
            "The same places stay in all four layers: rows of query, key and value, columns of output.",
        ),
        Mistake(
            lambda attention, head: _cut(attention, attention.heads - 1 - head),
            "That removes another head: they count from 0, in the order of the rows.",
        ),
    ],
    "List the channels that stay: rows of query, key and value (biases too), columns of output.",
    _answer,
)
