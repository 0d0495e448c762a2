"""Train a pruned model again while its masks are held."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from operator import length_hint
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import DistributedType, gather_object
from torch import nn
from torch.optim import Optimizer

from pruning_course.finetune.config import FineTuneConfig, History
from pruning_course.finetune.label_checks import Goal, Metric
from pruning_course.finetune.loop import Training
from pruning_course.finetune.losses import Loss
from pruning_course.finetune.optimizers import check_optimizer, describe_groups, unwrap
from pruning_course.finetune.resume import digest, find_changing
from pruning_course.masks import Masks
from pruning_course.models import eval_mode

SPLIT = (DistributedType.FSDP, DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM)  # no process has whole weights


def fine_tune_after_pruning(
    model: nn.Module,
    train_loader: Iterable[object],
    val_loader: Iterable[object],
    masks: Masks | None = None,
    config: FineTuneConfig | None = None,
    *,
    select_loader: Iterable[object] | None = None,
    optimizer: Optimizer | None = None,
    loss: Loss | None = None,
    metric: Metric | None = None,
    teacher: nn.Module | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> History:
    """Train `model` in place, and score it on validation after each epoch.

    If there is a `select_loader`, the model gets the weights of the epoch that is best there; otherwise those of the
    last epoch stay. Validation only reports: an epoch that is chosen for its score has a score that is too good.
    Weights that `masks` prune stay 0, and parameters without `requires_grad` do not change. The gradient is clipped to
    the norm 1. The same code runs under `accelerate launch`: each process then computes its rows of each batch, and the
    result is that of one process up to rounding and dropout. Afterwards the model is on the device of accelerate, in
    the mode that it had. Labels are checked before the first step if the loader is a sequence of batches or a
    DataLoader over a data set, otherwise as they come.

    Args:
        train_loader, val_loader, select_loader: iterables that start again in every epoch, of dicts of tensors: what
            the model's forward takes, and labels, (batch, labels) of 0 and 1 or int (batch,). A sequence of training
            batches is shuffled in each epoch. An epoch is chosen by its micro-F1, and only after the last pruning.
            Under `accelerate launch`, all processes need the same loaders, not prepared.
        masks: those of this model; None if it has none, for example after shrinking.
        optimizer: your own, for parameters of this model; only these are trained, and the masks are held on it. Its
            learning rate is not changed; a scheduler can follow with `optimizer.register_step_post_hook`.
        loss: `loss(logits, labels)` returns the mean over the rows, one number, and replaces the model's own loss. With
            it, `train_loader` may have labels of any kind.
        metric: `metric(logits, labels)` gets all validation rows in order, on the CPU, after each epoch, and returns a
            dict of numbers for `History.metrics`. With it, `val_loader` may have labels of any kind, and `train_loader`
            too if the model's own loss takes them.
        teacher: a model for the same labels, usually the dense one; its answers become a part of the loss, see
            `losses.distillation`. It is not changed.
        checkpoint: a file that is written after each epoch. If it exists, the run continues from it and ends as if it
            had never stopped. Then pass a new optimizer with the settings that yours began with.

    Returns the losses and scores of all epochs, including those before a stop.

    Raises:
        ValueError: if there are no batches or no labels, if the epoch would be chosen on the batches that are reported,
            if labels do not fit the loss, F1 or teacher, if nothing can be trained, if the optimizer holds no parameter
            of the model, needs a closure, or meets a config that sets its rate, if the masks belong to another model or
            processes differ in their arguments, if weights are split over processes, or if the checkpoint is damaged or
            belongs to another run.
        TypeError: if a batch is not a dict, `masks` are not `Masks`, the optimizer is not an instance, the rate changes
            and `train_loader` has no length, the model returns no logits, `loss` does not return one number, or
            `metric` does not return a dict of numbers.
        FloatingPointError: if the loss is not finite.
    """
    config, goal = config or FineTuneConfig(), Goal(loss, metric, teacher)
    accelerator = Accelerator(kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)])
    if accelerator.distributed_type in SPLIT:
        raise ValueError(f"Masks need whole weights in each process; {accelerator.distributed_type} may split them.")
    if select_loader is not None and select_loader is val_loader:
        raise ValueError("select_loader is val_loader; choose the epoch on texts that are not those of the report.")
    loaders = {"train_loader": train_loader, "val_loader": val_loader, "select_loader": select_loader}
    for name, loader in loaders.items():
        if config.fine_tune_epochs > 1 and isinstance(loader, Iterator):
            raise ValueError(
                f"{name} is a {type(loader).__name__}, which can be read once; every epoch reads it again."
            )
    identity = _identify(model, masks, config, length_hint(train_loader, 0), optimizer, goal)
    identity["chooses an epoch"] = select_loader is not None
    if len(set(gather_object([str(identity)]))) > 1:
        raise ValueError("The processes have different models, masks or settings; all of them need the same.")
    devices = [accelerator.device] if accelerator.device.type == "cuda" else []
    with eval_mode(model, *([] if teacher is None else [teacher])):  # puts their modes back at the end
        wrapped = accelerator.prepare_model(model)  # on its device, where the gradients of all processes meet
        try:
            training = Training(model, wrapped, masks, config, accelerator, goal, optimizer)
            with torch.random.fork_rng(devices):
                return training.run(train_loader, val_loader, select_loader, checkpoint, identity)
        finally:
            accelerator.unwrap_model(wrapped, keep_fp32_wrapper=False)


def _identify(
    model: nn.Module,
    masks: Masks | None,
    config: FineTuneConfig,
    steps: int,
    optimizer: Optimizer | None,
    goal: Goal,
) -> dict[str, Any]:
    """Return plain data that differ between runs which must not be mixed up; refuse what cannot be trained."""
    if masks is not None and not isinstance(masks, Masks):
        raise TypeError(f"masks is {type(masks).__name__}; Masks.apply(model, keep) turns it into Masks.")
    if not (config.is_constant or steps):
        raise TypeError("train_loader has no length, but a rate that changes needs to know where the end is.")
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError(f"No parameter of {type(model).__name__} requires a gradient, so there is nothing to train.")
    functions: dict[str, Any] = {"loss": goal.loss, "metric": goal.metric}
    for name, function in functions.items():
        if function is not None and not callable(function):
            raise TypeError(f"{name} is {type(function).__name__}; it must be a function of logits and labels.")
    identity = asdict(config) | {
        name: None if function is None else getattr(function, "__qualname__", type(function).__name__)
        for name, function in functions.items()
    }
    if optimizer is not None:
        check_optimizer(optimizer, model, config)
        identity["optimizer"] = {"name": type(unwrap(optimizer)).__name__, "groups": describe_groups(optimizer)}
    return identity | {
        "masks": digest(masks or {}),
        "model": f"{type(model).__name__} {digest(find_changing(model))}",
        "batches": steps,
        "teacher": goal.teacher is not None,
    }
