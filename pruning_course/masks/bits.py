"""Operations on floats that are faster, or safer, on their bit patterns, read as integers of the same size."""

import numpy as np
import torch
from torch import Tensor

INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # by size in bytes
PIECE = 1 << 17  # numbers at a time, so that intermediate results stay in a CPU's cache
LARGE = 1 << 20  # numbers at a time where only the memory matters


def read_bits(tensor: Tensor) -> Tensor:
    """Return a view of `tensor` (any float dtype) as integers of the same size."""
    return tensor.detach().view(INTEGERS[tensor.itemsize])


def values_at(tensor: Tensor, where: Tensor) -> Tensor:
    """Return the values of `tensor` (any float dtype) where `where` (bool, same shape) is True, as a flat tensor."""
    bits = read_bits(tensor)  # neither numpy nor torch can select among all dtypes, such as bfloat16 or float8
    if tensor.device.type != "cpu":
        return bits[where].view(tensor.dtype)
    # numpy's compress is four times as fast on a CPU if each piece fits into the cache.
    pieces = zip(where.flatten().split(PIECE), bits.flatten().split(PIECE), strict=True)
    return torch.cat([torch.from_numpy(np.compress(w.numpy(), b.numpy())) for w, b in pieces]).view(tensor.dtype)


def put_values(tensor: Tensor, where: Tensor, values: Tensor) -> Tensor:
    """Return a copy of `tensor` with `values` (flat) where `where` (bool, same shape) is True; reverses `values_at`."""
    return read_bits(tensor).masked_scatter(where, read_bits(values.to(tensor))).view(tensor.dtype)


def zero_unless(tensor: Tensor, keep: Tensor) -> None:
    """Set `tensor` (any float dtype) to 0.0 where `keep` (bool, same shape) is False, in place."""
    # Multiplying the bit pattern by 0 or 1 is faster than masked_fill_. Unlike a product of floats it leaves no -0.0,
    # and no NaN if training has driven a pruned weight to infinity.
    bits = read_bits(tensor)
    if bits.is_contiguous() and keep.is_contiguous() and bits.device.type == "cpu":
        for piece, kept in zip(bits.view(-1).split(LARGE), keep.view(-1).split(LARGE), strict=True):
            piece.mul_(kept)  # torch makes a copy of the mask as integers, so not for the whole tensor at once
    else:
        bits.mul_(keep)
