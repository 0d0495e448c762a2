"""Lottery tickets: train, remove the smallest weights, set the others back to their early values, and repeat.

Frankle and Carbin 2019 (arXiv 1803.03635) set the survivors back to their values at step 0, Frankle et al. 2020
(arXiv 1912.05671) to those at an early step k. The first paper prunes the output layer at half the rate, which is not
done here. Its "P_m" is the share that REMAINS; sparsity is the share that is removed. Biases are not pruned.
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
from pruning_course.models import prunable_layers, weight_of
from pruning_course.scores import magnitude
from pruning_course.selection import keep_globally
from pruning_course.tensors import read_tensors

State = dict[str, Tensor]  # a state_dict on the CPU: parameters and buffers
SETTINGS = "settings.json"


@dataclass(frozen=True)
class Round:
    """One training with masks."""

    number: int  # 0 is the dense training
    keep: dict[str, Tensor]  # layer name to the bool mask of this training, True = kept
    start: State  # the state that the training started from, the same in every round
    result: Any  # what the caller's `train` returned, after a round trip through JSON

    @property
    def sparsity(self) -> float:
        """The share of the prunable weights that is removed, from 0 to 1."""
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
    folder: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> list[Round]:
    """Prune `rounds` times, each time `share` of the remaining weights, by abs(w), across all layers.

    Every round trains a new model, which starts from the early state bit for bit, buffers (BatchNorm) included. After
    round n, exactly round((1 - (1 - share)^n) * count) weights are removed. Returns the rounds from 0 (dense) on.

    Args:
        make_model: returns the untrained model with the same weights at each call, so it must set its own seed.
        train: `train(model, masks, first, last)` trains in place from step `first` to step `last`, with a new optimizer
            that `masks.hold` holds. Its return value, which must be serialisable as JSON, becomes `Round.result`. If
            `rewind_step` is not 0, there is one more call, for the steps up to it.
        steps: the number of steps of a whole training.
        rewind_step: the step whose weights every round starts from: 0, or an early one.
        prune_layers: as in `prunable_layers`.
        folder: stores each finished training in a file. An interrupted run continues after the last of them; the number
            of rounds may differ.
        settings: everything else that affects the result, such as the learning rate, serialisable as JSON.

    Raises ValueError if a number is out of range, `prune_layers` selects nothing or is unknown, the folder belongs to a
    run with other settings or holds a damaged file, `train` lets pruned weights grow, or no weight would be left.
    """
    if not (0 < share < 1 and rounds >= 0 and 0 <= rewind_step < steps):
        raise ValueError(
            f"share is {share}, rounds is {rounds}, and rewind_step is {rewind_step} of {steps} steps; "
            "0 < share < 1, 0 <= rounds and 0 <= rewind_step < steps are needed."
        )
    model = make_model()
    initial, layers = snapshot(model), prunable_layers(model, prune_layers)
    keep = {name: torch.ones_like(weight_of(layer), dtype=torch.bool) for name, layer in layers.items()}
    request = dict(steps=steps, share=share, rewind_step=rewind_step, prune_layers=prune_layers, settings=settings)
    stages = Stages(folder, {**request, "initial weights": hashlib.sha256(save(initial)).hexdigest()})

    def train_from(state: State, keep: Mapping[str, Tensor], first: int, last: int) -> tuple[State, Any]:
        fresh = make_model()
        masks = rewind(fresh, state, keep)
        result = train(fresh, masks, first, last)
        if revived := masks.check().revived:
            raise ValueError(
                f"train() changed pruned weights of {next(iter(revived))}; it must call masks.hold(optimizer)."
            )
        return snapshot(fresh), result

    start = initial
    if rewind_step:
        start, _ = stages.once("start", train_from, initial, keep, 0, rewind_step)
    trained, finished = start, []
    for number in range(rounds + 1):
        model.load_state_dict(trained)
        keep = keep_globally(magnitude(layers), 1 - (1 - share) ** number, keep)
        if not any(mask.any() for mask in keep.values()):
            raise ValueError(f"In round {number} no weight is left; ask for fewer rounds or a smaller share.")
        trained, result = stages.once(f"round-{number:02}", train_from, start, keep, rewind_step, steps)
        finished.append(Round(number, keep, start, result))
    return finished


def rewind(model: nn.Module, start: Mapping[str, Tensor], keep: Mapping[str, Tensor]) -> Masks:
    """Load the weights and buffers of `start` into `model`, bit for bit, and prune it where `keep` is False; in place.

    Raises RuntimeError if `start` is not a state of `model`; ValueError if `keep` is empty or does not fit `model`.
    """
    masks = Masks(model, keep)
    masks.check_request(keep)  # before anything is changed
    model.load_state_dict(start)
    return masks.restrict(keep)


def shuffled(keep: Mapping[str, Tensor], seed: int) -> dict[str, Tensor]:
    """Return random masks that keep as many weights of each layer as `keep` does, in other places.

    They are the control for the places, because they keep the same share of each layer. A mask drawn over the whole
    model would also change these shares, and so measure two things at once.
    """
    generator = torch.Generator().manual_seed(seed)
    return {
        name: mask.flatten()[torch.randperm(mask.numel(), generator=generator).to(mask.device)].view(mask.shape)
        for name, mask in keep.items()
    }


def snapshot(model: nn.Module) -> State:
    """Return a copy of all parameters and buffers on the CPU; tied parameters are copied twice."""
    return {name: value.detach().to("cpu", copy=True).contiguous() for name, value in model.state_dict().items()}


class Stages:
    """Trainings that run once and are stored in a folder, each with its weights and result in one file.

    Without a folder nothing is stored. Raises ValueError if the folder belongs to a run with another `request`.
    """

    def __init__(self, folder: str | os.PathLike[str] | None, request: Mapping[str, Any]):
        self.folder = None if folder is None else Path(folder)
        if self.folder is None:
            return
        request = json.loads(json.dumps(request))
        path = self.folder / SETTINGS
        if not path.exists():
            with written_beside(path) as target:
                target.write_text(json.dumps(request, indent=2) + "\n", encoding="utf-8")
        stored = json.loads(path.read_text(encoding="utf-8"))
        different = [name for name in request if stored.get(name) != request[name]]
        if different:
            raise ValueError(f"{self.folder} holds the rounds of another run: its {' and '.join(different)} differ.")

    def once(self, name: str, make: Callable[..., tuple[State, Any]], *arguments: Any) -> tuple[State, Any]:
        """Return the weights and the result of `make(*arguments)`, read from a file if it has run before."""
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
