"""Lottery tickets: train, remove the smallest weights, set the rest back to where they began, and again.

Frankle and Carbin 2019 (arXiv 1803.03635) set the survivors back to their values at step 0; Frankle et al. 2020
(1912.05671) to those at an early step k. The first paper prunes the output layer at half the rate, which is not done
here. Its "P_m" is the share that REMAINS; sparsity, here as everywhere, is the share that is gone. Biases stay.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save, save_file
from torch import Tensor, nn

from pruning_course.files import written_beside
from pruning_course.masks import Masks
from pruning_course.models import prunable_layers
from pruning_course.scores import magnitude, survivors
from pruning_course.selection import keep_globally
from pruning_course.tensors import read_tensors

State = dict[str, Tensor]  # a state_dict on the CPU: parameters and buffers
SETTINGS = "settings.json"


@dataclass(frozen=True)
class Round:
    """One training in masks.

    number: 0 is the dense training; keep: layer name to the bool mask it trained in, True = kept; start: the state that
    it started from, the same in every round; result: what the caller's `train` returned, as JSON gives it back.
    """

    number: int
    keep: dict[str, Tensor]
    start: State
    result: Any

    @property
    def sparsity(self) -> float:
        """The share of the prunable weights that is gone, from 0 to 1."""
        kept = sum(int(mask.count_nonzero()) for mask in self.keep.values())
        return 1 - kept / sum(mask.numel() for mask in self.keep.values())


def find_ticket(
    make_model: Callable[[], nn.Module],
    train: Callable[[nn.Module, Masks, int, int], Any],
    steps: int,
    rounds: int,
    share: float = 0.2,
    rewind_step: int = 0,
    prune_layers: str = "all",
    folder: str | os.PathLike | None = None,
    settings: Mapping[str, Any] | None = None,
) -> list[Round]:
    """Prune `rounds` times, each time `share` of the weights that are left, by abs(w), across all layers.

    Every round trains a new model, to which the start has been given back bit for bit, buffers (BatchNorm) included.
    After round n exactly round((1 - (1 - share)^n) * count) weights are gone.

    Args:
        make_model: gives the untrained model, the same weights at each call: it sets its seed itself.
        train: `train(model, masks, first, last)` trains in place from step `first` to step `last`, with an optimizer of
            its own that `masks.hold` holds. What it returns (accuracies, losses: anything that JSON can write) becomes
            `Round.result`. With a `rewind_step` it is called once more, for the steps up to there.
        steps: of the whole training.
        rewind_step: the step whose weights every round starts from: 0, or an early one.
        prune_layers: as in `prunable_layers`.
        folder: keeps each finished training in a file. A run that was killed goes on after the last of them, with as
            many rounds as are asked for now.
        settings: whatever else decides the result, such as the learning rate; anything that JSON can write. A folder
            that was made with other settings is refused.

    Returns the rounds from 0 (dense) to `rounds`. Raises ValueError for numbers out of range, a folder of another run,
    a damaged file, a `train` that lets pruned weights grow again, and when no weight is left.
    """
    if not (0 < share < 1 and rounds >= 0 and 0 <= rewind_step < steps):
        raise ValueError(
            f"share is {share}, rounds {rounds}, rewind_step {rewind_step} of {steps} steps; "
            "0 < share < 1, 0 <= rounds and 0 <= rewind_step < steps are needed."
        )
    model = make_model()
    initial, layers = snapshot(model), prunable_layers(model, prune_layers)
    keep = {name: torch.ones_like(layer.weight, dtype=torch.bool) for name, layer in layers.items()}
    request = dict(steps=steps, share=share, rewind_step=rewind_step, prune_layers=prune_layers, settings=settings)
    stages = Stages(folder, {**request, "initial weights": hashlib.sha256(save(initial)).hexdigest()})

    def train_from(state: State, keep: Mapping[str, Tensor], first: int, last: int) -> tuple[State, Any]:
        fresh = make_model()
        masks = rewind(fresh, state, keep)
        result = train(fresh, masks, first, last)
        _check_held(fresh, masks)
        return snapshot(fresh), result

    start = initial
    if rewind_step:
        start, _ = stages.once("start", train_from, initial, keep, 0, rewind_step)
    trained, found = start, []
    for number in range(rounds + 1):
        model.load_state_dict(trained)
        keep = keep_globally(survivors(magnitude(layers), keep), 1 - (1 - share) ** number)
        if not any(mask.any() for mask in keep.values()):
            raise ValueError(f"In round {number} no weight is left; ask for fewer rounds or a smaller share.")
        trained, result = stages.once(f"round-{number:02}", train_from, start, keep, rewind_step, steps)
        found.append(Round(number, keep, start, result))
    return found


def rewind(model: nn.Module, start: Mapping[str, Tensor], keep: Mapping[str, Tensor]) -> Masks:
    """Give `model` the weights and buffers of `start`, bit for bit, and prune it where `keep` is False; in place."""
    model.load_state_dict(start)
    return Masks.apply(model, keep)


def shuffled(keep: Mapping[str, Tensor], seed: int) -> dict[str, Tensor]:
    """Random masks that keep as many weights of each layer as `keep` does, at other places.

    The control for the places: whatever a ticket owes to how much it keeps of each layer, these masks have too. A mask
    drawn over the whole model would also change that, and measure two things at once.
    """
    generator = torch.Generator().manual_seed(seed)
    return {
        name: mask.flatten()[torch.randperm(mask.numel(), generator=generator).to(mask.device)].view(mask.shape)
        for name, mask in keep.items()
    }


def snapshot(model: nn.Module) -> State:
    """A copy of all parameters and buffers on the CPU; what is tied is copied twice."""
    return {name: value.detach().to("cpu", copy=True).contiguous() for name, value in model.state_dict().items()}


def _check_held(model: nn.Module, masks: Masks) -> None:
    for name, keep in masks.items():
        if model.get_submodule(name).weight.detach()[~keep].any():
            raise ValueError(f"train() moved pruned weights of {name}; it must call masks.hold(optimizer).")


class Stages:
    """Trainings in a folder: each is done once, and its weights and result stand in a file of its own.

    Without a folder nothing is kept. ValueError if the folder holds a run of another `request` (JSON).
    """

    def __init__(self, folder: str | os.PathLike | None, request: Mapping[str, Any]):
        self.folder = None if folder is None else Path(folder)
        if self.folder is None:
            return
        request = json.loads(json.dumps(request))
        path = self.folder / SETTINGS
        if not path.exists():
            with written_beside(path) as target:
                target.write_text(json.dumps(request, indent=2) + "\n", encoding="utf-8")
        found = json.loads(path.read_text(encoding="utf-8"))
        other = [name for name in request if found.get(name) != request[name]]
        if other:
            raise ValueError(f"{self.folder} holds the rounds of another run: its {' and '.join(other)} differ.")

    def once(self, name: str, make: Callable[..., tuple[State, Any]], *arguments) -> tuple[State, Any]:
        """What `make(*arguments)` gives, weights and result: read if it was made before."""
        path = None if self.folder is None else self.folder / f"{name}.safetensors"
        if path is not None and path.exists():
            state, metadata = read_tensors(path, "record of a round; delete it to train that round again")
            return state, json.loads(metadata["result"])
        state, result = make(*arguments)
        text = json.dumps(result)
        if path is not None:
            with written_beside(path) as target:
                save_file(state, target, metadata={"result": text})
        return state, json.loads(text)  # the same types as after reading
