"""Scores as integers of the same order, and the masks of earlier selections."""

from collections.abc import Mapping

import torch
from torch import Tensor


def as_integers(scores: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the bit patterns of non-negative scores in float32 or float64, which have the order of the scores.

    Any smaller dtype fits into float32, so nothing is rounded.
    """
    integer = torch.int64 if dtype == torch.float64 else torch.int32
    return scores.detach().to(dtype).view(integer) & torch.iinfo(integer).max  # without a sign bit -0.0 is 0.0


def kept_before(among: Mapping[str, Tensor] | None, name: str, scores: Tensor) -> Tensor | None:
    """Return the mask that `among` has for a tensor of scores, on its device, or None if all of it is kept.

    Raises ValueError if the mask has another shape than the scores; TypeError if it is not bool.
    """
    keep = None if among is None else among.get(name)
    if keep is None:
        return None
    if keep.dtype != torch.bool:
        raise TypeError(f"The earlier mask of {name} is {keep.dtype}; masks are torch.bool, True = kept.")
    if keep.shape != scores.shape:
        raise ValueError(f"The earlier mask of {name} is {tuple(keep.shape)}, its scores are {tuple(scores.shape)}.")
    return keep.to(scores.device)
