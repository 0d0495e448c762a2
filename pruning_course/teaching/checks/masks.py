"""Masks and counts (notebook 01)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pruning_course.teaching.checks.check import AS_FOUND, Case, Check, Mistake

TEN = torch.tensor([0.8, 0.05, 0.3, 0.01, 0.6, 0.02, 0.9, 0.03, 0.15, 0.7])


def mask(*rows: Sequence[int]) -> Tensor:
    """0 and 1 to bool; one row gives one dimension."""
    return torch.tensor(rows[0] if len(rows) == 1 else rows).bool()


def _lower_half(scores: Tensor) -> Tensor:
    return scores <= scores.sort().values[len(scores) // 2 - 1]


check_keep_half = Check(
    "keep_half",
    [
        Case("The ten weights of notebook 01", (TEN,), mask([1, 0, 1, 0, 1, 0, 1, 0, 0, 1])),
        Case("Two scores", (torch.tensor([2.0, 1.0]),), mask([1, 0])),
        Case("Four scores, one large", (torch.tensor([1.0, 2.0, 3.0, 90.0]),), mask([0, 0, 1, 1])),
    ],
    [
        Mistake(
            lambda scores: scores >= scores.sort().values[len(scores) // 2 - 1],
            AS_FOUND,
            "Which of the ten scores equals the threshold, and which half does it belong to?",
        ),
        Mistake(
            lambda scores: scores > scores.sort().values[len(scores) // 2],
            "One too few stays: the threshold is the smallest score of the upper half, and `>` drops it.",
            "Places count from 0.",
        ),
        Mistake(
            lambda scores: scores > scores.mean(),
            "That compares with the mean, which one large score moves; half of a *count* needs the middle.",
            "How many of the scores lie above their mean?",
        ),
        Mistake(_lower_half, "The mask is the wrong way round: True means kept."),
    ],
    "Sort the scores and look at the two in the middle.",
)


def _exactly(scores: Tensor, removed: int, later_first: bool = True) -> Tensor:
    keep = torch.ones(scores.numel(), dtype=torch.bool)
    order = sorted(range(scores.numel()), key=lambda i: (scores.flatten()[i], -i if later_first else i))
    keep[order[:removed]] = False
    return keep.view(scores.shape)


def _above_quantile(scores: Tensor, sparsity: float) -> Tensor:
    return scores > scores.flatten().quantile(sparsity)


def _from_quantile(scores: Tensor, sparsity: float) -> Tensor:
    return scores >= scores.flatten().quantile(sparsity)


def _by_row(scores: Tensor, sparsity: float) -> Tensor:
    rows = scores if scores.dim() == 2 else scores[None]
    return torch.stack([_exactly(row, round(sparsity * len(row))) for row in rows]).view(scores.shape)


check_keep_exactly = Check(
    "keep_exactly",
    [
        Case("Ten different scores, 50%", (TEN, 0.5), mask([1, 0, 1, 0, 1, 0, 1, 0, 0, 1])),
        Case("Eight equal scores, 50%", (torch.full((8,), 0.02), 0.5), mask([1, 1, 1, 1, 0, 0, 0, 0])),
        Case("Four zeros, 25%", (torch.zeros(4), 0.25), mask([1, 1, 1, 0])),
        Case("Three scores, 60%", (torch.tensor([3.0, 1.0, 2.0]), 0.6), mask([1, 0, 0])),
        Case(
            "A matrix with ties and a row of zeros, 50%",
            (torch.tensor([[0.0, 0.0, 0.0], [2.0, 1.0, 1.0]]), 0.5),
            mask([0, 0, 0], [1, 1, 1]),
        ),
        Case("0%", (torch.tensor([1.0, 1.0, 0.0]), 0.0), mask([1, 1, 1])),
        Case("100%", (torch.tensor([1.0, 1.0, 2.0]), 1.0), mask([0, 0, 0])),
    ],
    [
        Mistake(
            _above_quantile,
            "A strict `>` drops every tie, zeros included.",
            "A threshold cannot split equal scores; choose places, not values.",
        ),
        Mistake(
            _from_quantile,
            "`>=` keeps every tie, so too many stay.",
            "A threshold cannot split equal scores; choose places, not values.",
        ),
        Mistake(
            lambda scores, sparsity: _exactly(scores, int(sparsity * scores.numel())),
            "`int` cuts off: 1.8 weights become 1.",
            "Use `round`.",
        ),
        Mistake(
            lambda scores, sparsity: _exactly(scores, round(sparsity * scores.numel()), later_first=False),
            "The count is right, the tie rule is not: of equal scores the *later* ones go first.",
            "`sort` has the option `stable`; which end of a sorted list do you cut?",
        ),
        Mistake(_by_row, "That compares within each row; here all scores of the tensor compete.", "Flatten first."),
        Mistake(
            lambda scores, sparsity: ~_exactly(scores, round(sparsity * scores.numel())),
            "The mask is the wrong way round: True means kept.",
        ),
    ],
    "Sort the *places* of the scores, then mark the first so many as kept.",
)
