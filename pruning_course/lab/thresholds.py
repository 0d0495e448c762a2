"""A threshold of its own for each label."""

import torch
from torch import Tensor


def fit_thresholds(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the threshold of each label, float (labels,), above which an answer counts as yes, for the best F1.

    A threshold lies halfway between two neighbouring scores; of equally good ones, the lowest is taken. A label that no
    text has gets infinity: never yes.

    Args:
        scores: logits or probabilities, float (texts, labels).
        labels: 0 and 1, (texts, labels).

    Raises ValueError if the two shapes differ, or there are no texts.

    >>> fit_thresholds(torch.tensor([[0.1], [0.2], [0.4], [0.3]]), torch.tensor([[0], [0], [1], [1]]))
    tensor([0.2500])
    """
    if scores.shape != labels.shape or scores.dim() != 2 or not len(scores):
        raise ValueError(
            f"The scores are {tuple(scores.shape)}, the labels {tuple(labels.shape)}; both must be (texts, labels)."
        )
    return torch.stack([_fit_one(*column) for column in zip(scores.T, labels.T, strict=True)])


def _fit_one(scores: Tensor, labels: Tensor) -> Tensor:
    if not labels.any():
        return torch.tensor(torch.inf, dtype=scores.dtype)
    found = scores.unique()  # rising
    between = (found[1:] + found[:-1]) / 2
    candidates = torch.cat([found[:1] - 1, between])  # the first one says yes to all texts
    said_yes = scores > candidates[:, None]  # (candidates, texts)
    right = (said_yes & labels.bool()).sum(1)
    f1 = 2 * right / (said_yes.sum(1) + labels.bool().sum())
    return candidates[f1.argmax()]
