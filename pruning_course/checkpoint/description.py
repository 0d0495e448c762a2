"""pruning.json: what a saved model is, as far as its config has no words for it."""

import json
from pathlib import Path

import torch
import transformers
from transformers import PreTrainedModel

from pruning_course.models import BlockSize, find_layout, linear_layers, measure_blocks

PRUNING = "pruning.json"
FORMAT = 1  # raise it when an older `load_pruned` could not read what is written


def describe(model: PreTrainedModel) -> dict:
    """What pruning.json says of `model`, as plain data.

    `blocks` is None where the blocks cannot be sized, because the family is not known, say. Such a model can be loaded
    again if nothing was cut out of it.
    """
    saved = model.state_dict()
    main = model.dtype
    weights = [layer.weight for layer in linear_layers(model).values()]
    zeros = sum(weight.numel() - int(weight.count_nonzero()) for weight in weights)
    return {
        "format": FORMAT,
        "class": f"{type(model).__module__}.{type(model).__qualname__}",
        "blocks": _measure(model),
        "parameters": model.num_parameters(),
        "zeros": zeros / max(1, sum(weight.numel() for weight in weights)),
        "dtype": name_of(main),
        "other_dtypes": {name: name_of(tensor.dtype) for name, tensor in saved.items() if tensor.dtype != main},
        # They are not saved but computed anew, in float32; a model that was cast to bfloat16 had them rounded.
        "buffers": {
            name: name_of(buffer.dtype)
            for name, buffer in model.named_buffers()
            if name not in saved and buffer.is_floating_point()
        },
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }


def _measure(model: PreTrainedModel) -> list[dict] | None:
    try:
        return [vars(size) for size in measure_blocks(find_layout(model))]
    except (AttributeError, ValueError):  # no known family, or layers that are not those of the family
        return None


def read_description(folder: Path) -> dict:
    """What `describe` returned, read from `folder`; `blocks` is a list of BlockSize, or None.

    Raises ValueError where the file is missing, damaged or of a newer format.
    """
    about = read_json(folder, PRUNING)
    try:
        if int(about["format"]) <= FORMAT:
            if about["blocks"] is not None:
                about["blocks"] = [BlockSize(**block) for block in about["blocks"]]
            counts = [count for block in about["blocks"] or [] for count in (block.neurons, block.heads)]
            names = [about["dtype"], *about["other_dtypes"].values(), *about["buffers"].values()]
            if all(type(count) is int and count >= 0 for count in counts) and all(
                isinstance(getattr(torch, name), torch.dtype) for name in names
            ):
                return about
            raise ValueError
    except (KeyError, TypeError, ValueError, AttributeError):
        raise damaged(folder / PRUNING) from None
    raise ValueError(f"{folder} has format {about['format']} and can be read by a newer pruning_course only.")


def read_json(folder: Path, name: str) -> dict:
    """The object in a JSON file. ValueError where it is missing or damaged."""
    try:
        found = json.loads((folder / name).read_text(encoding="utf-8"))
    except OSError:
        raise missing(folder / name) from None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise damaged(folder / name)
    return found


def missing(path: Path) -> ValueError:
    return ValueError(f"{path.parent} has no readable file {path.name}; save_pruned writes one.")


def damaged(path: Path) -> ValueError:
    return ValueError(f"{path} is damaged: it is not what save_pruned wrote.")


def name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
