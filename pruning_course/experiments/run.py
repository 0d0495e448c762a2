"""One run: prune a classifier, train it again, score it on the validation texts, and describe it in plain data."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import lru_cache
from math import ceil
from statistics import median
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor
from transformers import PreTrainedModel

from pruning_course.experiments.data import Source, load_task
from pruning_course.experiments.records import Stopwatch, environment, failed, identity
from pruning_course.experiments.settings import OPTIONS, Settings
from pruning_course.finetune import FineTuneConfig, History, fine_tune_after_pruning
from pruning_course.finetune.batches import split_batch
from pruning_course.finetune.labels import compute_f1
from pruning_course.finetune.predictions import predict_rows
from pruning_course.lab.timing import milliseconds
from pruning_course.pruners import GradualPruner, PruningManager, StructuredPruner, WandaPruner, get_pruner
from pruning_course.report import multiply_adds, sparsity_report

MICRO_TOKENS = 1024  # tokens in a part of a batch; the activations of many long texts would fill the memory
PRUNINGS = 10  # in a gradual run
ROUNDS = 3  # of timing; with more, timing would take as long as training
SIZES = ("dense", "csr", "shrunk")  # the ways to store a model whose sizes are reported

# A run sets the random state of its process, so the threads of a worker take turns.
_one_at_a_time = threading.Lock()

Batches = Sequence[dict[str, Tensor]]


class WhilePruning:
    """Batches for several epochs, each in a new random order; `pruner` prunes after each of the optimizer's steps.

    For `fine_tune_after_pruning` they are one epoch, because it restores the weights of the best epoch, and an early
    epoch would be best, when little is pruned. As this is not a sequence, fine-tuning sets the seed of torch but leaves
    the order to this class.
    """

    def __init__(self, batches: Batches, epochs: int, pruner: GradualPruner) -> None:
        self.batches, self.epochs, self.pruner = batches, epochs, pruner

    def __len__(self) -> int:
        return len(self.batches) * self.epochs

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        order = [place for _ in range(self.epochs) for place in torch.randperm(len(self.batches)).tolist()]
        for done, place in enumerate(order, start=1):
            yield self.batches[place]
            self.pruner.step(done)  # when the next batch is asked for, the step on this one is done


def execute(settings: Settings, source: Source) -> dict[str, Any]:
    """Make a run and return its result; if the run raises an Exception, the result describes the error."""
    start = time.perf_counter()
    try:
        return prune_and_score(settings, source)[0]
    except Exception as error:
        return failed(settings, error, time.perf_counter() - start)


def prune_and_score(settings: Settings, source: Source) -> tuple[dict[str, Any], PreTrainedModel]:
    """Prune a copy of the classifier of `source`, train it again (except its embeddings), and score it on validation.

    Returns:
        The result and the model. The model is on accelerate's device, in eval mode, and smaller if the pruning was
        structured. The result is plain data: `status` ("done"), `settings`, `seed`; `metrics` and `dense_metrics`
        (micro_f1 and macro_f1 after and before); `history` (of the training); `sparsity` (fractions and counts, see
        `SparsityReport`); `bytes` (dense, csr, shrunk); `multiply_adds` (dense and pruned, for the middle batch of
        validation); `texts` (counts); `seconds` (of each step, and of a forward pass of both models over that batch on
        one thread); `versions` and `machine`. Except for `seconds`, it is the same whenever the settings, the source
        and the machine are the same.

    Raises:
        OSError: if a file of `source` cannot be read.
        ValueError: if the model, the tokenizer and the texts do not fit each other, or (before any scoring, pruning or
            training) if the settings do not fit the model.
        CacheError: if the course's own model is damaged in the cache, or the cache cannot be written.
        WheelError: if a package with the course's own data is missing or damaged.
    """
    with _one_at_a_time:
        watch = Stopwatch()
        with watch.step("total"):
            result, model = _prune_and_score(settings, source, watch)
    return {"status": "done", **identity(settings), **result, "seconds": watch.seconds, **environment()}, model


def _prune_and_score(settings: Settings, source: Source, watch: Stopwatch) -> tuple[dict[str, Any], PreTrainedModel]:
    with watch.step("loading"):
        task = load_task(source)
        accelerator = Accelerator()
        model = task.make_model().to(accelerator.device)
        model.get_input_embeddings().requires_grad_(False)
        train = task.train_batches(settings.train_texts, settings.seed) if settings.needs_texts else []
        validation = task.validation_batches()
        count = _count_texts(train)
        pruner = make_pruner(model, settings, len(train))
        dense = _dense_metrics(source)
        torch.manual_seed(settings.seed)
    history = History()
    with watch.step("pruning"):
        if isinstance(pruner, WandaPruner | StructuredPruner) and settings.needs_calibration:
            pruner.calibrate(_cut(train), num_samples=count)
        if not isinstance(pruner, GradualPruner):
            pruner.prune()
    with watch.step("training"):
        epochs = settings.fine_tune_epochs
        if isinstance(pruner, GradualPruner):
            first = ceil(epochs / 2)
            pruner.step(0)  # makes masks that keep every weight
            _extend(history, _train(model, WhilePruning(train, first, pruner), validation, pruner, 1, settings))
            epochs -= first
        if epochs:
            _extend(history, _train(model, train, validation, pruner, epochs, settings))
    assert pruner.masks is not None
    report = sparsity_report(model, pruner.masks).to_dict()
    if isinstance(pruner, StructuredPruner):
        pruner.shrink()
    with watch.step("scoring"):
        metrics = _scores(model, validation, accelerator)
    middle = {name: tensor.to(accelerator.device) for name, tensor in validation[len(validation) // 2].items()}
    del middle["labels"]
    models = {"dense": task.make_model().to(accelerator.device), "pruned": model.eval()}
    with watch.step("timing"):
        calls = {f"{name}_forward": lambda model=one: model(**middle) for name, one in models.items()}
        passes = {name: round(median(times) / 1000, 5) for name, times in milliseconds(calls, ROUNDS).items()}
    watch.seconds |= passes
    del report["left_out"]
    return {
        "metrics": metrics,
        "dense_metrics": dense,
        "history": asdict(history),
        "bytes": {kind: report.pop(f"bytes_{kind}") for kind in SIZES},
        "multiply_adds": {name: multiply_adds(one, middle) for name, one in models.items()},
        "sparsity": report,
        "texts": {"train": count, "validation": _count_texts(validation)},
    }, model


def make_pruner(model: PreTrainedModel, settings: Settings, steps: int = 1) -> PruningManager:
    """Return the pruner of a run with `steps` batches in an epoch. Raises ValueError if it cannot prune `model`."""
    options: dict[str, Any] = {name: getattr(settings, name) for name in OPTIONS if getattr(settings, name) is not None}
    if settings.prune_method == "gradual":
        half = settings.fine_tune_epochs / 2
        options |= {"end_epoch": half, "steps_per_epoch": steps}
        options["prune_frequency"] = max(1, round(half * steps / PRUNINGS))
    return get_pruner(
        model, settings.prune_method, settings.prune_sparsity, prune_layers=settings.prune_layers, **options
    )


def _train(
    model: PreTrainedModel,
    batches: Batches | WhilePruning,
    validation: Batches,
    pruner: PruningManager,
    epochs: int,
    settings: Settings,
) -> History:
    config = FineTuneConfig(
        epochs, lr=settings.learning_rate, lr_factor=1.0, micro_tokens=MICRO_TOKENS, seed=settings.seed
    )
    return fine_tune_after_pruning(model, batches, validation, pruner.masks, config)


def _extend(history: History, more: History) -> None:
    for name, numbers in asdict(more).items():
        getattr(history, name).extend(numbers)


def _scores(model: PreTrainedModel, batches: Batches, accelerator: Accelerator) -> dict[str, float]:
    return compute_f1(*predict_rows(model, batches, accelerator, MICRO_TOKENS))


@lru_cache(maxsize=1)
def _dense_metrics(source: Source) -> dict[str, float]:
    task = load_task(source)
    accelerator = Accelerator()
    return _scores(task.make_model().to(accelerator.device), task.validation_batches(), accelerator)


def _cut(batches: Batches) -> list[dict[str, Tensor]]:
    return [part for batch in batches for part, _ in split_batch(batch, MICRO_TOKENS)]


def _count_texts(batches: Batches) -> int:
    return sum(len(batch["labels"]) for batch in batches)
