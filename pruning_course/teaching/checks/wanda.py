"""Wanda (notebook 05)."""

from collections.abc import Callable

import torch
from torch import Tensor

from pruning_course.selection import keep_per_row
from pruning_course.teaching.checks.check import AS_FOUND, Answer, Case, Check, Mistake, WrongKind
from pruning_course.teaching.checks.masks import mask


def _rescue(function: Answer) -> dict[str, bool] | None:
    """What is true of an example of one output, whatever its numbers."""
    answer = function()
    if answer is None:
        return None
    try:
        weights, inputs = (torch.tensor([list(numbers)], dtype=torch.float64) for numbers in answer)
    except (TypeError, ValueError) as error:
        raise WrongKind("it should return two lists of numbers, weights and inputs.") from error
    if weights.shape != inputs.shape or weights.shape[1] % 2 or weights.shape[1] == 0:
        raise WrongKind("there should be as many inputs as weights, and an even number of each.")
    size, use = weights.abs(), weights.abs() * inputs.abs()
    kept = {name: bool(keep_per_row({"": scores}, 0.5)[""][0, 0]) for name, scores in (("size", size), ("use", use))}
    return {"magnitude removes the first weight": not kept["size"], "Wanda keeps the first weight": kept["use"]}


check_wanda_rescues = Check(
    "wanda_rescues",
    [Case("Your example", (), {"magnitude removes the first weight": True, "Wanda keeps the first weight": True})],
    [
        Mistake(
            lambda: ([0.1, 0.3], [1.0, 1.0]),
            "Magnitude removes the first weight, and Wanda does too: its input does not make up for its size.",
            "What does Wanda multiply the size of a weight by?",
        ),
        Mistake(
            lambda: ([0.3, 0.1], [8.0, 1.0]),
            "The first weight is too large: magnitude keeps it by itself.",
            "The first weight must be in the smaller half by size.",
        ),
        Mistake(
            lambda: ([0.3, 0.1], [1.0, 8.0]),
            "It is the wrong way round: here Wanda removes a weight that magnitude keeps.",
            "Swap the two.",
        ),
    ],
    "Two weights and two inputs are enough.",
    _rescue,
)

WEIGHT = torch.tensor([[1.0, -2.0], [0.0, 0.0], [-3.0, 0.5]])
# Three texts of three tokens, two channels; 9 is what padding happens to hold.
INPUTS = torch.tensor([[[3.0, 5.0], [4.0, 0.0], [9.0, 9.0]], [[0.0, 5.0], [9.0, 9.0], [9.0, 9.0]], [[9.0, 9.0]] * 3])
REAL = mask([1, 1, 0], [1, 0, 0], [0, 0, 0])
POOLED = torch.tensor([[3.0, 0.0], [4.0, 1.0]])


def _times(norm: Callable[..., Tensor]) -> Answer:
    """A wrong answer that differs in the norm: `norm(inputs, mask)`."""
    return lambda weight, inputs, mask: weight.abs() * norm(inputs, mask)


def _rows(inputs: Tensor, mask: Tensor | None) -> Tensor:
    return inputs.flatten(0, -2) if mask is None else inputs[mask]


check_wanda_scores = Check(
    "wanda_scores",
    [
        Case(
            "Two texts without padding",
            (WEIGHT, INPUTS[:2, :1], REAL[:2, :1]),
            torch.tensor([[3.0, 2 * 50**0.5], [0.0, 0.0], [9.0, 0.5 * 50**0.5]]),
        ),
        Case(
            "Three texts with padding, one of them empty",
            (WEIGHT, INPUTS, REAL),
            torch.tensor([[5.0, 2 * 50**0.5], [0.0, 0.0], [15.0, 0.5 * 50**0.5]]),
        ),
        Case(
            "Pooled inputs, one vector a text",
            (WEIGHT, POOLED, None),
            torch.tensor([[5.0, 2.0], [0.0, 0.0], [15.0, 0.5]]),
        ),
    ],
    [
        Mistake(
            _times(lambda inputs, mask: inputs.norm(dim=1).mean(dim=0)),
            "That is the lecture's norm: one for each text, padding included, then their mean.",
            "Collect the real tokens of all texts into one matrix first: `inputs[mask]`.",
        ),
        Mistake(
            _times(lambda inputs, mask: inputs.flatten(0, -2).norm(dim=0)),
            "Padding was counted.",
            "`inputs[mask]` leaves out what is no real token.",
        ),
        Mistake(
            _times(lambda inputs, mask: (inputs if mask is None else inputs * mask[..., None]).norm(dim=1).mean(dim=0)),
            "A mean of norms is not the norm over all tokens; and of a pooled input it leaves one number.",
            "One norm over all real tokens of all texts.",
        ),
        Mistake(
            lambda weight, inputs, mask: weight * _rows(inputs, mask).norm(dim=0),
            "A score is never negative: take the size of the weight.",
        ),
        Mistake(
            _times(lambda inputs, mask: _rows(inputs, mask).abs().sum(dim=0)),
            "That is the L1 norm.",
            "L2: squares, sum, square root; `norm(dim=0)` does it.",
        ),
        Mistake(
            _times(lambda inputs, mask: _rows(inputs, mask).square().sum(dim=0)),
            "The square root is missing.",
        ),
    ],
    "First make a matrix (real tokens, in); then one norm for each of its columns.",
)

UNEVEN = torch.tensor([[0.1, 0.2, 0.3, 0.4], [5.0, 8.0, 7.0, 6.0]])
FLAT = torch.tensor([[0.0, 0.0, 0.0, 0.0], [2.0, 1.0, 1.0, 3.0]])


def _per_column(scores: Tensor, sparsity: float) -> Tensor:
    return keep_per_row({"": scores.t()}, sparsity)[""].t()


check_keep_per_output = Check(
    "keep_per_output",
    [
        Case("A row of small scores above a row of large ones, 50%", (UNEVEN, 0.5), mask([0, 0, 1, 1], [0, 1, 1, 0])),
        Case("A row of zeros and a row with a tie, 50%", (FLAT, 0.5), mask([1, 1, 0, 0], [1, 0, 0, 1])),
        Case("A tie at the place of the cut, 25%", (FLAT, 0.25), mask([1, 1, 1, 0], [1, 1, 0, 1])),
        Case("0%", (FLAT, 0.0), mask([1, 1, 1, 1], [1, 1, 1, 1])),
        Case("100%", (UNEVEN, 1.0), mask([0, 0, 0, 0], [0, 0, 0, 0])),
    ],
    [
        Mistake(
            lambda scores, sparsity: scores > scores.flatten().quantile(sparsity),
            AS_FOUND,
            "How many weights does each row keep? The paper compares the inputs of one output with each other.",
        ),
        Mistake(
            lambda scores, sparsity: keep_per_row({"": scores.view(1, -1)}, sparsity)[""].view_as(scores),
            "The count is exact, but over the whole tensor: a row of small scores loses everything.",
            "Work along dim=1.",
        ),
        Mistake(
            lambda scores, sparsity: scores > scores.quantile(sparsity, dim=1, keepdim=True),
            "Each row has its own threshold, and a strict `>` drops all its ties.",
            "Rank the scores of a row instead: two `argsort(dim=1)`, one after the other.",
        ),
        Mistake(_per_column, "That compares within columns, where Wanda and magnitude agree.", "Rows are outputs."),
    ],
    "argsort of argsort gives ranks: of each score in its row, how many come before it.",
)
