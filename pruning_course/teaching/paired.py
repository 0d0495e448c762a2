"""Runs that share a seed, or predictions for the same texts, compared pair by pair, with their spread."""

from collections.abc import Sequence
from math import sqrt
from statistics import stdev

import pandas as pd
import torch
from torch import Tensor

# Student's t for a two-sided 95% interval, for 2, 3, ... pairs.
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
MOST = len(STUDENT) + 1


def smallest_seen(differences: Sequence[float]) -> float:
    """Return the smallest mean of paired differences that this spread could tell from 0, with 95% confidence.

    It is t s / sqrt(n) for n differences with the standard deviation s. Raises ValueError for fewer than 2 or more than
    10 of them.

    >>> smallest_seen([0.10, 0.09, 0.12])
    0.0379...
    """
    count = len(differences)
    if not 2 <= count <= MOST:
        raise ValueError(f"There are {count} pairs; 2 to {MOST} can be compared.")
    return STUDENT[count - 2] * stdev(differences) / sqrt(count)


def paired(runs: pd.DataFrame, against: str) -> pd.DataFrame:
    """Return how far each column of `runs` is from the column `against`: a row for each, in their order.

    A row of `runs` is one seed (or draw), and its numbers belong together. The columns of the result are the mean of
    the differences, the lowest and the highest, and `seen from`, the `smallest_seen` of them.

    Raises KeyError if there is no such column, ValueError if there are fewer than 2 or more than 10 rows.
    """
    differences = runs.drop(columns=against).sub(runs[against], axis=0)
    return pd.DataFrame(
        {
            "mean difference": differences.mean(),
            "lowest": differences.min(),
            "highest": differences.max(),
            "seen from": [smallest_seen(differences[name].tolist()) for name in differences],
        }
    )


def f1_gain(
    truth: Tensor, before: Tensor, after: Tensor, draws: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """Return how much micro-F1 `after` gains over `before`, and the ends of a 95% interval over texts.

    The texts are drawn with replacement, the same ones for both predictions (a paired bootstrap). All three tensors are
    bool (texts, labels). Raises ValueError if their shapes differ.
    """
    if not truth.shape == before.shape == after.shape:
        raise ValueError(f"The shapes are {tuple(truth.shape)}, {tuple(before.shape)} and {tuple(after.shape)}.")
    dice = torch.Generator().manual_seed(seed)
    texts = torch.randint(len(truth), (draws, len(truth)), generator=dice)
    times = torch.stack([row.bincount(minlength=len(truth)) for row in texts])  # how often each draw has each text
    times = torch.cat([torch.ones(1, len(truth), dtype=torch.long), times])  # first the texts as they are
    gains = _micro_f1(truth, after, times) - _micro_f1(truth, before, times)
    low, high = gains[1:].quantile(torch.tensor([0.025, 0.975], dtype=gains.dtype)).tolist()
    return float(gains[0]), low, high


def _micro_f1(truth: Tensor, predicted: Tensor, times: Tensor) -> Tensor:
    """Micro-F1 (draws,) when each text counts as often as `times` (draws, texts) says."""
    right = times.double() @ (truth & predicted).sum(1).double()
    wrong = times.double() @ (truth ^ predicted).sum(1).double()
    return 2 * right / (2 * right + wrong)
