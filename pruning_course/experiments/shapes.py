"""Bytes and milliseconds of the shapes that pruning makes of a classifier, each measured once, in files and in turn.

Time depends on a model's shape and dtype and not on how its units were chosen; a mask does not change the shape.
"""

import tempfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
import torch
from tqdm.auto import tqdm
from transformers import PreTrainedModel

from pruning_course.checkpoint import save_pruned
from pruning_course.experiments.data import Source, Task, load_task
from pruning_course.experiments.prune import make_pruners
from pruning_course.experiments.records import describe_processor
from pruning_course.experiments.run import score_parts
from pruning_course.experiments.settings import BOTH, Settings
from pruning_course.lab.encoder import no_loading_bar
from pruning_course.lab.timing import milliseconds
from pruning_course.pruners import StructuredPruner
from pruning_course.report import multiply_adds

SHARES = (0.3, 0.5, 0.7)
TEXTS = (1, 8)  # in a forward pass
ROUNDS = 9
DTYPES = (torch.float32, torch.bfloat16)
SHAPES = Path(__file__).with_name("shapes.csv")  # what `measure_shapes` measured of the course's classifier


def list_shapes() -> dict[str, Settings]:
    """Return the settings that make each shape, by its name. Which units go does not matter, so the norm chooses."""
    cut: dict[str, Any] = {"prune_method": "structured", "prune_layers": "encoder"}
    shapes = {"dense": Settings(prune_sparsity=0.0, prune_layers="encoder")}
    for share in SHARES:
        shapes |= {
            f"masked {share:.0%}": Settings(prune_sparsity=share, prune_layers="encoder"),
            f"neurons {share:.0%}": Settings(prune_sparsity=share, **cut),
            f"heads and neurons {share:.0%}": Settings(prune_sparsity=share, structure=BOTH, **cut),
        }
    return shapes | {"blocks 50%": Settings(prune_sparsity=0.5, structure="layer", **cut)}


def read_shapes() -> pd.DataFrame:
    """Return the table of `measure_shapes` that comes with the course."""
    return pd.read_csv(SHAPES)


def measure_shapes(source: Source) -> pd.DataFrame:
    """Return a row for each shape and dtype of the classifier of `source`.

    The columns are shape and dtype; parameters; work (the fraction of the dense multiply-adds); mb and mb_zipped (of
    the file of weights, as it is and compressed); ms_1 and ms_8 (a forward pass over so many texts of middle length on
    one thread: the median of nine rounds in which all shapes take turns; empty for masks, whose shape is the dense
    one); micro_f1, macro_f1 and average_precision on validation (of the dense model); processor. All models are in
    memory at once: about ten times the classifier.

    Raises as `prune_and_score` does.
    """
    task = load_task(source)
    batch = task.middle_batch(torch.device("cpu"))
    rows: list[dict[str, Any]] = []
    calls: dict[str, Callable[[], object]] = {}
    plan = [(name, settings, dtype) for name, settings in list_shapes().items() for dtype in DTYPES]
    for place, (name, settings, dtype) in enumerate(tqdm(plan, desc="Shapes", unit="shape")):
        model = _make(task, settings, dtype)
        row = {"shape": name, "dtype": str(dtype).removeprefix("torch."), "parameters": model.num_parameters()}
        row |= {"work": multiply_adds(model, batch)} | _weigh(model)
        if name == "dense":
            row |= {metric: value for metric, value in score_parts(model, task).items() if not metric.startswith("sel")}
        rows.append(row)
        for count in TEXTS if not name.startswith("masked") else ():
            calls[f"{place} ms_{count}"] = partial(model, **{key: tensor[:count] for key, tensor in batch.items()})
    for name, times in milliseconds(calls, ROUNDS).items():
        where, column = name.split()
        rows[int(where)][column] = median(times)
    table = pd.DataFrame(rows).assign(processor=describe_processor())
    return table.assign(work=table["work"] / table["work"][0])


def _make(task: Task, settings: Settings, dtype: torch.dtype) -> PreTrainedModel:
    model: Any = task.make_model()
    for pruner in make_pruners(model, settings):
        pruner.prune()
        if isinstance(pruner, StructuredPruner):
            pruner.shrink()
        elif pruner.masks is not None:
            pruner.masks.finalize()
    made: PreTrainedModel = model.to(dtype).eval()
    return made


def _weigh(model: PreTrainedModel) -> dict[str, float]:
    """Return the megabytes of the file of weights, as it is and zipped."""
    with tempfile.TemporaryDirectory() as folder, no_loading_bar():
        save_pruned(model, Path(folder) / "model")
        [path] = Path(folder, "model").glob("*.safetensors")
        packed = Path(folder, "packed.zip")
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(path)
        return {"mb": path.stat().st_size / 1e6, "mb_zipped": packed.stat().st_size / 1e6}
