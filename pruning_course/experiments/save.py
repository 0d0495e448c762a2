"""One run in a folder of its own, with the pruned model beside its result."""

import os
import shutil
from dataclasses import asdict
from pathlib import Path

from torch import nn
from transformers import PreTrainedTokenizerBase

from pruning_course.checkpoint import save_pruned
from pruning_course.experiments.data import Source, load_task
from pruning_course.experiments.folders import RESULT, check_free, check_same, read_json, write_json
from pruning_course.experiments.run import make_pruner, prune_and_score
from pruning_course.experiments.settings import Settings
from pruning_course.files import written_beside
from pruning_course.lab.encoder import no_loading_bar

MODEL = "model"


def find_run(folder: str | os.PathLike, settings: Settings, source: Source) -> dict | None:
    """The result of this run if `folder` holds it already; None if the folder is new, or empty.

    Raises ValueError if the folder holds anything else, OSError without the files of `source`.
    """
    folder = Path(folder)
    if (folder / RESULT).exists():
        result, about = read_json(folder / RESULT), _known_by(settings, source)
        check_same(folder, {name: result.get(name) for name in about}, about, "run")
        return result
    source.describe()
    check_free(folder, "run")
    return None


def check_run(settings: Settings, source: Source) -> None:
    """Raise what `load_task` or `make_pruner` would raise in the run, without pruning or writing anything."""
    make_pruner(load_task(source).make_model(), settings)


def run_into(folder: str | os.PathLike, settings: Settings, source: Source) -> dict:
    """Make a run and write `folder`, whole or not at all: `result.json`, and in `model` what `save_pruned` writes, with
    the tokenizer. Returns the result.

    The dense model and the tokenizer are written first and removed again, so that what cannot be saved, or not there,
    is found before the work.

    Raises what `find_run`, `prune_and_score` and `save_pruned` raise. OSError if it cannot be written.
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
        _save(model, task.tokenizer, target / MODEL)
        result |= _known_by(settings, source)
        write_json(target / RESULT, result)
    return result


def _save(model: nn.Module, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    with no_loading_bar():
        save_pruned(model, folder)
    tokenizer.save_pretrained(folder)


def _known_by(settings: Settings, source: Source) -> dict:
    return {"settings": asdict(settings), "source": source.describe()}
