"""Batches to run through a model: what goes in, which tokens are real, how many samples there are."""

import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from pruning_course.counts import is_count


@dataclass(frozen=True)
class Batch:
    """What goes into the model, and which tokens are real: bool (batch, tokens), or None where all rows count."""

    inputs: Mapping[str, Tensor] | Tensor
    mask: Tensor | None = None

    def __len__(self) -> int:
        return len(self._first)

    @property
    def length(self) -> int:
        """How many tokens a sample has, padding included; 1 for a plain tensor."""
        return self._first.shape[1] if isinstance(self.inputs, Mapping) and self._first.dim() > 1 else 1

    def map(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """The same batch with `change` done to each tensor."""
        inputs = self.inputs
        inputs = {k: change(v) for k, v in inputs.items()} if isinstance(inputs, Mapping) else change(inputs)
        return replace(self, inputs=inputs, mask=None if self.mask is None else change(self.mask))

    @property
    def _first(self) -> Tensor:
        return next(iter(self.inputs.values())) if isinstance(self.inputs, Mapping) else self.inputs


def as_batch(raw) -> Batch:
    """A `Batch` of what a loader gives: a dict of tensors, a tensor, or a pair (inputs, targets). Labels are left out.

    Raises TypeError for anything else, and ValueError for an attention_mask that is not (batch, tokens).
    """
    if isinstance(raw, list | tuple) and raw:
        raw = raw[0]
    if isinstance(raw, Tensor):
        return Batch(raw)
    inputs = {name: value for name, value in raw.items() if "label" not in name} if isinstance(raw, Mapping) else {}
    if not inputs or not all(isinstance(value, Tensor) for value in inputs.values()):
        raise TypeError(f"A batch is {type(raw).__name__}; it can be a dict of tensors, a tensor, or a pair of them.")
    mask = inputs.get("attention_mask")
    if mask is not None and mask.dim() != 2:
        raise ValueError(f"The attention_mask is {tuple(mask.shape)}; it must be (batch, tokens).")
    return Batch(inputs, None if mask is None else mask.bool())


def take_samples(batches: Iterable, num_samples: int) -> Iterator[Batch]:
    """The first `num_samples` samples, batch by batch; the last batch is cut.

    Warns once if token ids come without an attention_mask (all tokens count), and if there are fewer samples (all of
    them are taken).

    Raises:
        ValueError: no samples at all, or num_samples below 1.
        TypeError: one batch instead of an iterable of batches; a batch as `as_batch` refuses it.
    """
    if not is_count(num_samples):
        raise ValueError(f"num_samples is {num_samples!r}; it is a whole number, at least 1.")
    if isinstance(batches, Mapping | Tensor):
        raise TypeError("batches is one batch; an iterable of batches is needed, such as a list or a DataLoader.")
    left, told = num_samples, False
    for raw in batches:
        batch = as_batch(raw)
        if batch.mask is None and isinstance(batch.inputs, Mapping) and not told:
            told = True
            warnings.warn("The batches have no attention_mask, so all tokens count as real.", stacklevel=4)
        batch = batch.map(lambda tensor, most=left: tensor[:most])
        if len(batch):
            yield batch
        left -= len(batch)
        if left == 0:
            return
    if left == num_samples:
        raise ValueError("There are no samples to calibrate on: the batches are empty.")
    warnings.warn(f"There are {num_samples - left} samples, fewer than num_samples={num_samples}.", stacklevel=4)


def merge_batches(batches: Sequence[Batch]) -> Batch:
    """All samples as one batch; shorter texts are padded on the right, under the attention_mask.

    ValueError for batches that do not hold the same tensors.
    """
    if not isinstance(batches[0].inputs, Mapping):
        return Batch(torch.cat([batch.inputs for batch in batches]))
    if len({frozenset(batch.inputs) for batch in batches}) > 1:
        raise ValueError("Some batches hold other tensors than the first, so they cannot be merged into one.")
    longest = max(batch.length for batch in batches)
    parts = {name: [batch.inputs[name] for batch in batches] for name in batches[0].inputs}
    if batches[0].mask is None and any(batch.length < longest for batch in batches):
        parts["attention_mask"] = [torch.ones(len(batch), batch.length, dtype=torch.long) for batch in batches]
    return as_batch({name: torch.cat([_pad(part, longest) for part in parts[name]]) for name in parts})


def _pad(tensor: Tensor, tokens: int) -> Tensor:
    """(batch, n, ...) filled up with 0 to (batch, tokens, ...); what has no tokens, (batch,), stays as it is."""
    if tensor.dim() < 2:
        return tensor
    filling = tensor.new_zeros(len(tensor), tokens - tensor.shape[1], *tensor.shape[2:])
    return torch.cat([tensor, filling], dim=1)


def run_batch(model: nn.Module, batch: Batch):
    """The output of `model`, which gets the tensors that its forward has a name for, on the device of the model."""
    device = next(model.parameters()).device
    inputs = batch.map(lambda tensor: tensor.to(device)).inputs
    if not isinstance(inputs, Mapping):
        return model(inputs)
    parameters = inspect.signature(model.forward).parameters
    takes_any = any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters.values())
    return model(**{name: tensor for name, tensor in inputs.items() if takes_any or name in parameters})
