"""Save a pruned model, and load it again."""

import json
import os
from pathlib import Path

import torch
from transformers import GenerationConfig, PreTrainedModel

from pruning_course.checkpoint.description import PRUNING, damaged, describe, read_description
from pruning_course.checkpoint.skeleton import class_named, skeleton
from pruning_course.checkpoint.tensors import check, fill, stored_tensors
from pruning_course.files import written_beside

GENERATION = "generation_config.json"
ONE_FILE = 1 << 60  # bytes; never more than one file of weights


def save_pruned(model: PreTrainedModel, folder: str | os.PathLike) -> None:
    """Write `model`, shrunk or not, into the new `folder`, whole or not at all; `load_pruned` reads it.

    Any transformers model from which nothing was cut can be saved; one from which neurons, heads or layers were cut, if
    its family is known.

    The folder holds what `save_pretrained` writes (config.json, model.safetensors, generation_config.json where the
    model generates) and pruning.json: the class of the model, the neurons and heads of each block (null where the
    family is not known), the dtypes, the share of zeros in the linear layers, the versions of torch and transformers.
    No pickle. Where the config can say the sizes, because all blocks share them, `from_pretrained` can read it too.

    Weights that `Masks` prune are ordinary Parameters with zeros, also while the masks are live, and are saved as such;
    the masks themselves are not: `Masks.save` writes them.

    Before the folder gets its name, what `load_pruned` would build from it is compared with the tensors in it.

    Raises:
        TypeError: `model` is not a transformers model.
        ValueError: a model that torch.nn.utils.prune still masks, or one that its class, its config and the sizes of
            its blocks do not describe, because a layer was exchanged, say, or cut in a model of an unknown family.
        FileExistsError: `folder` exists.
    """
    if not isinstance(model, PreTrainedModel):
        raise TypeError(f"save_pruned takes a transformers model (PreTrainedModel), not {type(model).__name__}.")
    folder = Path(folder)
    if folder.exists():
        raise FileExistsError(f"{folder} exists already; a folder is never overwritten.")
    for name, _ in model.named_parameters():
        if name.endswith("_orig"):
            raise ValueError(
                f"torch.nn.utils.prune still masks {name.removesuffix('_orig')}, and under the name {name} no class "
                "would find it again; take its masks over with Masks.from_torch(model) first."
            )
    with written_beside(folder, folder=True) as target:
        # Its original format has the names that some classes (ViT, Mixtral) gave their weights in older versions.
        model.save_pretrained(target, max_shard_size=ONE_FILE, save_original_format=False)
        (target / PRUNING).write_text(json.dumps(describe(model), indent=2) + "\n", encoding="utf-8")
        about = read_description(target)
        try:
            check(skeleton(target, type(model), about), stored_tensors(target), about)
        except ValueError as error:
            raise ValueError(f"{type(model).__name__} could not be loaded again from its config: {error}") from None


def load_pruned(folder: str | os.PathLike, model_class: type[PreTrainedModel] | None = None) -> PreTrainedModel:
    """The model that `save_pruned` wrote into `folder`, on the CPU, in eval mode; it computes exactly what it did.

    Each tensor has the dtype that it was saved with, tied weights are tied again, and every parameter requires a
    gradient, as `from_pretrained` has it; the attention implementation too is the one that transformers chooses.
    Nothing is read but JSON and safetensors, no code, and nothing is fetched.

    Args:
        folder: what `save_pruned` wrote.
        model_class: for a class that transformers does not have, the class itself; otherwise it is found by its name.

    Raises:
        TypeError: `model_class` is not a class of transformers models.
        ValueError: a file is missing or damaged, or of a newer format; a class that transformers does not have and
            that was not given; a tensor that is missing, one too many, or of another shape or dtype than the model's.
    """
    folder = Path(folder)
    about = read_description(folder)
    model = skeleton(folder, model_class or class_named(folder, about["class"]), about)
    stored = stored_tensors(folder)
    check(model, stored, about)
    fill(model, folder, stored)
    for name, buffer in model.named_buffers():
        if name in about["buffers"]:
            buffer.data = buffer.to(getattr(torch, about["buffers"][name]))
    if (folder / GENERATION).exists():
        try:
            model.generation_config = GenerationConfig.from_pretrained(folder, local_files_only=True)
        except OSError:
            raise damaged(folder / GENERATION) from None
    return model
