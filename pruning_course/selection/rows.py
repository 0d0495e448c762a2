"""The highest scores of each row: in short rows by comparing all, otherwise by sorting, on a CPU only partially."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pruning_course.selection.order import as_integers

SHORT = 8  # rows of at most this length are compared pair by pair
CHUNK = 1 << 21  # numbers at a time, in whole rows
THREADS_CHUNK = 1 << 23  # numbers at a time, in whole rows, for all threads together
THREAD_CHUNK = 1 << 18  # numbers at a time, in whole rows, for one thread


def keep_highest(rows: Tensor, removed: int, keep: Tensor | None = None) -> Tensor:
    """Return a bool mask of the shape of `rows`, False at the `removed` lowest scores of each row.

    Where `keep` (bool, same shape) is False the result is False, and these places count as the lowest of their row.
    """
    width = rows.shape[1]
    if removed == width or rows.numel() == 0:
        return torch.zeros(rows.shape, dtype=torch.bool, device=rows.device)
    if removed == 0:
        return torch.ones(rows.shape, dtype=torch.bool, device=rows.device) if keep is None else keep.clone()
    dtype = torch.float64 if rows.dtype == torch.float64 else torch.float32
    by_partition = width > SHORT and rows.device.type == "cpu"
    method = keep_by_pairs if width <= SHORT else keep_by_sorting
    result = torch.empty(rows.shape, dtype=torch.bool, device=rows.device)
    step = max(1, (THREADS_CHUNK if by_partition else CHUNK) // width)
    for part in (slice(start, start + step) for start in range(0, len(rows), step)):
        if by_partition:
            earlier = None if keep is None else keep[part]
            result[part] = keep_by_partition(rows[part].detach().to(dtype), removed, earlier)
            continue
        integers = as_integers(rows[part], dtype)
        if keep is not None:
            integers |= keep[part].view(torch.int8) - 1  # -1 where it is False, which is below every score
        result[part] = method(integers, removed)
    return result if keep is None else result.logical_and_(keep)


def keep_by_pairs(integers: Tensor, removed: int) -> Tensor:
    """Return the mask of short rows of integers: each is compared with each other, on any device."""
    columns = integers.unbind(1)
    width = len(columns)
    # How many others in the row are above a number: at first all later ones, and each comparison can change that.
    above = [torch.full_like(column, width - 1 - place, dtype=torch.int8) for place, column in enumerate(columns)]
    for earlier, later in combinations(range(width), 2):
        wins = (columns[earlier] >= columns[later]).view(torch.int8)  # among equals the earlier one
        above[earlier] -= wins
        above[later] += wins
    return torch.stack([count < width - removed for count in above], dim=1)


def keep_by_sorting(integers: Tensor, removed: int) -> Tensor:
    """Return the mask of rows of integers, on any device."""
    highest = integers.sort(dim=1, descending=True, stable=True).indices[:, : integers.shape[1] - removed]
    return torch.zeros_like(integers, dtype=torch.bool).scatter_(1, highest, True)


def keep_by_partition(rows: Tensor, removed: int, keep: Tensor | None) -> Tensor:
    """Return the mask of rows of float32 or float64 scores on a CPU."""
    numbers = rows.numpy()
    parts = max(1, numbers.size // THREAD_CHUNK)
    row_groups = np.array_split(numbers.view(np.int64 if numbers.itemsize == 8 else np.int32), parts)
    keep_groups = [None] * parts if keep is None else np.array_split(keep.numpy(), parts)
    # numpy takes one thread and releases Python's lock, so several parts are computed at the same time.
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        masks = list(pool.map(partial(_keep_part, removed=removed), row_groups, keep_groups))
    return torch.from_numpy(np.concatenate(masks))


def _keep_part(integers: NDArray[Any], earlier: NDArray[np.bool_] | None, removed: int) -> NDArray[np.bool_]:
    """Return the mask of some rows, which are given as the bit patterns of their scores.

    An example: remove 3 of the eight scores 5 2 2 9 2 7 1 2. The lowest score that is kept is 2. Seven scores are at
    least 2, a surplus of 2 over the five that may stay. Counted from the end, the twos are numbered . 4 3 . 2 . . 1;
    numbers 1 and 2, the surplus, are removed as well, and 5 2 2 9 . 7 . . is kept.
    """
    bits = integers & np.iinfo(integers.dtype).max  # without its sign bit -0.0 is 0.0
    if earlier is not None:
        bits |= earlier.view(np.int8) - np.int8(1)
    # A partition of integers uses the CPU's wide registers: 3x as fast as torch.kthvalue, 8x as a stable sort.
    lowest_kept = np.partition(bits, removed, axis=1)[:, removed : removed + 1]
    keep: NDArray[np.bool_] = bits >= lowest_kept
    surplus = np.count_nonzero(keep, axis=1)[:, None] - (keep.shape[1] - removed)
    tied = np.flatnonzero(surplus)  # only these rows need the tie rule
    ties = bits[tied] == lowest_kept[tied]
    from_the_end = ties[:, ::-1].cumsum(axis=1, dtype=np.int32)[:, ::-1]
    keep[tied] &= ~(ties & (from_the_end <= surplus[tied]))
    return keep if earlier is None else keep & earlier
