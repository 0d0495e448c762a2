"""How large the inputs of each layer are on real data: one norm for each input channel."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from pruning_course.calibration.batches import Batch, take_samples
from pruning_course.calibration.padding import split_square, take_real_rows
from pruning_course.calibration.running import calibration_mode, find_body, fit_batch, run_batch
from pruning_course.models import check_visible

NORMS = {"l1": 1, "l2": 2}  # the power of abs(x) that is added up
ROWS = 512  # rows at a time, so that they and their squares stay in a CPU's cache


@dataclass(frozen=True, eq=False)
class InputNorms(Mapping[str, Tensor]):
    """A mapping from layer names to the norm of each input channel over all real tokens: float64 (in,).

    "l2" is sqrt(sum x² / count), "l1" is sum abs(x) / count. Dividing by the count does not change any order within a
    layer, but makes the norms independent of the amount of data.
    """

    norm: str
    sums: dict[str, Tensor]  # sum of abs(x)^power: float64 (in,)
    counts: dict[str, int]  # how many rows were added up: tokens, or samples if the input is pooled

    def __getitem__(self, name: str) -> Tensor:
        return (self.sums[name] / self.counts[name]) ** (1 / NORMS[self.norm])

    def __iter__(self) -> Iterator[str]:
        return iter(self.sums)

    def __len__(self) -> int:
        return len(self.sums)


def input_norms(
    model: nn.Module,
    layers: Mapping[str, nn.Module],
    batches: Iterable[object],
    num_samples: int = 512,
    norm: str = "l2",
) -> InputNorms:
    """Run `batches` through `model` and measure the inputs of `layers`; shows a progress bar.

    The model is in eval mode meanwhile. Afterwards every module is in its earlier mode and without hooks, even if
    something fails. Values are read in float32 or float64, and added up in float64.

    Args:
        layers: name to module, as `prunable_layers` returns them.
        batches: each a dict of tensors with `input_ids` and `attention_mask` (batch, tokens), where 1 is a real token;
            or for other models a tensor (batch, ...), or a pair (inputs, targets). Labels are left out, unless an
            encoder-decoder makes the input of its decoder from them. Without an attention_mask all tokens count, and so
            do all rows of an input whose shape does not fit the mask; in both cases a warning says so.
        num_samples: how many samples to use; the last batch is cut. If there are fewer, a warning says so.
        norm: "l2" or "l1".

    Raises ValueError if there are no samples, no real token reaches a layer, an input is NaN or infinite, a mask
    is not (batch, tokens) or negative, a batch that must be cut has a tensor without one row for each sample, an
    encoder-decoder lacks the input of its decoder, the norm is unknown, `num_samples` is not a whole number of at least
    1, or `check_visible` refuses the model; TypeError if `batches` is not an iterable of such batches.
    """
    check_visible(model)
    sums = InputSums(layers, norm)
    body = find_body(model, layers)
    with calibration_mode(model), tqdm(total=num_samples, desc="Calibrating", unit=" samples") as bar:
        for batch in take_samples(batches, num_samples):
            for part in split_square(batch):
                part = fit_batch(body, part)
                with watch_inputs(layers, partial(sums.add, batch=part)):
                    run_batch(body, part)
            bar.update(len(batch))
    return sums.finish()


class InputSums:
    """Adds up abs(x)^power for each input channel of each layer. Raises ValueError if the norm is unknown."""

    def __init__(self, names: Iterable[str], norm: str = "l2"):
        if norm not in NORMS:
            raise ValueError(f"norm is {norm!r}; it can be one of {', '.join(NORMS)}.")
        self.norm = norm
        self._counts = dict.fromkeys(names, 0)
        self._sums: dict[str, Tensor] = {}
        self._warned: set[str] = set()

    def add(self, name: str, inputs: Tensor, batch: Batch | None = None) -> None:
        """Add `inputs` (..., in), without the padding of `batch`; warns once for each layer where that is not possible.

        Raises ValueError if a real input is NaN or infinite.
        """
        rows = take_real_rows(name, inputs.detach(), batch, self._warned)
        sums = torch.stack(list(_sums_of_powers(rows, NORMS[self.norm])))
        if not sums.isfinite().all():
            raise ValueError(f"The input of {name} holds a NaN or infinite number, so it has no norm.")
        total = sums.cpu().double().sum(0)  # on the CPU, because not every accelerator has float64
        self._sums[name] = total + self._sums[name] if name in self._sums else total
        self._counts[name] += len(rows)

    def finish(self) -> InputNorms:
        """Return the norms. Raises ValueError if a layer had no inputs."""
        missing = [name for name, count in self._counts.items() if count == 0]
        if missing:
            raise ValueError(
                f"No real token reached {', '.join(missing)}: the model did not call it, or all was padding."
            )
        return InputNorms(self.norm, {name: self._sums[name] for name in self._counts}, dict(self._counts))


def _sums_of_powers(rows: Tensor, power: int) -> Iterator[Tensor]:
    """Yield the sum of abs(x)^power (in,) of every `ROWS` of `rows` (n, in), in float32 or float64."""
    buffer = None
    for chunk in rows.split(ROWS):
        chunk = chunk if chunk.dtype == torch.float64 else chunk.float()
        # One buffer for all chunks, because on a CPU new memory costs more than the arithmetic.
        buffer = torch.empty_like(chunk) if buffer is None else buffer[: len(chunk)]
        yield (torch.abs(chunk, out=buffer) if power == 1 else torch.mul(chunk, chunk, out=buffer)).sum(0)


@contextmanager
def watch_inputs(layers: Mapping[str, nn.Module], record: Callable[[str, Tensor], None]) -> Iterator[None]:
    """Call `record(name, input)` before each call of one of `layers`; the hooks are removed when the block ends."""

    def watch(name: str, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        record(name, args[0] if args else next(iter(kwargs.values())))

    hooks = [layer.register_forward_pre_hook(partial(watch, name), with_kwargs=True) for name, layer in layers.items()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
