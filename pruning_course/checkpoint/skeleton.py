"""A model of the right class and sizes whose parameters have no values yet."""

from pathlib import Path

import transformers
from accelerate import init_empty_weights
from transformers import PreTrainedModel

from pruning_course.checkpoint.description import PRUNING, read_json
from pruning_course.models import find_layout, measure_blocks
from pruning_course.shrink import Removal, shrink

CONFIG = "config.json"


def class_named(folder: Path, name: str) -> type[PreTrainedModel]:
    """The class of transformers that pruning.json names, with its module. ValueError where there is none."""
    found = getattr(transformers, name.rpartition(".")[2], None) if name.startswith("transformers.") else None
    if not (isinstance(found, type) and issubclass(found, PreTrainedModel)):
        raise ValueError(
            f"{folder} holds a {name}, which transformers does not have; give the class itself as "
            "load_pruned(folder, model_class=...)."
        )
    return found


def skeleton(folder: Path, model_class: type[PreTrainedModel], about: dict) -> PreTrainedModel:
    """The model that config.json and `about` describe, with its parameters on the meta device; buffers have values.

    Raises TypeError for another kind of class, ValueError for another number of blocks, a missing or damaged config.
    """
    if not (isinstance(model_class, type) and issubclass(model_class, PreTrainedModel)):
        raise TypeError(f"model_class is {model_class!r}; it is a class of transformers models (PreTrainedModel).")
    config = model_class.config_class.from_dict(read_json(folder, CONFIG))
    with init_empty_weights(include_buffers=False):
        model = model_class(config)
    model.tie_weights()  # a parameter that moved to the meta device lost its twin
    if about["blocks"] is None:
        return model.eval()
    wanted, built = about["blocks"], measure_blocks(find_layout(model))
    if len(wanted) != len(built):
        raise ValueError(f"{PRUNING} has {len(wanted)} blocks and {CONFIG} has {len(built)}.")
    # Which of them go makes no difference: the values come later.
    removal = Removal(
        neurons={block: range(wanted[block].neurons, size.neurons) for block, size in enumerate(built)},
        heads={block: range(wanted[block].heads, size.heads) for block, size in enumerate(built)},
    )
    return (shrink(model, removal) if removal != Removal() else model).eval()
