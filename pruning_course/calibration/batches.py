"""Batches to run through a model: the inputs, which of their tokens are real, and how many samples there are."""

import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pruning_course.counts import is_count


@dataclass(frozen=True)
class Batch:
    """The inputs of a model, and a mask of their real tokens: bool (batch, tokens), or None if all tokens count."""

    inputs: Mapping[str, Tensor] | Tensor
    mask: Tensor | None = None

    def __len__(self) -> int:
        return len(self._first)

    @property
    def length(self) -> int:
        """The number of tokens of each sample, padding included; 1 for a plain tensor."""
        return self._first.shape[1] if isinstance(self.inputs, Mapping) and self._first.dim() > 1 else 1

    def map(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """Return the batch with `change` applied to each of its tensors."""
        mask = None if self.mask is None else change(self.mask)
        if isinstance(self.inputs, Tensor):
            return Batch(change(self.inputs), mask)
        return Batch({name: change(tensor) for name, tensor in self.inputs.items()}, mask)

    def first(self, samples: int) -> "Batch":
        """Return the first `samples` samples, or all if there are fewer."""
        return self.map(lambda tensor: tensor[:samples])

    @property
    def _first(self) -> Tensor:
        return next(iter(self.inputs.values())) if isinstance(self.inputs, Mapping) else self.inputs


def as_batch(raw: object) -> Batch:
    """Return a dict of tensors, a tensor, or a pair (inputs, targets), as a `Batch` without labels.

    Raises TypeError if `raw` is something else, and ValueError if its attention_mask is not (batch, tokens).
    """
    if isinstance(raw, list | tuple) and raw:
        raw = raw[0]
    if isinstance(raw, Tensor):
        return Batch(raw)
    inputs = {name: value for name, value in raw.items() if "label" not in name} if isinstance(raw, Mapping) else {}
    if not inputs or not all(isinstance(value, Tensor) for value in inputs.values()):
        raise TypeError(
            f"A batch is a {type(raw).__name__}; it must be a dict of tensors, a tensor, or a pair of them."
        )
    mask = inputs.get("attention_mask")
    if mask is not None and mask.dim() != 2:
        raise ValueError(f"The attention_mask is {tuple(mask.shape)}; it must be (batch, tokens).")
    return Batch(inputs, None if mask is None else mask.bool())


def take_samples(batches: Iterable[object], num_samples: int) -> Iterator[Batch]:
    """Yield the first `num_samples` samples, batch by batch; the last batch is cut.

    Warns if token ids come without an attention_mask (then all tokens count), and if there are fewer samples.

    Raises ValueError if there are no samples, `num_samples` is not a whole number of at least 1, or an attention_mask
    is not (batch, tokens); TypeError if `batches` is one batch and not an iterable of batches, or a batch is not a dict
    of tensors, a tensor, or a pair of them.
    """
    if not is_count(num_samples):
        raise ValueError(f"num_samples is {num_samples!r}; it must be a whole number of at least 1.")
    if isinstance(batches, Mapping | Tensor):
        raise TypeError("batches is one batch; an iterable of batches is needed, such as a list or a DataLoader.")
    left, warned = num_samples, False
    for raw in batches:
        batch = as_batch(raw).first(left)
        if batch.mask is None and isinstance(batch.inputs, Mapping) and not warned:
            warned = True
            warnings.warn("The batches have no attention_mask, so all tokens count as real.", stacklevel=4)
        if len(batch):
            yield batch
        left -= len(batch)
        if left == 0:
            return
    if left == num_samples:
        raise ValueError("There are no samples to calibrate on: the batches are empty.")
    warnings.warn(f"There are {num_samples - left} samples, fewer than num_samples={num_samples}.", stacklevel=4)


def merge_batches(batches: Sequence[Batch]) -> Batch:
    """Return all samples as one batch; shorter texts are padded on the right, and the attention_mask says where.

    Raises ValueError if the batches do not hold the same tensors.
    """
    plain = [batch.inputs for batch in batches if isinstance(batch.inputs, Tensor)]
    named = [batch.inputs for batch in batches if isinstance(batch.inputs, Mapping)]
    if (plain and named) or len({frozenset(inputs) for inputs in named}) > 1:
        raise ValueError("Some batches hold other tensors than the first, so they cannot be merged into one.")
    if plain:
        return Batch(torch.cat(plain))
    longest = max(batch.length for batch in batches)
    columns = {name: [inputs[name] for inputs in named] for name in named[0]}
    if batches[0].mask is None and any(batch.length < longest for batch in batches):
        columns["attention_mask"] = [torch.ones(len(batch), batch.length, dtype=torch.long) for batch in batches]
    return as_batch({name: torch.cat([_pad(tensor, longest) for tensor in columns[name]]) for name in columns})


def _pad(tensor: Tensor, tokens: int) -> Tensor:
    """Fill (batch, n, ...) up with zeros to (batch, tokens, ...); a tensor (batch,), without tokens, is not changed."""
    if tensor.dim() < 2:
        return tensor
    filling = tensor.new_zeros(len(tensor), tokens - tensor.shape[1], *tensor.shape[2:])
    return torch.cat([tensor, filling], dim=1)


def is_encoder_decoder(model: nn.Module) -> bool:
    """Tell whether `model` is an encoder and a decoder of transformers, which read two different texts."""
    return bool(getattr(getattr(model, "config", None), "is_encoder_decoder", False))


def run_batch(model: nn.Module, batch: Batch) -> Any:
    """Return the output of `model`, called with those tensors that its forward has a name for, on its own device."""
    device = next(model.parameters()).device
    inputs = batch.map(lambda tensor: tensor.to(device)).inputs
    if not isinstance(inputs, Mapping):
        return model(inputs)
    parameters = inspect.signature(model.forward).parameters
    takes_any = any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters.values())
    return model(**{name: tensor for name, tensor in inputs.items() if takes_any or name in parameters})
