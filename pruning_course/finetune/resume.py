"""The state of a fine-tuning in a file, after each epoch: tensors, and settings and scores as JSON."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from pruning_course.files import written_beside
from pruning_course.finetune.config import History
from pruning_course.finetune.optimizers import describe_groups
from pruning_course.tensors import read_tensors

HEADER = "fine_tuning"


def find_changing(model: nn.Module) -> dict[str, Tensor]:
    """Return all that training changes: parameters that require a gradient, and buffers. A shared tensor comes once."""
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    return trained | dict(model.named_buffers())


def copy_changing(model: nn.Module) -> dict[str, Tensor]:
    """Return a copy of `find_changing(model)` on the CPU."""
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in find_changing(model).items()}


@torch.no_grad()
def restore(model: nn.Module, copies: Mapping[str, Tensor]) -> None:
    """Put the copies back, in place."""
    for name, tensor in find_changing(model).items():
        tensor.copy_(copies[name])


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Return 12 hexadecimal digits that change with the names, the shapes and, for masks, the values of `tensors`."""
    sha256 = hashlib.sha256()
    for name, tensor in tensors.items():
        sha256.update(f"{name} {tuple(tensor.shape)} ".encode())
        if tensor.dtype == torch.bool:
            sha256.update(tensor.cpu().contiguous().numpy().data)
    return sha256.hexdigest()[:12]


def write(
    path: str | os.PathLike[str],
    run: Mapping[str, Any],
    history: History,
    model: nn.Module,
    optimizer: Optimizer,
    best: Mapping[str, Tensor],
) -> None:
    """Write the state after an epoch, completely or not at all; `run` is plain data that identifies the run.

    Of the optimizer it holds the tensors, and the numbers in its state and in its groups. Raises TypeError if its state
    holds something else, which a file without code cannot store.
    """
    tensors = {f"now.{name}": tensor for name, tensor in copy_changing(model).items()}
    tensors |= {f"best.{name}": tensor for name, tensor in best.items()}
    numbers = {}
    for place, state in optimizer.state_dict()["state"].items():
        for key, value in state.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{place}.{key}"] = value.cpu().contiguous()
            elif value is None or isinstance(value, int | float | str):
                numbers[f"{place}.{key}"] = value
            else:
                kind = type(value).__name__
                raise TypeError(f"The optimizer's {key!r} is {kind}; a checkpoint can store tensors and numbers.")
    header = {"run": run, "history": asdict(history), "state": numbers, "groups": describe_groups(optimizer)}
    with written_beside(path) as target:
        save_file(tensors, target, {HEADER: json.dumps(header)})


def read(
    path: str | os.PathLike[str], run: Mapping[str, Any], model: nn.Module, optimizer: Optimizer
) -> tuple[History, dict[str, Tensor]]:
    """Put model and optimizer into the state that `write` stored; return the history and the best weights so far.

    Raises ValueError, before anything is changed, if the file is damaged or belongs to another run.
    """
    tensors, metadata = read_tensors(path, "checkpoint of a fine-tuning (remove it, or use another path)")
    if HEADER not in metadata:
        raise ValueError(f"{path} is not a checkpoint of a fine-tuning; use another path.")
    header = json.loads(metadata[HEADER])
    for name, value in json.loads(json.dumps(run)).items():
        if header["run"].get(name) != value:
            raise ValueError(
                f"{path} is the checkpoint of another run: {name} is {header['run'].get(name)!r} there and {value!r} "
                "here; use another path, or remove it to start again."
            )
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}  # Windows cannot replace a mapped file
    restore(model, _select("now.", tensors))
    state = optimizer.state_dict()
    for name, value in (_select("optimizer.", tensors) | header["state"]).items():
        place, key = name.split(".", 1)
        state["state"].setdefault(int(place), {})[key] = value
    for group, numbers in zip(state["param_groups"], header["groups"], strict=True):
        group |= {name: value for name, value in numbers.items() if name != "params"}
    optimizer.load_state_dict(state)
    return History(**header["history"]), _select("best.", tensors)


def _select(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
