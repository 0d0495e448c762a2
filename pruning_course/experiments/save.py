"""One run in a folder of its own, with the pruned model beside its result."""

import os
from dataclasses import asdict
from pathlib import Path

from pruning_course.checkpoint import save_pruned
from pruning_course.experiments.data import Source, load_task
from pruning_course.experiments.run import prune_and_score
from pruning_course.experiments.settings import Settings
from pruning_course.experiments.sweep import RESULT, read_json, write_json
from pruning_course.files import written_beside
from pruning_course.lab.encoder import no_loading_bar

MODEL = "model"


def run_into(folder: str | os.PathLike, settings: Settings, source: Source) -> tuple[dict, bool]:
    """Make a run and write the new `folder`, whole or not at all: `result.json`, and in `model` what `save_pruned`
    writes, with the tokenizer.

    Gives the result, and whether it is new: if the folder holds the same run already, that is read.

    Raises ValueError if the folder holds anything else, and what `prune_and_score` and `save_pruned` raise. OSError if
    it cannot be written.
    """
    folder, about = Path(folder), {"settings": asdict(settings), "source": source.describe()}
    if (folder / RESULT).exists():
        result = read_json(folder / RESULT)
        if {name: result.get(name) for name in about} != about:
            raise ValueError(
                f"{folder} holds another run, with other settings, model or data; give another output folder."
            )
        return result, False
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    if folder.exists():
        raise ValueError(f"{folder} holds something that is no run; give another output folder.")
    result, model = prune_and_score(settings, source)
    with written_beside(folder, folder=True) as target:
        with no_loading_bar():
            save_pruned(model, target / MODEL)
        load_task(source).tokenizer.save_pretrained(target / MODEL)
        write_json(target / RESULT, result | about)
    return result | about, True
