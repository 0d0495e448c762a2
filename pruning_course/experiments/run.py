"""One run: prune, train again, score on validation; plain data about it."""

import os
import platform
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import lru_cache
from importlib.metadata import version
from math import ceil
from statistics import median

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from pruning_course.experiments.data import Source, Task, load_task
from pruning_course.experiments.settings import OPTIONS, Settings
from pruning_course.finetune import FineTuneConfig, History, fine_tune_after_pruning
from pruning_course.finetune.batches import parts
from pruning_course.finetune.losses import f1_scores
from pruning_course.lab.timing import milliseconds
from pruning_course.pruners import GradualPruner, PruningManager, get_pruner
from pruning_course.report import multiply_adds, sparsity_report

MICRO_TOKENS = 1024  # activations of long texts would fill the memory
PRUNINGS = 10  # of a gradual run
ROUNDS = 3  # of timing; more would cost a sweep as much as its training
PACKAGES = ("pruning-course", "torch", "transformers", "numpy", "scikit-learn")

# Runs set the random state of the process, so in a worker with several threads one waits for the other.
_one_at_a_time = threading.Lock()

Batches = Sequence[dict[str, Tensor]]


class Stopwatch:
    """Seconds of each step, by name."""

    def __init__(self):
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 2)


class WhilePruning:
    """Batches in a new order for each of `epochs`; `pruner` makes its step after each optimizer step.

    It counts as one epoch for `fine_tune_after_pruning`, which would else put back the weights of an epoch in which
    less was pruned. Not a sequence, so it orders its batches itself, with the torch seed that is set for it.
    """

    def __init__(self, batches: Batches, epochs: int, pruner: GradualPruner):
        self.batches, self.epochs, self.pruner = batches, epochs, pruner

    def __len__(self) -> int:
        return len(self.batches) * self.epochs

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        order = [place for _ in range(self.epochs) for place in torch.randperm(len(self.batches)).tolist()]
        for done, place in enumerate(order, start=1):
            yield self.batches[place]
            self.pruner.step(done)  # the next batch is asked for when the step on this one is done


def execute(settings: Settings, source: Source) -> dict:
    """What `prune_and_score` says, without the model; of a run that raised, the error. Never raises an `Exception`."""
    start = time.perf_counter()
    try:
        return prune_and_score(settings, source)[0]
    except Exception as error:
        return failed(settings, error, time.perf_counter() - start)


def failed(settings: Settings, error: Exception, seconds: float) -> dict:
    """What is known of a run that ended with `error` after `seconds`."""
    line = " ".join(f"{type(error).__name__}: {error}".split())
    about = {"error": line, "seconds": {"total": round(seconds, 2)}}
    return {"status": "failed", **_known_by(settings), **about, **_made_with()}


def prune_and_score(settings: Settings, source: Source) -> tuple[dict, nn.Module]:
    """Prune a copy of the classifier of `source`, train it again, score it on validation.

    Gives the model, on accelerate's device, in eval mode and smaller where the pruning was structured, and plain data:
    `status` "done", `settings`, `seed`, `metrics` and `dense_metrics` (micro_f1 and macro_f1 on validation, after and
    before), `history` of the training, `sparsity` (shares and counts; see `SparsityReport`), `bytes` (dense, csr,
    shrunk), `multiply_adds` (dense, pruned; of the middle batch of validation), `texts`, `seconds` (of each step, and
    of a forward pass over that batch on one thread, dense and pruned), `versions`, `machine`. All of it but the seconds
    depends on nothing else than settings, source and machine. Embeddings are not trained.

    Raises what the pruner, the fine-tuning or `load_task` raises; what the pruner cannot do with this model, before
    anything is scored, pruned or trained.
    """
    with _one_at_a_time:
        watch = Stopwatch()
        with watch.step("total"):
            result, model = _prune_and_score(settings, source, watch)
    return {"status": "done", **_known_by(settings), **result, "seconds": watch.seconds, **_made_with()}, model


