"""Scores in, keep masks out: the exact number of weights, whatever the ties.

In every function `scores` maps a name to a tensor of non-negative floats (any shape, any float dtype; it may be lazy),
and the answer maps the same names to bool tensors of the same shapes on the same devices, True = kept. In each group
that is compared, `round(sparsity * count)` weights go: the lowest scores, and among equal ones those that stand last.
The same input gives the same masks on every machine, so that all processes of a distributed run agree.
"""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from torch import Tensor

from pruning_course.counts import is_count

DIGIT = 16  # bits that one histogram looks at
STRIDE = 16  # of the sample that says where to look
CHUNK = 1 << 20  # numbers at a time: 4 MB of float32, which a CPU's cache holds
PART = 1 << 18  # numbers at a time, in whole rows, for one thread


def keep_globally(scores: Mapping[str, Tensor], sparsity: float) -> dict[str, Tensor]:
    """Compare all tensors with each other; ties run in the order of the mapping, then by flat index.

    No flat copy of the scores is made: beside the masks, memory is needed for one tensor at a time.

    Raises:
        ValueError: a sparsity outside [0, 1], an empty mapping, a score that is NaN or negative.
        TypeError: scores that are not floats.
    """
    _check_request(scores, sparsity)
    sample, dtype = _inspected(scores)
    # All masks before the next score is made: else they lie between the scores and keep the freed memory in pieces.
    keep = {name: torch.zeros(shape, dtype=torch.bool, device=some.device) for name, (shape, some) in sample.items()}
    count = sum(mask.numel() for mask in keep.values())
    removed = round(sparsity * count)
    if removed == count:
        return keep
    sample = {name: some for name, (_, some) in sample.items()}
    lowest_kept, ties_kept = _threshold(scores, sample, removed, count, dtype)
    for name, tensor in scores.items():
        for mask, bits in zip(keep[name].view(-1).split(CHUNK), _chunks(tensor, dtype), strict=True):
            # A comparison keeps all ties or none. The tie rule: those that come first are kept, so the count is exact.
            if ties_kept == 0:
                torch.gt(bits, lowest_kept, out=mask)
                continue
            torch.ge(bits, lowest_kept, out=mask)
            ties = bits == lowest_kept
            if ties.any():
                ties = ties.nonzero().flatten()
                mask[ties[ties_kept:]] = False
                ties_kept = max(0, ties_kept - len(ties))
    return keep


def keep_per_tensor(scores: Mapping[str, Tensor], sparsity: float) -> dict[str, Tensor]:
    """Compare within each tensor: every tensor loses the same share. Raises as `keep_globally`."""
    _check_request(scores, sparsity)
    return {name: keep_globally({name: tensor}, sparsity)[name] for name, tensor in scores.items()}


def keep_per_row(scores: Mapping[str, Tensor], sparsity: float) -> dict[str, Tensor]:
    """Compare within each row, along dimension 0 = outputs: every row loses the same share.

    This is the group of Wanda (Sun et al. 2023, arXiv 2306.11695). A Conv1D weight is (in, out): bring its scores to
    (out, in) first. Raises as `keep_globally`, and a ValueError for tensors of fewer than two dimensions.
    """
    _check_request(scores, sparsity)
    keep = {}
    for name, tensor in scores.items():
        rows = _rows(name, tensor)
        keep[name] = _drop_lowest(rows, round(sparsity * rows.shape[1])).view(tensor.shape)
    return keep


def keep_n_of_m(scores: Mapping[str, Tensor], n: int = 2, m: int = 4) -> dict[str, Tensor]:
    """Keep the `n` highest of every `m` neighbours in a row: n is the number KEPT (Mishra et al. 2021, 2104.08378).

    Raises as `keep_per_row`, and a ValueError unless 0 <= n <= m and m divides the length of every row.
    """
    _check_request(scores, 0.0)
    if not (is_count(n, 0) and is_count(m) and n <= m):
        raise ValueError(f"The pattern is {n}:{m}; n weights of every m are kept, so 0 <= n <= m and m >= 1.")
    keep = {}
    for name, tensor in scores.items():
        rows = _rows(name, tensor)
        if rows.shape[1] % m:
            raise ValueError(f"{name} has rows of {rows.shape[1]} weights, which groups of {m} do not divide.")
        keep[name] = _drop_lowest(rows.reshape(-1, m), m - n).view(tensor.shape)
    return keep


def _check_request(scores: Mapping[str, Tensor], sparsity: float) -> None:
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity is {sparsity}; it is the share of weights to remove, from 0 to 1.")
    if not scores:
        raise ValueError("There are no scores: the mapping is empty.")


def _inspected(scores: Mapping[str, Tensor]) -> tuple[dict, torch.dtype]:
    """Shape of each tensor with every 16th of its scores, and the dtype in which all can be compared without rounding.

    Halves and bytes fit into float32.
    """
    sample, dtype = {}, torch.float32
    for name, tensor in scores.items():
        _check_values(name, tensor)
        sample[name] = tensor.shape, tensor.flatten()[::STRIDE].clone()
        dtype = torch.float64 if tensor.dtype == torch.float64 else dtype
    return sample, dtype


