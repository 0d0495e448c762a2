"""Train a pruned model again with its masks held."""

import os
from collections.abc import Iterable
from dataclasses import asdict
from operator import length_hint

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import DistributedType, gather_object
from torch import nn

from pruning_course.finetune import checkpoint as saved
from pruning_course.finetune.checks import Metric
from pruning_course.finetune.config import FineTuneConfig, History
from pruning_course.finetune.loop import Training
from pruning_course.finetune.losses import Loss
from pruning_course.finetune.optimizers import check_optimizer, describe
from pruning_course.masks import Masks

SPLIT = (DistributedType.FSDP, DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM)  # no process has whole weights


def fine_tune_after_pruning(
    model: nn.Module,
    train_loader: Iterable,
    val_loader: Iterable,
    masks: Masks | None = None,
    config: FineTuneConfig | None = None,
    *,
    optimizer: torch.optim.Optimizer | None = None,
    loss: Loss | None = None,
    metric: Metric | None = None,
    teacher: nn.Module | None = None,
    checkpoint: str | os.PathLike | None = None,
) -> History:
    """Train `model` in place, score it on validation after each epoch, and leave it with the weights of the best one.

    Weights that `masks` prune stay 0. Parameters without `requires_grad` stay as they are. The gradient is clipped at
    norm 1. Runs alone or, unchanged, under `accelerate launch`: each process then computes its rows of each batch, so
    that the result is that of one process up to rounding and dropout. The model is left on accelerate's device, in the
    mode it came in.

    Labels are checked before the first step in a sequence of batches and in a DataLoader over a data set, in any other
    loader as they come.

    Args:
        train_loader, val_loader: can be gone through again and again, and give dicts of tensors: what the model's
            forward takes, and labels: (batch, labels) of 0 and 1, or int (batch,). A sequence of training batches is
            shuffled in each epoch. Under `accelerate launch` give the same loaders to all processes, not prepared.
        masks: of this model, or None if it has none, such as a shrunk one.
        optimizer: an optimizer of your own over parameters of this model, in place of the one that `config` describes.
            Only what it holds is trained, and the masks are held on it. Its learning rate is its own and stays as it
            is; a scheduler can follow its steps with `optimizer.register_step_post_hook`.
        loss: `loss(logits, labels)`, a scalar, the mean over the rows that it gets; in place of the model's own. With
            it, the labels of `train_loader` can be of any kind.
        metric: `metric(logits, labels)`, called after each epoch with all validation rows, on the CPU and in order; its
            dict of numbers is added to `History.metrics`. With it, the labels of `val_loader` can be of any kind, and
            those of `train_loader` too if the model's own loss takes them. Where F1 cannot score the labels, none is
            recorded, and the weights of the last epoch stay.
        teacher: a model of the same labels, usually the dense one; its answers become part of the loss, see
            `losses.distillation`. It is not changed.
        checkpoint: a file to write after each epoch. If it is there already, the run goes on from it, with the result
            of a run that was never stopped. Give it a new optimizer with the settings that yours began with; a
            scheduler of yours is not in the file.

    Returns, for each epoch, the loss, the F1s and what `metric` measured, those before a stop included.

    Raises:
        ValueError: a batch without labels, labels that F1 cannot score and no loss or metric for them, no batches,
            nothing to train; an optimizer that holds nothing of the model, that needs a closure, or with a config whose
            rate changes; masks of another model or other ones in another process; a damaged checkpoint or one of
            another run.
        TypeError: a batch that is not a dict; masks that are not `Masks`; an optimizer that is not an instance; a rate
            that changes, and a train_loader without a length; a model that gives no logits; a loss that is not a
            scalar, or a metric that is not a dict of numbers.
        FloatingPointError: a loss that is not finite.
    """
    config = config or FineTuneConfig()
    accelerator = Accelerator(kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)])
    if accelerator.distributed_type in SPLIT:
        raise ValueError(f"Masks need whole weights in each process; {accelerator.distributed_type} may split them.")
    run = _known_by(model, masks, config, length_hint(train_loader, 0), teacher is not None)
    run |= _chosen(model, config, optimizer, loss, metric)
    if len(set(gather_object([str(run)]))) > 1:
        raise ValueError("The processes were given different models, masks or settings; all need the same.")
    modes = {module: module.training for one in (model, teacher) if one is not None for module in one.modules()}
    wrapped = accelerator.prepare_model(model)  # on its device, and with it the meeting place of the gradients
    devices = [accelerator.device] if accelerator.device.type == "cuda" else []
    try:
        training = Training(model, wrapped, masks, config, accelerator, optimizer, loss, metric, teacher)
        with torch.random.fork_rng(devices):
            return training.run(train_loader, val_loader, checkpoint, run)
    finally:
        accelerator.unwrap_model(wrapped, keep_fp32_wrapper=False)
        for module, mode in modes.items():
            module.training = mode


def _known_by(model: nn.Module, masks: Masks | None, config: FineTuneConfig, steps: int, taught: bool) -> dict:
    """Plain data that differ between runs that must not be mixed up."""
    if masks is not None and not isinstance(masks, Masks):
        raise TypeError(f"masks is {type(masks).__name__}; Masks.apply(model, keep) makes masks of it.")
    if not (config.is_constant or steps):
        raise TypeError("train_loader has no length; a rate that changes needs one, for where the end is.")
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError(f"No parameter of {type(model).__name__} requires a gradient, so there is nothing to train.")
    return asdict(config) | {
        "masks": saved.digest(masks or {}),
        "model": f"{type(model).__name__} {saved.digest(saved.learned(model), values=False)}",
        "batches": steps,
        "teacher": taught,
    }


def _chosen(model: nn.Module, config: FineTuneConfig, optimizer, loss, metric) -> dict:
    """The same of what the caller gives in place of settings."""
    chosen = {}
    if optimizer is not None:
        check_optimizer(optimizer, model, config)
        chosen["optimizer"] = describe(optimizer)
    for name, function in (("loss", loss), ("metric", metric)):
        if function is not None:
            if not callable(function):
                raise TypeError(f"{name} is {type(function).__name__}; it must be a function of logits and labels.")
            chosen[name] = getattr(function, "__qualname__", type(function).__name__)
    return chosen
