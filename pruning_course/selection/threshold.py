"""The threshold of a global comparison, found without sorting."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

DIGIT = 16  # bits that one histogram looks at
STRIDE = 16  # every 16th score is in the sample that says where to look
CHUNK = 1 << 20  # numbers at a time: 4 MB of float32, which fit into a CPU's cache


def iterate_bits(tensor: Tensor, dtype: torch.dtype) -> Iterator[tuple[int, Tensor]]:
    """Yield the flat index of each chunk and its bit patterns: read as integers, they have the order of the floats."""
    integer = torch.int64 if dtype == torch.float64 else torch.int32
    for number, chunk in enumerate(tensor.flatten().split(CHUNK)):
        yield number * CHUNK, chunk.to(dtype).view(integer) & torch.iinfo(integer).max  # without a sign bit -0.0 is 0.0


class Threshold(NamedTuple):
    """Where a global comparison separates what is kept from what is removed."""

    bits: int  # the bit pattern of the lowest score that is kept
    ties_kept: int  # how many of the scores equal to it are kept
    in_range: bool  # whether the last histogram had a bin of its own for it


def find_threshold(
    scores: Mapping[str, Tensor], samples: Mapping[str, Tensor], removed: int, count: int, dtype: torch.dtype
) -> Threshold:
    """Find the score with `removed` of the `count` scores below it; `samples` hold a part of each tensor of scores."""
    shifts = range(dtype.itemsize * 8 - DIGIT, -1, -DIGIT)
    if dtype == torch.float32 and count > CHUNK:
        # The sample says where to look. One exact histogram of the 65,536 floats around that place is then enough, and
        # its two outer bins tell whether it was: if the threshold is not among them, the search below runs on all.
        guess = _search(samples, removed, count, dtype, 0, shifts)
        exact = _search(scores, removed, count, dtype, max(0, guess.bits - (1 << (DIGIT - 1))), (0,))
        if exact.in_range:
            return exact
    return _search(scores, removed, count, dtype, 0, shifts)


def _search(
    scores: Mapping[str, Tensor], removed: int, count: int, dtype: torch.dtype, low: int, shifts: Iterable[int]
) -> Threshold:
    """Find the threshold by radix search: one histogram for each digit of its bits, the highest digit first.

    An example with digits of 2 bits (shifts 2 and 0) instead of 16: remove 4 of the eight scores 1 3 5 6 6 9 12 15.
    Their high digits are 0 0 1 1 1 2 3 3, so there are 2, 5, 6 and 8 scores up to the ends of bins 0 to 3. Bin 1 is the
    first with more than 4 scores up to its end, so `low` becomes 1 << 2 = 4. Minus 4, the scores are -3 -1 1 2 2 5 8
    11: two lie below the new bins, and there are 2, 3, 5 and 5 up to the ends of bins 0 to 3. Bin 2 is chosen, so the
    threshold is 4 + 2 = 6, and 5 - 4 = 1 of the two sixes is kept, next to 9, 12 and 15.
    """
    for shift in shifts:
        counts = torch.zeros((1 << DIGIT) + 2, dtype=torch.int64)  # bin 0: below the range; the last bin: above it
        for tensor in scores.values():
            for _, bits in iterate_bits(tensor, dtype):
                digits = bits.sub_(low).bitwise_right_shift_(shift).clamp_(-1, 1 << DIGIT).add_(1)
                counts += torch.bincount(digits, minlength=len(counts)).cpu()
        up_to = counts.cumsum(0)
        rank = removed * int(up_to[-1]) // count  # in a sample, the same share
        chosen = int(torch.searchsorted(up_to, rank, right=True))  # the first bin with more than `rank` up to it
        low += (chosen - 1) << shift
    return Threshold(low, int(up_to[chosen]) - rank, 0 < chosen <= 1 << DIGIT)
