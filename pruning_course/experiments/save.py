"""One run with its own folder, which holds the result and the pruned model."""

import os
import shutil
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from accelerate import Accelerator
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pruning_course.checkpoint import save_pruned
from pruning_course.experiments.data import Source, Task, load_task
from pruning_course.experiments.folders import RESULT, check_free, check_same, read_json, write_json
from pruning_course.experiments.prune import make_pruners
from pruning_course.experiments.run import prune_and_score
from pruning_course.experiments.settings import Settings
from pruning_course.files import written_beside
from pruning_course.lab.encoder import no_loading_bar
from pruning_course.lab.timing import milliseconds

MODEL = "model"


def find_run(folder: str | os.PathLike[str], settings: Settings, source: Source) -> dict[str, Any] | None:
    """Return the result of the run if `folder` holds it already, or None if the folder is empty or does not exist.

    Raises:
        OSError: if the files of `source` cannot be read.
        ValueError: if the folder holds anything else, or the result is damaged.
    """
    folder = Path(folder)
    if (folder / RESULT).exists():
        result, identity = read_json(folder / RESULT), _identity(settings, source)
        check_same(folder, {name: result.get(name) for name in identity}, identity, "run")
        return result
    source.describe()
    check_free(folder, "run")
    return None


def check_run(settings: Settings, source: Source) -> None:
    """Check that the run can be made, without pruning or writing anything.

    Raises:
        OSError: if a file of `source` cannot be read.
        ValueError: if the model, the tokenizer and the texts do not fit each other, or the settings do not fit the
            model.
        CacheError: if the course's own model is damaged in the cache, or the cache cannot be written.
        WheelError: if a package with the course's own data is missing or damaged.
    """
    make_pruners(load_task(source).make_model(), settings)


def run_into(folder: str | os.PathLike[str], settings: Settings, source: Source) -> dict[str, Any]:
    """Make a run, write its result and its model into `folder`, and return the result.

    The folder holds `result.json`, and in `model` the pruned model (as `save_pruned` writes it) with its tokenizer. It
    is written completely or not at all. If it holds this run already, nothing is done. The dense model is saved first
    and deleted again, so that an error in saving is found before the work and not after it.

    Raises:
        OSError: if a file of `source` cannot be read, or the folder cannot be written.
        ValueError: if the folder holds anything else, the model cannot be saved, or the settings, the model, the
            tokenizer and the texts do not fit each other.
        CacheError: if the course's own model is damaged in the cache, or the cache cannot be written.
        WheelError: if a package with the course's own data is missing or damaged.
    """
    folder = Path(folder)
    if (result := find_run(folder, settings, source)) is not None:
        return result
    if folder.exists():
        folder.rmdir()
    task = load_task(source)
    with written_beside(folder, folder=True) as target:
        _save(task.make_model(), task.tokenizer, target / MODEL)
        shutil.rmtree(target / MODEL)
        result, model = prune_and_score(settings, source)
        result["seconds"] |= _time_forward(task, model)
        _save(model, task.tokenizer, target / MODEL)
        result |= _identity(settings, source)
        write_json(target / RESULT, result)
    return result


def _time_forward(task: Task, model: PreTrainedModel) -> dict[str, float]:
    """Return the seconds of a forward pass of the dense and the pruned model over a batch of middle length."""
    device = Accelerator().device
    middle = task.middle_batch(device)
    models = {"dense": task.make_model().to(device), "pruned": model}
    calls = {f"{name}_forward": lambda model=one: model(**middle) for name, one in models.items()}
    return {name: round(median(times) / 1000, 5) for name, times in milliseconds(calls).items()}


def _save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    with no_loading_bar():
        save_pruned(model, folder)
    tokenizer.save_pretrained(folder)


def _identity(settings: Settings, source: Source) -> dict[str, Any]:
    return {"settings": asdict(settings), "source": source.describe()}
