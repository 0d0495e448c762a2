"""Ten numbers on which the course rests, to be measured again on the reader's machine."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch
from torch import nn

from pruning_course import lab
from pruning_course.lab.timing import milliseconds
from pruning_course.pruners import MagnitudePruner, PruningManager, StructuredPruner, WandaPruner
from pruning_course.scores import random
from pruning_course.selection import keep_per_tensor

SAMPLES = 256  # texts for calibration
WINDOWS = 3  # of 256 tokens, for a perplexity
TEXTS = 8  # in a timed forward pass


@dataclass(frozen=True)
class Claim:
    """A number that the course states: what it is, its lesson, our value, and how far another machine's may be off."""

    text: str
    lesson: str
    ours: float
    tolerance: float

    def holds(self, measured: float) -> bool:
        """Return whether `measured` is within the tolerance of our value."""
        return abs(measured - self.ours) <= self.tolerance


# Half of the weights, or neurons, of the blocks is removed; F1 is micro-F1 on validation, and nothing is trained.
CLAIMS = (
    Claim("classifier: F1, dense", "00", 0.880, 0.010),
    Claim("classifier: F1, random weights removed", "02", 0.154, 0.08),
    Claim("classifier: F1, magnitude within each row", "02", 0.810, 0.02),
    Claim("classifier: F1, Wanda within each row", "05", 0.840, 0.02),
    Claim("classifier: F1, neurons chosen by their norm", "06", 0.726, 0.04),
    Claim("classifier: F1, neurons chosen by gradient", "06", 0.842, 0.025),
    Claim("classifier: largest difference of a logit, masked or cut", "06", 0.0, 1e-4),
    Claim("classifier: times as fast with half of its neurons", "06", 1.4, 0.3),
    Claim("SmolLM2: perplexity, dense", "05", 19.4, 0.5),
    Claim("SmolLM2: perplexity after magnitude / after Wanda, within rows", "05", 7.2, 1.0),
)


def measure_claims() -> Iterator[tuple[Claim, float]]:
    """Yield each claim with the number that this machine measures, in about two minutes on two cores.

    Raises:
        CacheError: if the course's own model is damaged in the cache, or the cache cannot be written.
        WheelError: if a package with the course's models or data is missing or damaged.
    """
    yield from zip(CLAIMS, _measure(), strict=True)


def _measure() -> Iterator[float]:
    model = lab.load_dense()
    yield _f1(model)
    for make in (
        partial(PruningManager, score=random, select=keep_per_tensor),
        partial(MagnitudePruner, group="row"),
        WandaPruner,
    ):
        yield _f1_after(make(model, 0.5, "encoder"))
    yield _f1_after(StructuredPruner(model, 0.5))
    yield from _cut_neurons(model)
    yield from _prune_language_model()


def _f1(model: nn.Module) -> float:
    return float(lab.evaluate(model, lab.load_batches("validation"))["micro_f1"])


def _f1_after(pruner: PruningManager) -> float:
    """Return the F1 of the pruned model, and put its weights back."""
    if isinstance(pruner, WandaPruner):
        pruner.calibrate(_samples(), SAMPLES)
    pruner.prune()
    try:
        return _f1(pruner.model)
    finally:
        pruner.undo()


def _samples() -> list[dict[str, torch.Tensor]]:
    batches: list[dict[str, torch.Tensor]] = lab.load_batches("train", 16)
    return batches[:: len(batches) * 16 // SAMPLES]


def _cut_neurons(model: nn.Module) -> Iterator[float]:
    """Yield the F1 with half of the neurons masked, what cutting them out changes, and how many times as fast it is."""
    batches = lab.load_batches("validation")
    inputs = {name: rows[:TEXTS] for name, rows in batches[len(batches) // 2].items() if name != "labels"}
    pruner = StructuredPruner(model, 0.5, importance="gradient").calibrate(_samples(), SAMPLES)
    pruner.prune()
    yield _f1(model)
    with torch.no_grad():
        masked = model(**inputs).logits
        cut = pruner.shrink()(**inputs).logits
    yield float((masked - cut).abs().max())
    calls: dict[str, Callable[[], object]] = {
        name: partial(one, **inputs) for name, one in {"dense": lab.load_dense(), "cut": model}.items()
    }
    times = milliseconds(calls)
    yield median(times["dense"]) / median(times["cut"])


def _prune_language_model() -> Iterator[float]:
    """Yield the perplexity of the dense model, and that after magnitude divided by that after Wanda, both in rows."""
    model, tokenizer = lab.load_language_model()
    text = lab.definition_text("validation")

    def perplexity() -> float:
        return float(lab.perplexity(model, tokenizer, text, sequence_length=256, most=WINDOWS).value)

    yield perplexity()
    after = []
    wanda = WandaPruner(model, 0.5, "encoder").calibrate(lab.calibration_windows(tokenizer, count=8), 8)
    for pruner in (MagnitudePruner(model, 0.5, "encoder", group="row"), wanda):
        pruner.prune()
        after.append(perplexity())
        pruner.undo()
    yield after[0] / after[1]