def _check_values(name: str, tensor: Tensor) -> None:
    if not tensor.is_floating_point():
        raise TypeError(f"The scores of {name} are {tensor.dtype}; they must be floats.")
    if tensor.numel() == 0:
        return
    lowest, highest = torch.aminmax(tensor if tensor.itemsize > 1 else tensor.float())
    if lowest.isnan() or highest.isnan():
        raise ValueError(f"The scores of {name} hold a NaN, which cannot be ordered.")
    if lowest < 0:
        raise ValueError(f"The scores of {name} go down to {lowest.item():.3g}; scores are never negative.")


def _bits(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Flat integers in the order of the scores: the bit patterns of non-negative IEEE floats order as the floats do."""
    integer = torch.int64 if dtype == torch.float64 else torch.int32
    # Without its sign bit -0.0 is 0.0.
    return tensor.flatten().to(dtype).view(integer) & torch.iinfo(integer).max


def _chunks(tensor: Tensor, dtype: torch.dtype) -> Iterator[Tensor]:
    return (_bits(chunk, dtype) for chunk in tensor.flatten().split(CHUNK))


def _threshold(
    scores: Mapping[str, Tensor], sample: Mapping[str, Tensor], removed: int, count: int, dtype: torch.dtype
) -> tuple[int, int]:
    """The bits of the lowest score that is kept, and how many of the scores equal to it are kept."""
    shifts = range(dtype.itemsize * 8 - DIGIT, -1, -DIGIT)
    if dtype == torch.float32 and count > CHUNK:
        # The sample says where to look. One exact histogram of the 65,536 floats around that place is then enough, and
        # its two outer bins tell whether it was: if the threshold is not among them, the search below runs on all.
        guess, _, _ = _search(sample, removed, count, dtype, 0, shifts)
        low, ties_kept, inside = _search(scores, removed, count, dtype, max(0, guess - (1 << DIGIT - 1)), (0,))
        if inside:
            return low, ties_kept
    return _search(scores, removed, count, dtype, 0, shifts)[:2]


def _search(
    scores: Mapping[str, Tensor], removed: int, count: int, dtype: torch.dtype, low: int, shifts: Iterable[int]
) -> tuple[int, int, bool]:
    """Radix search for the score with `removed` of `count` scores below it: its bits, ties kept, was it in the range?

    A histogram of the highest 16 bits says in which interval it lies, a histogram of the next 16 bits inside that
    interval says where in it, and so on. What lies below and above the interval has one bin each.
    """
    for shift in shifts:
        counts = torch.zeros((1 << DIGIT) + 2, dtype=torch.int64)
        for tensor in scores.values():
            for bits in _chunks(tensor, dtype):
                digits = bits.sub_(low).bitwise_right_shift_(shift).clamp_(-1, 1 << DIGIT).add_(1)
                counts += torch.bincount(digits, minlength=len(counts)).cpu()
        up_to = counts.cumsum(0)
        rank = removed * int(up_to[-1]) // count  # in a sample, the same share
        chosen = int(torch.searchsorted(up_to, rank, right=True))  # the first bin with more than `rank` up to it
        low += chosen - 1 << shift
    return low, int(up_to[chosen]) - rank, 0 < chosen <= 1 << DIGIT


def _rows(name: str, tensor: Tensor) -> Tensor:
    _check_values(name, tensor)
    if tensor.dim() < 2:
        raise ValueError(f"{name} has the shape {tuple(tensor.shape)}; rows need two dimensions or more.")
    return tensor.flatten(1)


def _drop_lowest(rows: Tensor, removed: int) -> Tensor:
    """Bool, as `rows`: False at the `removed` lowest of each row; among equals the later ones."""
    width = rows.shape[1]
    if removed in (0, width) or rows.numel() == 0:
        return torch.full_like(rows, removed == 0, dtype=torch.bool)
    numbers = (rows if rows.dtype == torch.float64 else rows.float()).detach().cpu().numpy()
    integers = numbers.view(np.int64 if numbers.itemsize == 8 else np.int32)
    # numpy takes one thread and lets go of Python's lock, so parts go side by side.
    parts = np.array_split(integers, max(1, integers.size // PART))
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        keep = np.concatenate(list(pool.map(partial(_keep_highest, removed=removed), parts)))
    return torch.from_numpy(keep).to(rows.device)


def _keep_highest(integers: np.ndarray, removed: int) -> np.ndarray:
    bits = integers & np.iinfo(integers.dtype).max  # as in `_bits`
    # A partition of integers uses the CPU's wide registers: 3x as fast as torch.kthvalue, 8x as a stable sort.
    lowest_kept = np.partition(bits, removed, axis=1)[:, removed : removed + 1]
    keep = bits >= lowest_kept
    surplus = np.count_nonzero(keep, axis=1)[:, None] - (keep.shape[1] - removed)
    tied = np.flatnonzero(surplus)  # only these rows need the tie rule
    ties = bits[tied] == lowest_kept[tied]
    from_the_end = ties[:, ::-1].cumsum(axis=1, dtype=np.int32)[:, ::-1]
    keep[tied] &= ~(ties & (from_the_end <= surplus[tied]))
    return keep
