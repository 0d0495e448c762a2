"""Batches to run through a model: the inputs, which of their tokens are real, and how many samples there are."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

from pruning_course.counts import is_count

MASKS = {"attention_mask": "input_ids", "decoder_attention_mask": "decoder_input_ids"}  # and what each is about


@dataclass(frozen=True)
class Batch:
    """The inputs of a model, and masks of their real tokens: bool (batch, tokens), or None if all tokens count.

    `decoder_mask` is about the text that an encoder-decoder model writes; `fit_batch` fills it in.
    """

    inputs: Mapping[str, Tensor] | Tensor
    mask: Tensor | None = None
    decoder_mask: Tensor | None = None

    def __len__(self) -> int:
        return len(self.main)

    @property
    def length(self) -> int:
        """The number of tokens of each sample, padding included; 1 for a plain tensor."""
        return self.main.shape[1] if isinstance(self.inputs, Mapping) and self.main.dim() > 1 else 1

    @property
    def masks(self) -> list[Tensor]:
        """Those of the two masks that there are."""
        return [mask for mask in (self.mask, self.decoder_mask) if mask is not None]

    def map(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """Return the batch with `change` applied to each of its tensors."""
        masks = [None if mask is None else change(mask) for mask in (self.mask, self.decoder_mask)]
        if isinstance(self.inputs, Tensor):
            return Batch(change(self.inputs), *masks)
        return Batch({name: change(tensor) for name, tensor in self.inputs.items()}, *masks)

    def take(self, start: int, stop: int) -> "Batch":
        """Return the samples from `start` to before `stop`. Raises ValueError if a tensor is not one row per sample."""
        if start == 0 and stop >= len(self):
            return self
        for name, tensor in self.inputs.items() if isinstance(self.inputs, Mapping) else ():
            if tensor.shape[:1] != (len(self),):
                raise ValueError(
                    f"{name} is {tuple(tensor.shape)} in a batch of {len(self)} samples, so it cannot be cut into "
                    "samples; its first dimension must be the samples."
                )
        return self.map(lambda tensor: tensor[start:stop])

    @property
    def main(self) -> Tensor:
        """The tensor that tells the numbers of samples and tokens: others may have one number for each sample."""
        if isinstance(self.inputs, Tensor):
            return self.inputs
        named = (self.inputs.get(name) for name in ("attention_mask", "input_ids", "inputs_embeds"))
        return next((tensor for tensor in named if tensor is not None), next(iter(self.inputs.values())))


def is_target(name: str) -> bool:
    """Tell whether an input of this name is what the model should predict, such as `labels`."""
    return "label" in name or name in ("start_positions", "end_positions")


def as_batch(raw: object) -> Batch:
    """Return a dict of tensors, a tensor, or a pair (inputs, targets), as a `Batch`; it keeps labels that have a name.

    Raises TypeError if `raw` is something else, and ValueError if a mask is not (batch, tokens) or negative.
    """
    if isinstance(raw, list | tuple) and len(raw) > 2:
        raise TypeError(
            f"A batch is a {type(raw).__name__} of {len(raw)}; it must be a pair of inputs and targets, or a dict."
        )
    if isinstance(raw, list | tuple) and raw:
        named = isinstance(raw[0], Mapping) and len(raw) > 1
        raw = {**raw[0], "labels": raw[1]} if named else raw[0]
    if isinstance(raw, Tensor):
        return Batch(raw)
    given = raw if isinstance(raw, Mapping) else {}
    inputs = {name: value for name, value in given.items() if isinstance(value, Tensor) or not is_target(name)}
    if all(map(is_target, inputs)) or not all(isinstance(value, Tensor) for value in inputs.values()):
        raise TypeError(
            f"A batch is a {type(raw).__name__}; it must be a dict of tensors, a tensor, or a pair of them."
        )
    for name in MASKS:
        if name in inputs and inputs[name].dim() != 2:
            raise ValueError(f"The {name} is {tuple(inputs[name].shape)}; it must be (batch, tokens).")
        if name in inputs and (inputs[name] < 0).any():
            raise ValueError(f"The {name} has negative numbers; it must be 1 for a real token and 0 for padding.")
    return Batch(inputs, inputs["attention_mask"].bool() if "attention_mask" in inputs else None)


def take_samples(batches: Iterable[object], num_samples: int) -> Iterator[Batch]:
    """Yield the first `num_samples` samples, batch by batch; the last batch is cut.

    Warns if token ids come without an attention_mask (then all tokens count), and if there are fewer samples.

    Raises ValueError if there are no samples, `num_samples` is not a whole number of at least 1, a mask is not (batch,
    tokens) or negative, or a batch that must be cut has a tensor whose first dimension is not the samples; TypeError if
    `batches` is one batch and not an iterable of batches, or a batch is not a dict of tensors, a tensor, or a pair of
    them.
    """
    if not is_count(num_samples):
        raise ValueError(f"num_samples is {num_samples!r}; it must be a whole number of at least 1.")
    if isinstance(batches, Mapping | Tensor):
        raise TypeError("batches is one batch; an iterable of batches is needed, such as a list or a DataLoader.")
    left = num_samples
    warned: set[str] = set()
    for raw in batches:
        batch = as_batch(raw).take(0, left)
        for name in _missing_masks(batch) - warned:
            warned.add(name)
            warnings.warn(f"The batches have no {name}, so all tokens count as real.", stacklevel=4)
        if len(batch):
            yield batch
        left -= len(batch)
        if left == 0:
            return
    if left == num_samples:
        raise ValueError("There are no samples to calibrate on: the batches are empty.")
    warnings.warn(f"There are {num_samples - left} samples, fewer than num_samples={num_samples}.", stacklevel=4)


def _missing_masks(batch: Batch) -> set[str]:
    if isinstance(batch.inputs, Tensor):
        return set()
    needed = {name for name, ids in MASKS.items() if name == "attention_mask" or ids in batch.inputs}
    return needed - set(batch.inputs)
