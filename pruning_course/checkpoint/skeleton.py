"""A model of the right class and sizes whose parameters have no values yet."""

from pathlib import Path

import transformers
from accelerate import init_empty_weights
from transformers import PreTrainedModel

from pruning_course.checkpoint.description import PRUNING, Description, read_json
from pruning_course.models import find_layout, measure_blocks
from pruning_course.shrink import Removal, shrink

CONFIG = "config.json"


def find_class(folder: Path, name: str) -> type[PreTrainedModel]:
    """Return the class of transformers that pruning.json names. Raises ValueError if transformers does not have it."""
    found = getattr(transformers, name.rpartition(".")[2], None) if name.startswith("transformers.") else None
    if not (isinstance(found, type) and issubclass(found, PreTrainedModel)):
        raise ValueError(
            f"{folder} holds a {name}, which transformers does not have; pass the class itself as "
            "load_pruned(folder, model_class=...)."
        )
    return found


def make_skeleton(folder: Path, model_class: type[PreTrainedModel], about: Description) -> PreTrainedModel:
    """Return the model that config.json and `about` describe, in eval mode; parameters are on the meta device.

    Raises TypeError if `model_class` is not a class of transformers models; ValueError if the config is missing or
    damaged, or has another number of blocks than `about`.
    """
    config_class = getattr(model_class, "config_class", None)
    if not (isinstance(model_class, type) and issubclass(model_class, PreTrainedModel) and config_class):
        raise TypeError(f"model_class is {model_class!r}; it must be a class of transformers models (PreTrainedModel).")
    config = config_class.from_dict(read_json(folder / CONFIG))
    with init_empty_weights(include_buffers=False):
        model = model_class(config)
    model.tie_weights()  # a parameter that moved to the meta device has lost its twin
    for path, saved in about["blocks"].items():
        built = measure_blocks(find_layout(model, path))
        if len(saved) != len(built):
            raise ValueError(f"{PRUNING} has {len(saved)} blocks and {CONFIG} has {len(built)}.")
        # It makes no difference which of them are removed, because the values come later.
        removal = Removal(
            neurons={block: range(saved[block].neurons, size.neurons) for block, size in enumerate(built)},
            heads={block: range(saved[block].heads, size.heads) for block, size in enumerate(built)},
        )
        if removal != Removal():
            shrink(model, removal, inside=path)
    model.eval()
    return model
