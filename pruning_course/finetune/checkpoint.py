"""A run of fine-tuning on disk, after each epoch: one safetensors file, with its settings and scores as JSON."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from pruning_course.files import written_beside
from pruning_course.finetune.config import History
from pruning_course.finetune.optimizers import numbers_of

HEADER = "fine_tuning"


def learned(model: nn.Module) -> dict[str, Tensor]:
    """All that training changes: parameters that require a gradient, and buffers. A shared tensor comes once."""
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    return trained | dict(model.named_buffers())


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    """A copy of `learned(model)`, on the CPU."""
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in learned(model).items()}


@torch.no_grad()
def restore(model: nn.Module, saved: dict[str, Tensor]) -> None:
    """Put a snapshot back, in place."""
    for name, tensor in learned(model).items():
        tensor.copy_(saved[name])


def digest(tensors: Mapping[str, Tensor], values: bool = True) -> str:
    """12 hexadecimal digits that change with the names, the shapes and, for bool tensors, the values."""
    sha256 = hashlib.sha256()
    for name, tensor in tensors.items():
        sha256.update(f"{name} {tuple(tensor.shape)} ".encode())
        if values:
            sha256.update(np.packbits(tensor.cpu().numpy()).tobytes())
    return sha256.hexdigest()[:12]


def write(
    path: str | os.PathLike, run: dict, history: History, model: nn.Module, optimizer, best: dict[str, Tensor]
) -> None:
    """Write the state after an epoch, whole or not at all. `run`: plain data by which the run is known again.

    Of the optimizer, its tensors, and the numbers of its state and of its groups. TypeError if its state holds
    something else, which a file that runs no code cannot keep.
    """
    tensors = {f"now.{name}": tensor for name, tensor in snapshot(model).items()}
    tensors |= {f"best.{name}": tensor for name, tensor in best.items()}
    plain = {}
    for place, state in optimizer.state_dict()["state"].items():
        for key, value in state.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{place}.{key}"] = value.cpu().contiguous()
            elif value is None or isinstance(value, int | float | str):
                plain[f"{place}.{key}"] = value
            else:
                raise TypeError(
                    f"The optimizer's {key!r} is {type(value).__name__}; a checkpoint can keep tensors and numbers."
                )
    about = {
        "run": run,
        "history": asdict(history),
        "state": plain,
        "groups": numbers_of(optimizer.param_groups),
    }
    with written_beside(path) as target:
        save_file(tensors, target, {HEADER: json.dumps(about)})


def read(path: str | os.PathLike, run: dict, model: nn.Module, optimizer) -> tuple[History, dict[str, Tensor]]:
    """Put model and optimizer into the state that `write` saved; return the history and the best weights so far.

    Nothing is changed when it raises: ValueError for a damaged file, or one of another run.
    """
    path = Path(path)
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[HEADER])
            saved = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is not a dict
    except (SafetensorError, KeyError) as error:
        raise ValueError(
            f"{path} is not an intact checkpoint of a fine-tuning; remove it, or give another path."
        ) from error
    theirs = header["run"]
    for name, ours in json.loads(json.dumps(run)).items():
        if theirs.get(name) != ours:
            raise ValueError(
                f"{path} is the checkpoint of another run: {name} is {theirs.get(name)!r} there and {ours!r} here; "
                "give another path, or remove it to start again."
            )
    restore(model, _under("now.", saved))
    state = optimizer.state_dict()
    for name, value in (_under("optimizer.", saved) | header["state"]).items():
        place, key = name.split(".", 1)
        state["state"].setdefault(int(place), {})[key] = value
    for group, numbers in zip(state["param_groups"], header["groups"], strict=True):
        group |= {name: value for name, value in numbers.items() if name != "params"}
    optimizer.load_state_dict(state)
    return History(**header["history"]), _under("best.", saved)


def _under(prefix: str, saved: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in saved.items() if name.startswith(prefix)}