def _prune_and_score(settings: Settings, source: Source, watch: Stopwatch) -> tuple[dict, nn.Module]:
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
        if settings.needs_calibration:
            small = [part for batch in train for part, _ in parts(batch, MICRO_TOKENS)]
            pruner.calibrate(small, num_samples=count)
        if settings.prune_method != "gradual":
            pruner.prune()
    with watch.step("training"):
        epochs = settings.fine_tune_epochs
        if settings.prune_method == "gradual":
            first = ceil(epochs / 2)
            pruner.step(0)  # masks that keep everything
            _extend(history, _train(model, WhilePruning(train, first, pruner), validation, pruner, 1, settings))
            epochs -= first
        if epochs:
            _extend(history, _train(model, train, validation, pruner, epochs, settings))
    report = sparsity_report(model, pruner.masks).to_dict()
    if settings.prune_method == "structured":
        pruner.shrink()
    with watch.step("scoring"):
        metrics = _scores(model, validation, accelerator)
    middle = {name: tensor.to(accelerator.device) for name, tensor in validation[len(validation) // 2].items()}
    del middle["labels"]
    models = {"dense": task.make_model().to(accelerator.device), "pruned": model.eval()}
    with watch.step("timing"):
        calls = {f"{name}_forward": lambda model=one: model(**middle) for name, one in models.items()}
        passes = {name: round(median(found) / 1000, 5) for name, found in milliseconds(calls, ROUNDS).items()}
    watch.seconds |= passes
    del report["left_out"]
    return {
        "metrics": metrics,
        "dense_metrics": dense,
        "history": asdict(history),
        "bytes": {kind: report.pop(f"bytes_{kind}") for kind in ("dense", "csr", "shrunk")},
        "multiply_adds": {name: multiply_adds(one, middle) for name, one in models.items()},
        "sparsity": report,
        "texts": {"train": count, "validation": _count_texts(validation)},
    }, model


def make_pruner(model: nn.Module, settings: Settings, steps: int = 1) -> PruningManager:
    """The pruner of a run, with `steps` batches an epoch. ValueError for what it cannot do with `model`."""
    options = {name: getattr(settings, name) for name in OPTIONS if getattr(settings, name) is not None}
    if settings.prune_method == "gradual":
        half = settings.fine_tune_epochs / 2
        options |= {"end_epoch": half, "steps_per_epoch": steps}
        options["prune_frequency"] = max(1, round(half * steps / PRUNINGS))
    return get_pruner(
        model, settings.prune_method, settings.prune_sparsity, prune_layers=settings.prune_layers, **options
    )


def _train(model, batches, validation, pruner, epochs: int, settings: Settings) -> History:
    config = FineTuneConfig(
        epochs, lr=settings.learning_rate, lr_factor=1.0, micro_tokens=MICRO_TOKENS, seed=settings.seed
    )
    return fine_tune_after_pruning(model, batches, validation, pruner.masks, config)


def _extend(history: History, more: History) -> None:
    for name, numbers in asdict(more).items():
        getattr(history, name).extend(numbers)


def _scores(model: nn.Module, batches: Batches, accelerator: Accelerator) -> dict[str, float]:
    return dict(zip(("micro_f1", "macro_f1"), f1_scores(model, batches, accelerator, MICRO_TOKENS), strict=True))


@lru_cache(maxsize=1)
def _dense_metrics(source: Source) -> dict[str, float]:
    task: Task = load_task(source)
    accelerator = Accelerator()
    return _scores(task.make_model().to(accelerator.device), task.validation_batches(), accelerator)


def _count_texts(batches: Batches) -> int:
    return sum(len(batch["labels"]) for batch in batches)


def _known_by(settings: Settings) -> dict:
    return {"settings": asdict(settings), "seed": settings.seed}


def _made_with() -> dict:
    return {
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "machine": {
            "system": platform.system(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "device": str(Accelerator().device),
        },
    }
