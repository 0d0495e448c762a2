"""The threshold of a global comparison, found without sorting."""

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor

from pruning_course.selection.order import as_integers, kept_before

DIGIT = 16  # bits that one histogram looks at
BINS = (1 << DIGIT) + 2  # of a histogram: one below and one above the range
CACHED = 1 << 17  # numbers at a time on a CPU: half a megabyte of integers, which fits into its cache
CHUNK = 1 << 24  # numbers at a time on an accelerator
FEW = 1 << 22  # scores that may be set aside and sorted


def iterate_slices(flat: Tensor) -> Iterator[slice]:
    """Yield the slices in which a flat tensor is worked on."""
    step = CACHED if flat.device.type == "cpu" else CHUNK
    for start in range(0, len(flat), step):
        yield slice(start, start + step)


class Threshold:
    """Where a global comparison separates what is kept from what is removed.

    Args:
        dtype: float32 or float64, in which scores are read `as_integers`.
        digits: integers whose first digits are higher are kept, and those whose first digits are lower are removed.
        shift: the number of bits after these digits.
        near: how many integers have just these digits.
        kept: how many of those are kept: the highest, and of equal ones the first.
    """

    def __init__(self, dtype: torch.dtype, digits: int, shift: int, near: int, kept: int):
        self._dtype, self._digits, self._shift, self._left = dtype, digits, shift, kept
        # What is near is set aside, in memory that is reserved before there are more scores, as that of the masks is.
        self._places = torch.zeros(near if shift else 0, dtype=torch.int64)
        self._integers = torch.zeros_like(self._places)
        self._sizes: list[int] = []  # how many places in each tensor

    def apply(self, scores: Tensor, earlier: Tensor | None, mask: Tensor) -> None:
        """Set `mask`, which is contiguous, to True where scores are kept; the tensors come in order."""
        flat, flat_mask, flat_earlier = scores.flatten(), mask.view(-1), None if earlier is None else earlier.flatten()
        start = end = sum(self._sizes)
        for part in iterate_slices(flat):
            integers, kept = as_integers(flat[part], self._dtype), flat_mask[part]
            digits = integers >> self._shift
            torch.gt(digits, self._digits, out=kept)
            near = digits == self._digits
            if flat_earlier is not None:
                kept &= flat_earlier[part]
                near &= flat_earlier[part]
            places = near.nonzero().flatten()
            if self._shift:
                found = slice(end, end := end + len(places))
                self._places[found], self._integers[found] = places + part.start, integers[places]
            else:  # all of these are equal
                kept[places[: self._left]] = True
                self._left = max(0, self._left - len(places))
        self._sizes.append(end - start)

    def settle(self, masks: Iterable[Tensor]) -> None:
        """Set the masks to True where they depend on more than the first digits, after `apply` for each of them."""
        highest = self._integers.sort(descending=True, stable=True).indices[: self._left]
        kept = torch.zeros_like(self._places, dtype=torch.bool).index_fill_(0, highest, True)
        for mask, places, chosen in zip(masks, self._places.split(self._sizes), kept.split(self._sizes), strict=True):
            mask.view(-1)[places.to(mask.device)] = chosen.to(mask.device)


def count_digits(scores: Tensor, earlier: Tensor | None, dtype: torch.dtype, low: int, shift: int) -> Tensor:
    """Count the scores, read `as_integers`, in 65,536 bins of 2^shift integers from `low` on.

    Bin 0 of the result counts what is below `low` or removed already, its last bin what is above the others.
    """
    flat, flat_earlier = scores.flatten(), None if earlier is None else earlier.flatten()
    counts = torch.zeros(BINS, dtype=torch.int64)
    below = (low >> shift) - 1
    for part in iterate_slices(flat):
        digits = as_integers(flat[part], dtype).bitwise_right_shift_(shift).clamp_(below, below + BINS - 1).sub_(below)
        if flat_earlier is not None:
            digits *= flat_earlier[part]
        counts += torch.bincount(digits, minlength=BINS).cpu()
    return counts


def find_threshold(
    scores: Mapping[str, Tensor],
    among: Mapping[str, Tensor] | None,
    removed: int,
    dtype: torch.dtype,
    counts: Tensor | None,
) -> Threshold:
    """Find the score with `removed` scores below it by radix search: one histogram for each digit, the highest first.

    The search ends as soon as the bin with that score holds few scores. `counts` is the first histogram if it is known.

    An example with digits of 2 bits (shifts 2 and 0) instead of 16: remove 4 of the eight scores 1 3 5 6 6 9 12 15.
    Their high digits are 0 0 1 1 1 2 3 3, so there are 2, 5, 6 and 8 scores up to the ends of bins 0 to 3. Bin 1 is the
    first with more than 4 scores up to its end, and 5 - 4 = 1 of the three scores in it is kept, next to 9, 12 and 15.
    If three are too many, the search goes on from `low` = 1 << 2 = 4. Minus 4, the scores are -3 -1 1 2 2 5 8 11: two
    are below the new bins, and there are 2, 3, 5 and 5 up to the ends of bins 0 to 3. Bin 2 is chosen, so the
    threshold is 4 + 2 = 6, and one of the two sixes is kept.
    """
    low = 0
    for shift in range(dtype.itemsize * 8 - DIGIT, -1, -DIGIT):
        if counts is None:
            counts = torch.zeros(BINS, dtype=torch.int64)
            for name, tensor in scores.items():
                counts += count_digits(tensor, kept_before(among, name, tensor), dtype, low, shift)
                del tensor  # before the next one is computed
        up_to = counts.cumsum(0)
        chosen = int(torch.searchsorted(up_to, removed, right=True))  # the first bin with more than `removed` up to it
        if chosen == 0:  # more are removed already
            return Threshold(dtype, -1, 0, 0, 0)
        low += (chosen - 1) << shift
        near, kept, counts = int(counts[chosen]), int(up_to[chosen]) - removed, None
        if near <= FEW:
            break
    return Threshold(dtype, low >> shift, shift, near, kept)
