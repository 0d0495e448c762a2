"""Selecting and holding on eight matrices of 1024 x 1024, next to the limits that they must keep.

The limits are ratios of two measurements of the same process, on one thread. Each number is the smallest of all rounds.
"""

from unittest.mock import patch

import torch
from torch import nn

from pruning_course import Masks, keep_globally, keep_n_of_m, lab
from pruning_course.masks.hold import _zero_gradient
from pruning_course.scores import magnitude
from pruning_course.selection.threshold import FEW, Threshold

ROUNDS, MATRICES, WIDTH = 15, 8, 1024
MILLIONS = MATRICES * WIDTH * WIDTH / 1e6


def make_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.ModuleList([nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(MATRICES)])


def make_optimizer(model: nn.Module) -> torch.optim.Optimizer:
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 1e-3)
    return torch.optim.AdamW(model.parameters(), lr=1e-6, fused=True)


def set_aside(select) -> int:
    """How many scores a global selection sets aside and sorts."""
    found, settle = [], Threshold.settle

    def counted(threshold, masks):
        found.append(len(threshold._places))
        settle(threshold, masks)

    with patch.object(Threshold, "settle", counted):
        select()
    return sum(found)


def main():
    model, held_model = make_model(), make_model()
    scores = magnitude(dict(model.named_children()))
    tensors, earlier = dict(scores), keep_globally(scores, 0.3)
    free, held = make_optimizer(model), make_optimizer(held_model)
    held_masks = Masks.apply(held_model, keep_globally(scores, 0.5)).hold(held)
    calls = {
        "keep_globally": lambda: keep_globally(scores, 0.5),
        "keep_globally again": lambda: keep_globally(scores, 0.5, earlier),
        "keep_n_of_m 2:4": lambda: keep_n_of_m(tensors, 2, 4),
        "keep_n_of_m 4:8": lambda: keep_n_of_m(tensors, 4, 8),
        "AdamW": free.step,
        "AdamW held": held.step,
        "gradients held": lambda: [_zero_gradient(held_masks, name, p) for name, p in held_masks.parameters.items()],
    }
    least = {name: min(times) for name, times in lab.milliseconds(calls, ROUNDS).items()}
    print(f"{MILLIONS:.1f}M weights, one thread, the smallest of {ROUNDS} rounds")
    print("".join(f"{name:>22} {value:7.1f} ms\n" for name, value in least.items()))
    aside = set_aside(calls["keep_globally"])
    again, step = least["keep_globally again"] / least["keep_globally"], least["AdamW held"] / least["AdamW"] - 1
    gradients = least["gradients held"] / least["AdamW"]
    print(f"pruning again / a first pruning: {again:.2f} (limit 1.3)")
    print(f"scores that a global selection sets aside: {aside:,} (limit {FEW:,})")
    for pattern in ("2:4", "4:8"):
        print(f"keep_n_of_m {pattern}: {least[f'keep_n_of_m {pattern}'] / MILLIONS:.1f} ms per million (limit 3)")
    print(f"hold adds to a fused AdamW step: weights {step:+.0%}, gradients {gradients:+.0%} (limit together +65%)")


if __name__ == "__main__":
    main()
