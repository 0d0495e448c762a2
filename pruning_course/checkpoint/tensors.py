"""The tensors of a saved model: compared with a skeleton, and put into it."""

from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers import PreTrainedModel

from pruning_course.checkpoint.description import Description, missing, name_of
from pruning_course.tensors import read_tensors

WEIGHTS = "model.safetensors"


def read_stored(folder: Path) -> dict[str, Tensor]:
    """Return the stored tensors by name, mapped into memory. Raises ValueError if the file is missing or damaged."""
    if not (folder / WEIGHTS).is_file():
        raise missing(folder / WEIGHTS)
    return read_tensors(folder / WEIGHTS, "file of weights")[0]


def check(model: PreTrainedModel, stored: Mapping[str, Tensor], about: Description) -> None:
    """Raise ValueError unless `stored` has all tensors of `model`, one of those that are tied, and no others.

    Their shapes and dtypes must be right, too.
    """
    expected = model.state_dict(keep_vars=True)
    for name, tensor in stored.items():
        if name not in expected:
            raise ValueError(f"The file has a tensor {name} {tuple(tensor.shape)}, which the model does not have.")
    present = {id(expected[name]) for name in stored}
    for name, tensor in expected.items():
        if id(tensor) not in present:
            raise ValueError(f"The file has no tensor {name}, which in the model is {tuple(tensor.shape)}.")
    for name, tensor in stored.items():
        shape, dtype = expected[name].shape, about["other_dtypes"].get(name, about["dtype"])
        if (tensor.shape, name_of(tensor.dtype)) != (shape, dtype):
            raise ValueError(
                f"The tensor {name} is {tuple(tensor.shape)} {name_of(tensor.dtype)} in the file and {tuple(shape)} "
                f"{dtype} in the model."
            )


def fill(model: PreTrainedModel, folder: Path, names: Collection[str], dtype: torch.dtype | None = None) -> None:
    """Put the tensors called `names` from the file into `model`, ties included; `check` has compared them before.

    Floating-point tensors are converted to `dtype`, if it is given.
    """
    expected = model.state_dict(keep_vars=True)
    stored_name = {id(expected[name]): name for name in names}  # of tied weights, the file has only one
    values = {}
    for name in names:
        # The file is opened again for each tensor, because what was read counts as memory while a file is mapped.
        with safe_open(folder / WEIGHTS, framework="pt") as file:
            # A copy outlives the file, and is aligned in memory, which the last bits of products may depend on.
            tensor, place = file.get_tensor(name).clone(), expected[name]
        if dtype is not None and tensor.is_floating_point():
            tensor = tensor.to(dtype)
        values[name] = nn.Parameter(tensor, place.requires_grad) if isinstance(place, nn.Parameter) else tensor
    everything = {name: values.get(name, values[stored_name[id(place)]]) for name, place in expected.items()}
    model.load_state_dict(everything, assign=True)
