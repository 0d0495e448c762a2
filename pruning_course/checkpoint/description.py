"""pruning.json: what a saved model is, as far as its config cannot express it."""

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import PreTrainedModel

from pruning_course.counts import is_count
from pruning_course.models import BlockSize, find_layers, find_layouts, is_inside, measure_blocks, weight_of

PRUNING = "pruning.json"
FORMAT = 1  # raise it when an older `load_pruned` could not read what is written

Description = dict[str, Any]


def describe(model: PreTrainedModel, inside: str | None = None) -> Description:
    """Return what pruning.json says about `model`, as plain data.

    `blocks` has the sizes of every list of blocks (inside the part called `inside`) of a known family, by its path. A
    model with other blocks can be loaded again if nothing was cut out of these.
    """
    saved = model.state_dict()
    weights = [weight_of(layer) for layer in find_layers(model).values()]
    zeros = sum(int((weight == 0).sum()) for weight in weights)
    return {
        "format": FORMAT,
        "class": f"{type(model).__module__}.{type(model).__qualname__}",
        "blocks": _measure(model, inside),
        "parameters": model.num_parameters(),
        "zeros": zeros / max(1, sum(weight.numel() for weight in weights)),
        "dtype": name_of(model.dtype),
        "other_dtypes": {name: name_of(tensor.dtype) for name, tensor in saved.items() if tensor.dtype != model.dtype},
        # These are not saved but computed again, in float32; a model that was cast to bfloat16 had rounded them.
        "buffers": {
            name: name_of(buffer.dtype)
            for name, buffer in model.named_buffers()
            if name not in saved and buffer.is_floating_point()
        },
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }


def _measure(model: PreTrainedModel, inside: str | None) -> dict[str, list[dict[str, int]]]:
    sizes = {}
    for path, layout in find_layouts(model).items():
        if is_inside(path, inside):
            with suppress(AttributeError, ValueError):  # layers that the table of the family does not describe
                sizes[path] = [asdict(size) for size in measure_blocks(layout)]
    return sizes


def read_description(folder: Path) -> Description:
    """Return what `describe` returned, with `blocks` as path to a list of BlockSize.

    Raises ValueError if pruning.json is missing or damaged, or has a newer format.
    """
    about = read_json(folder / PRUNING)
    version = about.get("format")
    if is_count(version, FORMAT + 1):
        raise ValueError(f"{folder} has format {version}, which only a newer pruning_course can read.")
    try:
        about["blocks"] = {path: [BlockSize(**size) for size in sizes] for path, sizes in about["blocks"].items()}
        counts = [count for sizes in about["blocks"].values() for size in sizes for count in vars(size).values()]
        names = [about["dtype"], *about["other_dtypes"].values(), *about["buffers"].values()]
        is_valid = all(isinstance(getattr(torch, name), torch.dtype) for name in names)
    except (KeyError, TypeError, AttributeError):
        raise damaged(folder / PRUNING) from None
    if not (is_count(version) and is_valid and all(is_count(count, 0) for count in counts)):
        raise damaged(folder / PRUNING)
    return about


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file. Raises ValueError if the file is missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise missing(path) from None
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise damaged(path)
    return content


def missing(path: Path) -> ValueError:
    """Return the error for a file that cannot be read."""
    return ValueError(f"{path.parent} has no readable file {path.name}, which save_pruned writes.")


def damaged(path: Path) -> ValueError:
    """Return the error for a file with other content than expected."""
    return ValueError(f"{path} is damaged: it does not contain what save_pruned writes.")


def name_of(dtype: torch.dtype) -> str:
    """Return the name of a dtype, such as "float32"."""
    return str(dtype).removeprefix("torch.")
