"""One run: prune a classifier, train it again, score it on the validation texts, and describe it in plain data."""

import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from transformers import PreTrainedModel

from pruning_course.checkpoint import save_pruned
from pruning_course.experiments.data import Source, Task, load_task
from pruning_course.experiments.metrics import average_precision, score
from pruning_course.experiments.prune import MICRO_TOKENS, Batches, WhilePruning, calibrate, count_texts, make_pruners
from pruning_course.experiments.records import Stopwatch, environment, failed, identity
from pruning_course.experiments.settings import Settings
from pruning_course.finetune import FineTuneConfig, History, fine_tune_after_pruning
from pruning_course.finetune.predictions import predict_rows
from pruning_course.lab.encoder import no_loading_bar
from pruning_course.pruners import GradualPruner, PruningManager, StructuredPruner
from pruning_course.report import multiply_adds, sparsity_report

# A run sets the random state of its process, so the threads of a worker take turns.
_one_at_a_time = threading.Lock()


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
        (micro_f1, macro_f1 and average_precision on validation, after and before, and select_micro_f1, on the texts on
        which the best epoch was chosen); `history` (of the training); `sparsity` (fractions and counts, see
        `SparsityReport`); `bytes` (of the file that the model makes); `multiply_adds` (dense and pruned, for the middle
        batch of validation); `texts` (counts); `seconds` (of each step); `versions` and `machine`. Except for
        `seconds`, it is the same whenever the settings, the source and the machine are the same.

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
        device = Accelerator().device
        model = task.make_model().to(device)
        model.get_input_embeddings().requires_grad_(False)
        train = task.draw_batches(settings.train_texts, settings.seed) if settings.fine_tune_epochs else []
        pruners = make_pruners(model, settings, len(train))
        dense = _dense_metrics(source)
        torch.manual_seed(settings.seed)
    with watch.step("pruning"):
        calibrated = calibrate(pruners, settings, task)
        for pruner in pruners:
            pruner.step(0) if isinstance(pruner, GradualPruner) else pruner.prune()  # gradual: with masks of ones
    report = _describe(model, pruners)
    for pruner in pruners:
        if isinstance(pruner, StructuredPruner):
            pruner.shrink()
    history = History()
    with watch.step("training"):
        if settings.fine_tune_epochs:
            history = _train(model, train, task, pruners[0], settings)
    if isinstance(pruners[0], GradualPruner):
        report = _describe(model, pruners)
    with watch.step("scoring"):
        metrics = _best_of(history) if history.train_loss else score_parts(model, task)
    middle = task.middle_batch(device)
    models = {"dense": task.make_model().to(device), "pruned": model.eval()}
    return {
        "metrics": metrics,
        "dense_metrics": dense,
        "history": asdict(history),
        "bytes": _write_and_weigh(model),
        "multiply_adds": {name: multiply_adds(one, middle) for name, one in models.items()},
        "sparsity": report,
        "texts": {
            "train": count_texts(train),
            "calibration": calibrated,
            "validation": count_texts(task.batches("validation")),
        },
    }, model


def _train(model: PreTrainedModel, batches: Batches, task: Task, pruner: PruningManager, settings: Settings) -> History:
    config = FineTuneConfig(
        settings.fine_tune_epochs,
        lr=settings.learning_rate,
        lr_factor=1.0,
        decay=True,
        micro_tokens=MICRO_TOKENS,
        seed=settings.seed,
    )
    return fine_tune_after_pruning(
        model,
        WhilePruning(batches, settings.seed, pruner) if isinstance(pruner, GradualPruner) else batches,
        task.batches("validation"),
        pruner.masks,
        config,
        select_loader=task.batches("select"),
        metric=lambda logits, labels: {"average_precision": average_precision(logits, labels)},
    )


def _best_of(history: History) -> dict[str, float]:
    best = history.best_epoch
    return {
        "micro_f1": history.micro_f1[best],
        "macro_f1": history.macro_f1[best],
        **history.metrics[best],
        "select_micro_f1": history.select_f1[best],
    }


def score_parts(model: PreTrainedModel, task: Task) -> dict[str, float]:
    """Return the scores on validation, and select_micro_f1 on the texts that choose an epoch."""
    accelerator = Accelerator()
    rows = {
        part: predict_rows(model, task.batches(part), accelerator, MICRO_TOKENS) for part in ("validation", "select")
    }
    return score(*rows["validation"]) | {"select_micro_f1": score(*rows["select"])["micro_f1"]}


@lru_cache(maxsize=1)
def _dense_metrics(source: Source) -> dict[str, float]:
    task = load_task(source)
    return score_parts(task.make_model().to(Accelerator().device), task)


def _describe(model: PreTrainedModel, pruners: Sequence[PruningManager]) -> dict[str, Any]:
    """Return the sparsity of the masks of all pruners; the sizes are those of files, which are measured later."""
    masks = {name: mask for pruner in pruners for name, mask in (pruner.masks or {}).items()}
    report = sparsity_report(model, masks).to_dict()
    return {name: value for name, value in report.items() if name != "left_out" and not name.startswith("bytes_")}


def _write_and_weigh(model: PreTrainedModel) -> int:
    """Return the bytes of the model's weights in a file."""
    with tempfile.TemporaryDirectory() as folder, no_loading_bar():
        save_pruned(model, Path(folder) / "model")
        return sum(path.stat().st_size for path in Path(folder).rglob("*.safetensors"))
