"""The optimizer of a fine-tuning: made from the settings, or the caller's own."""

import inspect
from typing import Any

import torch
from accelerate.optimizer import AcceleratedOptimizer
from torch import nn
from torch.optim import Optimizer

from pruning_course.finetune.config import FineTuneConfig

MOMENTUM = 0.9  # of SGD


def make_optimizer(model: nn.Module, config: FineTuneConfig) -> Optimizer:
    """Return the optimizer that `config` describes, for the parameters that require a gradient."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    rate, decay = config.rate_at(0), config.weight_decay
    if config.optimizer == "sgd":
        return torch.optim.SGD(trained, lr=rate, weight_decay=decay, momentum=MOMENTUM)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(trained, lr=rate, weight_decay=decay)


def check_optimizer(optimizer: Optimizer, model: nn.Module, config: FineTuneConfig) -> None:
    """Raise TypeError for what is not an optimizer, and ValueError for one that cannot train `model` with `config`."""
    if not isinstance(optimizer, Optimizer):
        kind = optimizer.__name__ if isinstance(optimizer, type) else type(optimizer).__name__
        raise TypeError(
            f"optimizer is {kind}; it must be an instance for the parameters of the model, such as "
            "torch.optim.SGD(model.parameters(), lr=0.01)."
        )
    name = type(unwrap(optimizer)).__name__
    if not find_trained(optimizer, model):
        raise ValueError(
            f"The optimizer {name} holds no parameter of {type(model).__name__} that requires a gradient; create it "
            "from model.parameters(), after the model was shrunk."
        )
    if inspect.signature(type(unwrap(optimizer)).step).parameters["closure"].default is inspect.Parameter.empty:
        raise ValueError(f"The step of {name} needs a closure, but is called without one; use another optimizer.")
    if not config.is_constant:
        raise ValueError(f"rewind_lr and decay set the learning rate, but {name} has its own; use only one of them.")


def find_trained(optimizer: Optimizer, model: nn.Module) -> list[nn.Parameter]:
    """Return the parameters of `model` that require a gradient and that `optimizer` holds."""
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    return [parameter for parameter in model.parameters() if parameter.requires_grad and id(parameter) in held]


def describe_groups(optimizer: Optimizer) -> list[dict[str, Any]]:
    """Return for each group the settings that are numbers or switches, and the number of its parameters."""
    return [
        {name: value for name, value in group.items() if isinstance(value, int | float)}
        | {"params": len(group["params"])}
        for group in optimizer.param_groups
    ]


def unwrap(optimizer: Optimizer) -> Optimizer:
    """Return the optimizer that accelerate has wrapped, or the optimizer itself."""
    inner: Optimizer = optimizer.optimizer if isinstance(optimizer, AcceleratedOptimizer) else optimizer
    return inner
