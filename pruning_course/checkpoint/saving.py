"""Save a pruned model, and load it again."""

import json
import os
from pathlib import Path

import torch
from torch import nn
from transformers import GenerationConfig, PreTrainedModel

from pruning_course.checkpoint.description import PRUNING, damaged, describe, read_description
from pruning_course.checkpoint.skeleton import find_class, make_skeleton
from pruning_course.checkpoint.tensors import check, fill, read_stored
from pruning_course.files import written_beside
from pruning_course.masks import Masks, warn_unless

GENERATION = "generation_config.json"
ONE_FILE = 1 << 60  # bytes; never more than one file of weights


def save_pruned(model: PreTrainedModel, folder: str | os.PathLike[str], inside: str | None = None) -> None:
    """Write `model`, shrunk or not, into the new `folder`, completely or not at all; `load_pruned` reads it.

    The folder holds what `save_pretrained` writes (config.json, model.safetensors, generation_config.json for models
    that generate) and pruning.json: the class, the neurons and attention heads of each block (of the part called
    `inside`, if it is given; none if the family is unknown), the dtypes, the share of zeros in the layers, and the
    versions of torch and transformers. Nothing is pickled. If the config can express the sizes, because all blocks
    share them, `from_pretrained` can read it, too.

    Any transformers model from which nothing was cut can be saved, and one of a known family after `shrink`. Before the
    folder gets its name, the tensors in it are compared with the model that `load_pruned` would build. Weights that
    `Masks` prune are saved as zeros, and a warning says if some are not zero; `Masks.save` writes the masks themselves.

    Raises TypeError if `model` is not a transformers model; ValueError if torch.nn.utils.prune still masks it, or its
    class, its config and the sizes of its blocks do not describe it, for example because a layer was replaced, or cut
    in a model of an unknown family; FileExistsError if `folder` exists.
    """
    if not isinstance(model, PreTrainedModel):
        raise TypeError(f"save_pruned takes a transformers model (PreTrainedModel), not {type(model).__name__}.")
    folder = Path(folder)
    if folder.exists():
        raise FileExistsError(f"{folder} exists already; a folder is never overwritten.")
    for name, _ in model.named_parameters():
        if name.endswith("_orig"):
            raise ValueError(
                f"torch.nn.utils.prune still masks {name.removesuffix('_orig')}, and no class would find it again as "
                f"{name}; take its masks over with Masks.from_torch(model) first."
            )
    for masks in Masks.of(model):
        warn_unless(masks.check(), model)
    with written_beside(folder, folder=True) as target:
        # The original format has the names that some classes (ViT, Mixtral) used for their weights in older versions.
        model.save_pretrained(target, max_shard_size=ONE_FILE, save_original_format=False)
        (target / PRUNING).write_text(json.dumps(describe(model, inside), indent=2) + "\n", encoding="utf-8")
        about = read_description(target)
        try:
            check(make_skeleton(target, type(model), about), read_stored(target), about)
        except ValueError as error:
            raise ValueError(f"{type(model).__name__} could not be loaded again from its config: {error}") from None


def load_pruned(
    folder: str | os.PathLike[str],
    model_class: type[PreTrainedModel] | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> PreTrainedModel:
    """Return the model that `save_pruned` wrote into `folder`, in eval mode; it computes exactly the same.

    Each tensor has the dtype that it was saved with, tied weights are tied again, and every parameter requires a
    gradient and transformers chooses the attention implementation, as after `from_pretrained`. Only JSON and
    safetensors are read, without running code from the folder, and nothing is downloaded.

    Args:
        folder: what `save_pruned` wrote.
        model_class: the class of the model, if transformers does not have it; otherwise its name is enough.
        device: where to put the model; None means the CPU.
        dtype: of the floating-point weights; None means that of each when it was saved.

    Raises TypeError if `dtype` is not a floating-point dtype, or `model_class` is not a class of transformers models;
    ValueError if a file is missing, damaged or of a newer format, if the class is unknown, or if a tensor is missing,
    superfluous, or does not have the shape and dtype of the model's.
    """
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise TypeError(f"dtype is {dtype!r}; it must be a floating-point dtype, such as torch.bfloat16.")
    folder = Path(folder)
    about = read_description(folder)
    model = make_skeleton(folder, model_class or find_class(folder, about["class"]), about)
    stored = read_stored(folder)
    check(model, stored, about)
    fill(model, folder, list(stored), dtype)
    for name, buffer in model.named_buffers():
        if name in about["buffers"]:
            buffer.data = buffer.to(getattr(torch, about["buffers"][name]))
    if (folder / GENERATION).exists():
        try:
            model.generation_config = GenerationConfig.from_pretrained(folder, local_files_only=True)
        except OSError:
            raise damaged(folder / GENERATION) from None
    nn.Module.to(model, device=device)
    return model
