"""Scores as integers of the same order, with what is removed already below all others."""

from collections.abc import Mapping

import torch
from torch import Tensor


def as_integers(scores: Tensor, dtype: torch.dtype, keep: Tensor | None = None) -> Tensor:
    """Return the bit patterns of the scores in float32 or float64, and -1 where `keep` (bool, same shape) is False.

    The bit patterns of non-negative floats have the order of the floats, and any smaller dtype fits into float32, so
    nothing is rounded. A score of 0.0 becomes 0, so a weight of 0 that is kept is still above one that is removed.
    """
    integer = torch.int64 if dtype == torch.float64 else torch.int32
    bits = scores.detach().to(dtype).view(integer) & torch.iinfo(integer).max  # without a sign bit -0.0 is 0.0
    if keep is not None:
        bits |= (keep.view(torch.int8) - 1).to(integer)  # OR with 0 where it is kept, with -1 where it is not
    return bits


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
