"""Masks in a safetensors file, with eight weights in a byte."""

import json
import os
from collections.abc import Mapping

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from pruning_course.files import written_beside
from pruning_course.tensors import read_tensors

SHAPES = "shapes"


def save_masks(masks: Mapping[str, Tensor], path: str | os.PathLike[str]) -> None:
    """Write bool masks to `path`, or leave no file: the bits as uint8 (bytes,), the shapes in the metadata as JSON."""
    bits = {name: torch.from_numpy(np.packbits(mask.cpu().numpy())) for name, mask in masks.items()}
    shapes = json.dumps({name: list(mask.shape) for name, mask in masks.items()})
    with written_beside(path) as target:
        save_file(bits, target, metadata={SHAPES: shapes})


def load_masks(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Return the bool masks in a file that `save_masks` wrote, or in one that holds bool tensors.

    Raises ValueError if the file is truncated or damaged.
    """
    tensors, metadata = read_tensors(path, "mask file")
    if SHAPES not in metadata:
        return tensors
    masks = {}
    for name, shape in json.loads(metadata[SHAPES]).items():
        count = int(np.prod(shape))
        if name not in tensors or tensors[name].numel() != -(-count // 8):
            raise ValueError(
                f"{os.fspath(path)} is not a valid mask file: the bits of {name!r} are missing or damaged."
            )
        masks[name] = torch.from_numpy(np.unpackbits(tensors[name].numpy(), count=count).astype(bool)).view(shape)
    return masks
