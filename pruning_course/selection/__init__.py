"""Scores in, keep masks out: the exact number of weights, however many scores are equal.

Every function takes `scores`, a mapping from names to tensors of non-negative floats (any shape, any float dtype; it
may compute them lazily), and returns bool tensors with the same names, shapes and devices, True = kept. In each group
that is compared, the `round(sparsity * count)` weights with the lowest scores are removed; if scores are equal, the
later weight is removed first. All machines compute the same masks, so all processes of a distributed run agree.

`among` maps names to earlier masks (bool, the shape of the scores, True = kept), for pruning again. What they removed
stays removed and counts as removed, whatever its score is now. If they have removed more of a group than `sparsity`
asks for, nothing is removed from it and nothing comes back. Where `among` lacks a name, all of that tensor was kept.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from pruning_course.counts import is_count
from pruning_course.selection.order import kept_before
from pruning_course.selection.rows import keep_highest
from pruning_course.selection.threshold import BINS, DIGIT, count_digits, find_threshold


def keep_globally(
    scores: Mapping[str, Tensor], sparsity: float, among: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """Compare the scores of all tensors with each other; among equal scores, earlier tensors and indices are kept.

    The scores are never copied into one flat tensor. Memory is needed for the masks, for one tensor of scores at a
    time, and for at most four million scores close to the threshold.

    Raises ValueError if `sparsity` is outside [0, 1], `scores` is empty, a score is NaN or negative, or an earlier mask
    has another shape than its scores; TypeError if scores are not floating point or an earlier mask is not bool.

    >>> keep_globally({"a": torch.tensor([3.0, 1.0]), "b": torch.tensor([2.0, 4.0])}, sparsity=0.5)
    {'a': tensor([ True, False]), 'b': tensor([False,  True])}
    """
    _check_request(scores, sparsity)
    located, dtype, counts = _inspect(scores, among)
    # All masks are made before more scores: otherwise they end up between score tensors and fragment the freed memory.
    keep = {name: torch.zeros(shape, dtype=torch.bool, device=device) for name, (shape, device) in located.items()}
    count = sum(mask.numel() for mask in keep.values())
    removed = round(sparsity * count)
    if removed == count:
        return keep
    threshold = find_threshold(scores, among, removed, dtype, counts)
    for name, tensor in scores.items():
        threshold.apply(tensor, kept_before(among, name, tensor), keep[name])
        del tensor  # before the next one is computed
    threshold.settle(keep.values())
    return keep


def keep_per_tensor(
    scores: Mapping[str, Tensor], sparsity: float, among: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """Compare the scores within each tensor, so that every tensor loses the same share.

    Raises ValueError if `sparsity` is outside [0, 1], `scores` is empty, a score is NaN or negative, or an earlier mask
    has another shape than its scores; TypeError if scores are not floating point or an earlier mask is not bool.
    """
    _check_request(scores, sparsity)
    return {name: keep_globally({name: scores[name]}, sparsity, among)[name] for name in scores}


def keep_per_row(
    scores: Mapping[str, Tensor], sparsity: float, among: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """Compare the scores within each row (dimension 0, one output), so that every row loses the same share.

    This is the group of Wanda (Sun et al. 2023, arXiv 2306.11695). Scores of a Conv1D must be transposed to (out, in).

    Raises ValueError if `sparsity` is outside [0, 1], `scores` is empty, a score is NaN or negative, a tensor has fewer
    than two dimensions, or an earlier mask has another shape than its scores; TypeError if scores are not floating
    point or an earlier mask is not bool.

    >>> keep_per_row({"a": torch.tensor([[9.0, 8.0], [1.0, 2.0]])}, sparsity=0.5)["a"].int().tolist()
    [[1, 0], [0, 1]]
    """
    _check_request(scores, sparsity)
    keep = {}
    for name, tensor in scores.items():
        rows, earlier = _as_rows(name, tensor), kept_before(among, name, tensor)
        kept = keep_highest(rows, round(sparsity * rows.shape[1]), None if earlier is None else earlier.flatten(1))
        keep[name] = kept.view(tensor.shape)
    return keep


def keep_n_of_m(
    scores: Mapping[str, Tensor], n: int = 2, m: int = 4, among: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """Keep the `n` highest of every `m` neighbours in a row (Mishra et al. 2021, arXiv 2104.08378).

    Raises ValueError if not 0 <= n <= m, if m is 0 or does not divide the length of every row, `scores` is empty, a
    score is NaN or negative, a tensor has fewer than two dimensions, or an earlier mask has another shape than its
    scores; TypeError if scores are not floating point or an earlier mask is not bool.

    >>> keep_n_of_m({"a": torch.tensor([[1.0, 4.0, 3.0, 2.0, 5.0, 5.0, 5.0, 5.0]])})["a"].int().tolist()
    [[0, 1, 1, 0, 1, 1, 0, 0]]
    """
    _check_request(scores, 0.0)
    if not (is_count(n, 0) and is_count(m) and n <= m):
        raise ValueError(f"The pattern is {n}:{m}; n weights of every m are kept, so 0 <= n <= m and m >= 1.")
    keep = {}
    for name, tensor in scores.items():
        rows, earlier = _as_rows(name, tensor), kept_before(among, name, tensor)
        if rows.shape[1] % m:
            raise ValueError(f"{name} has rows of {rows.shape[1]} weights, which groups of {m} do not divide.")
        kept = keep_highest(rows.reshape(-1, m), m - n, None if earlier is None else earlier.reshape(-1, m))
        keep[name] = kept.view(tensor.shape)
    return keep


def _check_request(scores: Mapping[str, Tensor], sparsity: float) -> None:
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity is {sparsity}; it must be between 0 and 1.")
    if not scores:
        raise ValueError("scores is empty; at least one tensor is needed.")


def _inspect(
    scores: Mapping[str, Tensor], among: Mapping[str, Tensor] | None
) -> tuple[dict[str, tuple[torch.Size, torch.device]], torch.dtype, Tensor | None]:
    """Return shapes and devices, the dtype in which all scores are exact, and a histogram if that is float32."""
    located, dtype, counts = {}, torch.float32, torch.zeros(BINS, dtype=torch.int64)
    for name, tensor in scores.items():
        _check_values(name, tensor)
        located[name] = tensor.shape, tensor.device
        dtype = torch.float64 if tensor.dtype == torch.float64 else dtype
        if dtype == torch.float32:
            counts += count_digits(tensor, kept_before(among, name, tensor), dtype, 0, DIGIT)
        del tensor  # before the next one is computed
    return located, dtype, counts if dtype == torch.float32 else None


def _check_values(name: str, tensor: Tensor) -> None:
    if not tensor.is_floating_point():
        raise TypeError(f"The scores of {name} are {tensor.dtype}; they must be floats.")
    if tensor.numel() == 0:
        return
    lowest, highest = torch.aminmax(tensor if tensor.itemsize > 1 else tensor.float())
    if lowest.isnan() or highest.isnan():
        raise ValueError(f"The scores of {name} hold a NaN, which cannot be ordered.")
    if lowest < 0:
        raise ValueError(f"The lowest score of {name} is {lowest.item():.3g}; scores are never negative.")


def _as_rows(name: str, tensor: Tensor) -> Tensor:
    _check_values(name, tensor)
    if tensor.dim() < 2:
        raise ValueError(f"{name} has the shape {tuple(tensor.shape)}; rows need two dimensions or more.")
    return tensor.flatten(1)
