"""Patterns and neurons (notebook 06)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pruning_course.selection import keep_per_row
from pruning_course.teaching.checks.check import AS_FOUND, Case, Check, Mistake
from pruning_course.teaching.checks.masks import mask

EIGHT = torch.tensor([[9.0, 8.0, 7.0, 6.0, 1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0]])

FFN = tuple[Tensor, Tensor, Tensor]  # weight_in, bias_in, weight_out


def _of_four(scores: Tensor, check: bool = True, keep: int = 2) -> Tensor:
    if check and scores.shape[1] % 4:
        raise ValueError
    groups = scores.reshape(-1, 4)
    return keep_per_row({"": groups}, 1 - keep / 4)[""].view(scores.shape)


def _half_of_rows(scores: Tensor) -> Tensor:
    if scores.shape[1] % 4:
        raise ValueError
    return keep_per_row({"": scores}, 0.5)[""]


def _strict(scores: Tensor) -> Tensor:
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


def _others(count: int, gone: Sequence[int]) -> list[int]:
    return [i for i in range(count) if i not in gone]


def _only_rows(weight_in: Tensor, bias_in: Tensor, weight_out: Tensor, gone: Sequence[int]) -> FFN:
    return weight_in[_others(len(weight_in), gone)], bias_in, weight_out[:, _others(len(weight_in), gone)]


def _rows_twice(weight_in: Tensor, bias_in: Tensor, weight_out: Tensor, gone: Sequence[int]) -> FFN:
    keep = _others(len(weight_in), gone)
    return weight_in[keep], bias_in[keep], weight_out[_others(len(weight_out), gone)]


def _columns_of_the_first(weight_in: Tensor, bias_in: Tensor, weight_out: Tensor, gone: Sequence[int]) -> FFN:
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
