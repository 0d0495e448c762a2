"""Runs that share a seed, or predictions for the same texts, compared pair by pair, with their spread."""

from math import sqrt

import pandas as pd
import torch
from torch import Tensor

# Student's t for a two-sided 95% interval, by the number of pairs.
T = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}


def paired(runs: pd.DataFrame, against: str) -> pd.DataFrame:
    """Return how far each column of `runs` is from the column `against`: a row for each, in their order.

    A row of `runs` is one seed (or draw), and its numbers belong together. The columns of the result are the mean of
    the differences, the lowest and the highest, and `seen from`: the smallest mean that these pairs could have told
    from 0, which is t * deviation / sqrt(pairs) for a 95% interval.

    Raises KeyError if there is no such column, ValueError if there are fewer than 2 or more than 10 rows.
    """
    if len(runs) not in T:
        raise ValueError(f"There are {len(runs)} pairs; 2 to 10 can be compared.")
    differences = runs.drop(columns=against).sub(runs[against], axis=0)
    return pd.DataFrame(
        {
            "mean difference": differences.mean(),
            "lowest": differences.min(),
            "highest": differences.max(),
            "seen from": T[len(runs)] * differences.std() / sqrt(len(runs)),
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
