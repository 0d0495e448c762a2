"""The tensors of a saved model: found in the file, compared with a skeleton, put into it."""

from collections.abc import Collection
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers import PreTrainedModel

from pruning_course.checkpoint.description import damaged, missing, name_of

WEIGHTS = "model.safetensors"


def stored_tensors(folder: Path) -> dict[str, Tensor]:
    """The tensors of the file by their names: mapped, not read. ValueError where it is missing or damaged."""
    if not (folder / WEIGHTS).is_file():
        raise missing(folder / WEIGHTS)
    try:
        with safe_open(folder / WEIGHTS, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dict
    except SafetensorError as error:
        raise damaged(folder / WEIGHTS) from error


def check(model: PreTrainedModel, stored: dict[str, Tensor], about: dict) -> None:
    """ValueError unless the tensors are those of `model`, one of each that are tied, in shape and dtype."""
    wanted = model.state_dict(keep_vars=True)
    for name in stored:
        if name not in wanted:
            raise ValueError(
                f"The file has a tensor {name} {tuple(stored[name].shape)}, which the model does not have."
            )
    there = {id(wanted[name]) for name in stored}
    for name, tensor in wanted.items():
        if id(tensor) not in there:
            raise ValueError(f"The file has no tensor {name}, which in the model is {tuple(tensor.shape)}.")
    for name, tensor in stored.items():
        shape, dtype = wanted[name].shape, about["other_dtypes"].get(name, about["dtype"])
        if (tensor.shape, name_of(tensor.dtype)) != (shape, dtype):
            raise ValueError(
                f"The tensor {name} is {tuple(tensor.shape)} {name_of(tensor.dtype)} in the file and {tuple(shape)} "
                f"{dtype} in the model."
            )


def fill(model: PreTrainedModel, folder: Path, stored: Collection[str]) -> None:
    """Put the tensors called `stored`, which `check` has passed, into `model`, ties included."""
    wanted = model.state_dict(keep_vars=True)
    names = {id(wanted[name]): name for name in stored}  # of tied weights, one name is in the file
    given = {}
    for name in stored:
        # Opened anew for each: what was read counts as memory for as long as the file is mapped.
        with safe_open(folder / WEIGHTS, framework="pt") as file:
            # A copy is aligned in memory, which products in their last bits may depend on, and outlives the file.
            tensor, place = file.get_tensor(name).clone(), wanted[name]
        given[name] = nn.Parameter(tensor, place.requires_grad) if isinstance(place, nn.Parameter) else tensor
    model.load_state_dict(
        {name: given[name if name in given else names[id(place)]] for name, place in wanted.items()}, assign=True
    )
