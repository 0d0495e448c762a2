"""How large the inputs of each layer are on real data: one norm for each input channel."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from pruning_course.calibration.batches import run_batch, take_samples
from pruning_course.models import eval_mode

NORMS = {"l1": 1, "l2": 2}  # the power of abs(x) that is added up
ROWS = 512  # rows at a time: they and their squares stay in a CPU's cache


@dataclass(frozen=True, eq=False)
class InputNorms(Mapping[str, Tensor]):
    """Layer name to the norm of each of its input channels: float64 (in,), over all real tokens.

    "l2" is sqrt(sum x² / count), "l1" is sum abs(x) / count. Dividing by the count changes no order within a layer, and
    makes the norms independent of how much data there was.
    """

    norm: str
    sums: dict[str, Tensor]  # sum of abs(x)^power: float64 (in,)
    counts: dict[str, int]  # rows that were added up: tokens, or samples where the input is pooled

    def __getitem__(self, name: str) -> Tensor:
        return (self.sums[name] / self.counts[name]) ** (1 / NORMS[self.norm])

    def __iter__(self) -> Iterator[str]:
        return iter(self.sums)

    def __len__(self) -> int:
        return len(self.sums)


def input_norms(
    model: nn.Module,
    layers: Mapping[str, nn.Module],
    batches: Iterable,
    num_samples: int = 512,
    norm: str = "l2",
) -> InputNorms:
    """Run `batches` through `model` and measure what enters each of `layers`.

    Args:
        layers: name to module, as `prunable_layers` gives them.
        batches: each a dict of tensors with `input_ids` and `attention_mask` (batch, tokens), where 1 is a real token;
            or for other models a tensor (batch, ...), or a pair (inputs, targets). Labels are left out. Without an
            attention_mask all tokens count, and a warning says so.
        num_samples: how many samples to use; the last batch is cut. If there are fewer, all, and a warning.
        norm: "l2" or "l1".

    The model is in eval mode meanwhile; then every module is as it was, and no hook is left, whatever happened.
    Sums are float64, of values in float32 at least. Shows a progress bar.

    Raises:
        ValueError: no data, a layer that no real token reached, an input that is NaN or infinite (names the layer), an
            unknown norm, num_samples below 1.
        TypeError: batches that are no iterable of batches.
    """
    sums = InputSums(layers, norm)
    part = find_body(model, layers)
    with calibration_mode(model), tqdm(total=num_samples, desc="Calibrating", unit=" samples") as bar:
        for batch in take_samples(batches, num_samples):
            with watch_inputs(layers, lambda name, inputs, mask=batch.mask: sums.add(name, inputs, mask)):
                run_batch(part, batch)
            bar.update(len(batch))
    return sums.finish()


class InputSums:
    """Adds up abs(x)^power for each input channel of each layer. ValueError for an unknown norm."""

    def __init__(self, names: Iterable[str], norm: str = "l2"):
        if norm not in NORMS:
            raise ValueError(f"norm is {norm!r}; it can be one of {', '.join(NORMS)}.")
        self.norm = norm
        self._sums = dict.fromkeys(names, 0.0)
        self._counts = dict.fromkeys(self._sums, 0)

    def add(self, name: str, inputs: Tensor, mask: Tensor | None = None) -> None:
        """Add `inputs` (..., in); `mask` as in `Batch`. ValueError where a real input is NaN or infinite."""
        rows = take_real_rows(inputs.detach(), mask)
        sums = torch.stack(list(_sums_of_powers(rows, NORMS[self.norm])))
        if not sums.isfinite().all():
            raise ValueError(f"The input of {name} holds a NaN or infinite number, so it has no norm.")
        # On the CPU: not every accelerator has float64.
        self._sums[name] = sums.cpu().double().sum(0) + self._sums[name]
        self._counts[name] += len(rows)

    def finish(self) -> InputNorms:
        """The norms. ValueError for a layer that nothing was added to."""
        missing = [name for name, count in self._counts.items() if count == 0]
        if missing:
            raise ValueError(
                f"No real token reached {', '.join(missing)}: the model did not call it, or all was padding."
            )
        return InputNorms(self.norm, dict(self._sums), dict(self._counts))


def take_real_rows(inputs: Tensor, mask: Tensor | None) -> Tensor:
    """The rows (n, in) of `inputs` (..., in) that are no padding, under a mask bool (batch, tokens).

    Inputs with one row for each token are masked, flattened or not. Others, such as a pooled (batch, in), count whole.
    """
    rows = inputs.reshape(-1, inputs.shape[-1])
    by_token = mask is not None and (inputs.shape[:-1] == mask.shape or inputs.shape[:-1] == (mask.numel(),))
    return rows[mask.flatten().to(rows.device)] if by_token and not mask.all() else rows


def _sums_of_powers(rows: Tensor, power: int) -> Iterator[Tensor]:
    """The sum of abs(x)^power over each `ROWS` of `rows` (n, in), in float32 at least: (in,) each."""
    powers = None
    for part in rows.split(ROWS):
        part = part if part.dtype == torch.float64 else part.float()
        # One buffer for all parts: on a CPU new memory costs more than the arithmetic.
        powers = torch.empty_like(part) if powers is None else powers[: len(part)]
        yield (torch.abs(part, out=powers) if power == 1 else torch.mul(part, part, out=powers)).sum(0)


@contextmanager
def watch_inputs(layers: Mapping[str, nn.Module], see: Callable[[str, Tensor], None]) -> Iterator[None]:
    """Call `see(name, input)` before each call of one of `layers`; the hooks are gone when the block ends."""

    def hook_for(name: str):
        return lambda _, args, kwargs: see(name, args[0] if args else next(iter(kwargs.values())))

    hooks = [layer.register_forward_pre_hook(hook_for(name), with_kwargs=True) for name, layer in layers.items()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def calibration_mode(model: nn.Module) -> Iterator[None]:
    """No gradients, no dropout, no key-value cache; at the end every module is in the mode that it was in."""
    config = getattr(model, "config", None)
    use_cache = getattr(config, "use_cache", None)
    try:
        if use_cache:
            config.use_cache = False
        with eval_mode(model), torch.no_grad():
            yield
    finally:
        if use_cache:
            config.use_cache = use_cache


def find_body(model: nn.Module, layers: Mapping[str, nn.Module]) -> nn.Module:
    """The body of a transformers model where all `layers` lie in it, else `model`.

    The head of a language model, on every token, costs as much as several blocks and fills hundreds of megabytes.
    """
    body = getattr(model, "base_model", None)
    return body if isinstance(body, nn.Module) and set(layers.values()) <= set(body.modules()) else model
