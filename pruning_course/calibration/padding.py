"""Padding: how texts of different lengths become one batch, and which rows of a layer's input are real tokens."""

import warnings
from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from pruning_course.calibration.batches import MASKS, Batch, as_batch, is_target


def take_real_rows(name: str, inputs: Tensor, batch: Batch | None, warned: set[str]) -> Tensor:
    """Return the rows (n, in) of `inputs` (..., in) of the layer `name` that are not padding in `batch`.

    A mask applies to inputs (batch, tokens, in), (batch * tokens, in) and (tokens, batch, in). All rows of (batch, in)
    count. All rows of any other shape count, too; if there is padding, a warning says so, unless `name` is in `warned`,
    to which it is then added.
    """
    rows, shape = inputs.reshape(-1, inputs.shape[-1]), inputs.shape[:-1]
    masks = batch.masks if batch else []
    for mask in (*masks, *(mask.flatten() for mask in masks), *(mask.t() for mask in masks)):
        if mask.shape == shape:
            return rows if mask.all() else rows[mask.flatten().to(rows.device)]
    if batch and shape not in ((), (len(batch),)) and name not in warned and not all(mask.all() for mask in masks):
        warned.add(name)
        warnings.warn(
            f"The input of {name} is {tuple(inputs.shape)}, which does not fit an attention_mask of "
            f"{' or '.join(str(tuple(mask.shape)) for mask in masks)}, so all its rows count, padding included.",
            stacklevel=2,
        )
    return rows


def split_square(batch: Batch) -> list[Batch]:
    """Return the batch, in two parts if it has as many samples as tokens and some of these are padding.

    Then the two dimensions of a mask differ, so that the shape of a layer's input tells whether it is
    (batch, tokens, in) or (tokens, batch, in).

    Raises ValueError if a tensor that must be cut does not have the samples as its first dimension.
    """
    return [batch.take(0, 1), batch.take(1, len(batch))] if _is_square(batch) else [batch]


def merge_batches(batches: Sequence[Batch]) -> Batch:
    """Return all samples as one batch; shorter texts are padded on the right, and the attention_mask says where.

    If there are as many samples as tokens, every text gets one more token of padding, for the reason that
    `split_square` gives.

    Raises ValueError if the batches do not hold the same tensors, or these differ in more than the number of tokens.
    """
    plain = [batch.inputs for batch in batches if isinstance(batch.inputs, Tensor)]
    named = [batch.inputs for batch in batches if isinstance(batch.inputs, Mapping)]
    if (plain and named) or len({frozenset(inputs) for inputs in named}) > 1:
        raise ValueError("Some batches hold other tensors than the first, so they cannot be merged into one.")
    if plain:
        return Batch(torch.cat(plain))
    columns = {name: [inputs[name] for inputs in named] for name in named[0]}
    mains = {"attention_mask": [batch.main for batch in batches]}
    for mask, ids in MASKS.items():
        texts = columns.get(ids) or mains.get(mask, [])
        if mask not in columns and len({text.shape[1:2] for text in texts}) > 1:
            columns[mask] = [torch.ones(text.shape[:2], dtype=torch.long) for text in texts]
    merged = as_batch({name: _concatenate(name, tensors) for name, tensors in columns.items()})
    return add_padding(merged, columns) if _is_square(merged) else merged


def add_padding(batch: Batch, names: Collection[str]) -> Batch:
    """Return the batch with one more token of padding in those of its tensors `names` that are (batch, tokens, ...)."""
    assert isinstance(batch.inputs, Mapping) and batch.mask is not None
    inputs = dict(batch.inputs)
    for name in names:
        if inputs[name].shape[:2] == batch.mask.shape:
            inputs[name] = _pad(name, inputs[name], inputs[name].shape[1] + 1)
    return as_batch(inputs)


def _is_square(batch: Batch) -> bool:
    return batch.mask is not None and batch.mask.shape[0] == batch.mask.shape[1] and not bool(batch.mask.all())


def _concatenate(name: str, tensors: Sequence[Tensor]) -> Tensor:
    """Merge tensors (batch, ...); if they are (batch, n, ...) with different n, the shorter ones are padded."""
    if len({(tensor.dim(), tensor.shape[2:]) for tensor in tensors}) > 1 or not tensors[0].dim():
        shapes = ", ".join(dict.fromkeys(str(tuple(tensor.shape)) for tensor in tensors))
        raise ValueError(f"{name} has the shapes {shapes} in different batches, so they cannot be merged into one.")
    if tensors[0].dim() < 2:
        return torch.cat(list(tensors))
    longest = max(tensor.shape[1] for tensor in tensors)
    return torch.cat([_pad(name, tensor, longest) for tensor in tensors])


def _pad(name: str, tensor: Tensor, tokens: int) -> Tensor:
    """Fill (batch, n, ...) up to (batch, tokens, ...): with 0, or for a target with -100, which a loss ignores."""
    filling = tensor.new_full((len(tensor), tokens - tensor.shape[1], *tensor.shape[2:]), -100 * is_target(name))
    return torch.cat([tensor, filling], dim=1)
