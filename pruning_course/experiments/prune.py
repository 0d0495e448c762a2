"""The pruners of a run: made from its settings, calibrated on its texts, and called while it trains."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel

from pruning_course.experiments.data import Task
from pruning_course.experiments.settings import BOTH, OPTIONS, RANDOM, Settings
from pruning_course.finetune.batches import order_epoch, split_batch
from pruning_course.pruners import GradualPruner, PruningManager, StructuredPruner, WandaPruner, get_pruner

CALIBRATION = 256  # texts, at most, on which scores are measured
MICRO_TOKENS = 1024  # tokens in a part of a batch; the activations of many long texts would fill the memory
PRUNINGS = 10  # in a gradual run

Batches = Sequence[dict[str, Tensor]]


def make_pruners(model: PreTrainedModel, settings: Settings, steps: int = 1) -> list[PruningManager]:
    """Return the pruners of a run with `steps` batches in an epoch, one for each kind of unit.

    Raises ValueError if they cannot prune `model`.
    """
    if settings.structure == BOTH:
        return [
            pruner
            for structure in BOTH.split("+")
            for pruner in make_pruners(model, replace(settings, structure=structure), steps)
        ]
    options: dict[str, Any] = {name: getattr(settings, name) for name in OPTIONS if getattr(settings, name) is not None}
    if settings.importance == RANDOM:
        options["importance"] = "influence" if settings.structure == "layer" else "gradient"  # one that can be given
    if settings.prune_method == "gradual":
        options |= {"end_epoch": 1, "steps_per_epoch": steps, "prune_frequency": max(1, round(steps / PRUNINGS))}
    pruner = get_pruner(
        model, settings.prune_method, settings.prune_sparsity, prune_layers=settings.prune_layers, **options
    )
    if settings.importance == RANDOM and isinstance(pruner, StructuredPruner):
        pruner.importances = pruner.draw_importances(settings.seed)
    return [pruner]


def calibrate(pruners: Sequence[PruningManager], settings: Settings, task: Task) -> int:
    """Calibrate the pruners on training texts if their scores depend on data; return the number of these texts."""
    if not settings.needs_calibration:
        return 0
    batches = task.draw_batches(min(CALIBRATION, settings.train_texts), settings.seed)
    parts = [part for batch in batches for part, _ in split_batch(batch, MICRO_TOKENS)]
    for pruner in pruners:
        if isinstance(pruner, WandaPruner | StructuredPruner):
            pruner.calibrate(parts, num_samples=count_texts(batches))
    return count_texts(batches)


class WhilePruning:
    """Batches in the order in which `fine_tune_after_pruning` takes them; `pruner` prunes after each optimizer step."""

    def __init__(self, batches: Batches, seed: int, pruner: GradualPruner) -> None:
        self.batches, self.seed, self.pruner = batches, seed, pruner
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        before = self.epoch * len(self)
        for done, batch in enumerate(order_epoch(self.batches, self.seed, self.epoch), start=before + 1):
            yield batch
            self.pruner.step(done)  # when the next batch is asked for, the step on this one is done
        self.epoch += 1


def count_texts(batches: Batches) -> int:
    """Return the number of texts in batches."""
    return sum(len(batch["labels"]) for batch in batches)
