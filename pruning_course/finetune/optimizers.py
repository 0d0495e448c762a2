"""The optimizer of a fine-tuning: made from its settings, or the caller's own."""

import inspect
from functools import partial

import torch
from accelerate.optimizer import AcceleratedOptimizer
from torch import nn
from torch.optim import Optimizer

from pruning_course.finetune.config import FineTuneConfig

MOMENTUM = 0.9  # of SGD


def make_optimizer(model: nn.Module, config: FineTuneConfig) -> Optimizer:
    make = {
        "adamw": torch.optim.AdamW,
        "adam": torch.optim.Adam,
        "sgd": partial(torch.optim.SGD, momentum=MOMENTUM),
    }[config.optimizer]
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return make(trained, lr=config.rate_at(0), weight_decay=config.weight_decay)


def check_optimizer(optimizer: Optimizer, model: nn.Module, config: FineTuneConfig) -> None:
    """TypeError for what is not an optimizer, ValueError for one that cannot train `model` as `config` says."""
    if not isinstance(optimizer, Optimizer):
        given = optimizer.__name__ if isinstance(optimizer, type) else type(optimizer).__name__
        raise TypeError(
            f"optimizer is {given}; it is an instance over the model's parameters, such as "
            "torch.optim.SGD(model.parameters(), lr=0.01)."
        )
    name = type(bare(optimizer)).__name__
    if not trained_by(optimizer, model):
        raise ValueError(
            f"The optimizer {name} holds no parameter of {type(model).__name__} that requires a gradient; make it from "
            "model.parameters(), after the model was shrunk."
        )
    if inspect.signature(type(bare(optimizer)).step).parameters["closure"].default is inspect.Parameter.empty:
        raise ValueError(f"The step of {name} needs a closure, and it is called without one; give another optimizer.")
    if not config.is_constant:
        raise ValueError(
            f"rewind_lr and decay set the learning rate, and {name} brings its own; give only one of them."
        )


def trained_by(optimizer: Optimizer, model: nn.Module) -> list[nn.Parameter]:
    """The parameters of `model` that require a gradient and that `optimizer` holds."""
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    return [parameter for parameter in model.parameters() if parameter.requires_grad and id(parameter) in held]


def describe(optimizer: Optimizer) -> dict:
    """Plain data that differ between optimizers of other kinds or settings."""
    return {"name": type(bare(optimizer)).__name__, "groups": numbers_of(optimizer.param_groups)}


def numbers_of(groups: list[dict]) -> list[dict]:
    """The settings of each group that are numbers or switches, and how many parameters it has."""
    return [
        {name: value for name, value in group.items() if isinstance(value, int | float)}
        | {"params": len(group["params"])}
        for group in groups
    ]


def bare(optimizer: Optimizer) -> Optimizer:
    """The optimizer that accelerate has wrapped, or the one that was given."""
    return optimizer.optimizer if isinstance(optimizer, AcceleratedOptimizer) else optimizer
