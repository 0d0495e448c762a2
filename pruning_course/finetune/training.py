"""Train a pruned model again with its masks held."""

import math
import os
import warnings
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from operator import length_hint

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import DistributedType, gather_object
from torch import Tensor, nn
from tqdm.auto import tqdm

from pruning_course.finetune import checkpoint as saved
from pruning_course.finetune.batches import one_epoch, parts
from pruning_course.finetune.config import FineTuneConfig, History
from pruning_course.finetune.losses import distillation, f1_scores, outputs
from pruning_course.masks import Masks, find_owners
from pruning_course.models import linear_layers

MOMENTUM = 0.9  # of SGD
CLIP = 1.0  # the norm of the whole gradient
ZEROS = 0.01  # a share of exact zeros that chance does not give
SPLIT = (DistributedType.FSDP, DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM)  # no process has whole weights


def fine_tune_after_pruning(
    model: nn.Module,
    train_loader: Iterable,
    val_loader: Iterable,
    masks: Masks | None = None,
    config: FineTuneConfig | None = None,
    *,
    teacher: nn.Module | None = None,
    checkpoint: str | os.PathLike | None = None,
) -> History:
    """Train `model` in place, score it on validation after each epoch, and leave it with the weights of the best one.

    Weights that `masks` prune stay 0. Parameters without `requires_grad` stay as they are. The gradient is clipped at
    norm 1. Runs alone or, unchanged, under `accelerate launch`: each process then computes its rows of each batch, so
    that the result is that of one process up to rounding and dropout. The model is left on accelerate's device, in the
    mode it came in.

    Args:
        train_loader, val_loader: can be gone through again and again, and give dicts of tensors: what the model's
            forward takes, and labels: (batch, labels) of 0 and 1, or int (batch,). A sequence of training batches is
            shuffled in each epoch. Under `accelerate launch` give the same loaders to all processes, not prepared.
        masks: of this model, or None if it has none, such as a shrunk one.
        teacher: a model of the same labels, usually the dense one; its answers become part of the loss, see
            `losses.distillation`. It is not changed.
        checkpoint: a file to write after each epoch. If it is there already, the run goes on from it, with the result
            of a run that was never stopped.

    Returns the loss and the F1s of each epoch, those before a stop included.

    Raises:
        ValueError: a batch without labels, no batches, nothing to train, masks of another model or other ones in
            another process, a damaged checkpoint or one of another run.
        TypeError: a batch that is no dict; masks that are not `Masks`; a rate that changes, and a train_loader without
            a length; a model that gives no logits.
        FloatingPointError: a loss that is not finite.
    """
    config = config or FineTuneConfig()
    accelerator = Accelerator(kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)])
    if accelerator.distributed_type in SPLIT:
        raise ValueError(f"Masks need whole weights in each process; {accelerator.distributed_type} may split them.")
    run = _known_by(model, masks, config, length_hint(train_loader, 0), teacher is not None)
    if len(set(gather_object([str(run)]))) > 1:
        raise ValueError("The processes were given different models, masks or settings; all need the same.")
    modes = {module: module.training for one in (model, teacher) if one is not None for module in one.modules()}
    wrapped = accelerator.prepare_model(model)  # on its device, and beside it the meeting place of the gradients
    devices = [accelerator.device] if accelerator.device.type == "cuda" else []
    try:
        training = Training(model, wrapped, masks, config, accelerator, teacher)
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


class Training:
    """A model with its optimizer while it is fine-tuned; see `fine_tune_after_pruning`."""

    def __init__(self, model, wrapped, masks, config, accelerator, teacher):
        self.model, self.wrapped, self.teacher = model, wrapped, teacher
        self.config, self.accelerator = config, accelerator
        if teacher is not None:
            teacher.to(accelerator.device).eval()
        self.trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        make = {
            "adamw": torch.optim.AdamW,
            "adam": torch.optim.Adam,
            "sgd": partial(torch.optim.SGD, momentum=MOMENTUM),
        }[config.optimizer]
        optimizer = make(self.trained, lr=config.rate_at(0), weight_decay=config.weight_decay)
        _hold(model, masks, optimizer)
        self.optimizer = accelerator.prepare_optimizer(optimizer)

    def run(self, train_loader: Iterable, val_loader: Iterable, checkpoint, known_by: dict) -> History:
        """All epochs that are left to do; the best weights are put back at the end."""
        history, best = History(), {}
        if checkpoint is not None and os.path.exists(checkpoint):
            history, best = saved.read(checkpoint, known_by, self.model, self.optimizer)
        epochs, steps, done = self.config.fine_tune_epochs, known_by["batches"], len(history.train_loss)
        bar = tqdm if self.accelerator.is_local_main_process else partial(tqdm, disable=True)
        with bar(desc="Fine-tuning", unit="batch", total=epochs * steps or None, initial=done * steps) as progress:
            for epoch in range(done, epochs):
                history.train_loss.append(self.train(train_loader, epoch, steps, progress))
                scores = f1_scores(self.model, val_loader, self.accelerator, self.config.micro_tokens)
                history.micro_f1.append(scores[0])
                history.macro_f1.append(scores[1])
                progress.set_postfix(loss=history.train_loss[-1], micro_f1=scores[0])
                if history.best_epoch == epoch:
                    best = saved.snapshot(self.model)
                if checkpoint is not None and self.accelerator.is_main_process:
                    saved.write(checkpoint, known_by, history, self.model, self.optimizer, best)
                self.accelerator.wait_for_everyone()
        saved.restore(self.model, best)
        return history

    def train(self, loader: Iterable, epoch: int, steps: int, progress: tqdm) -> float:
        """One epoch; the mean loss of its rows, before the step that each of them led to."""
        self.model.train()
        total = rows = 0
        for number, batch in enumerate(one_epoch(loader, self.config.seed, epoch, self.accelerator.process_index)):
            done = min(1.0, (epoch + (number + 0.5) / (steps or 1)) / self.config.fine_tune_epochs)
            for group in self.optimizer.param_groups:
                group["lr"] = self.config.rate_at(done)
            loss = self.step(batch)
            total, rows = total + loss * len(batch["labels"]), rows + len(batch["labels"])
            progress.update()
        if not rows:
            raise ValueError(f"train_loader gave no batches in epoch {epoch}; it must give them anew in each epoch.")
        return total / rows

    def step(self, batch: dict[str, Tensor]) -> float:
        """One step of the optimizer on a batch; its mean loss, over all processes."""
        accelerator, total = self.accelerator, 0.0
        mine = parts(batch, self.config.micro_tokens, accelerator.process_index, accelerator.num_processes)
        for number, (part, share) in enumerate(mine, start=1):
            last = number == len(mine)
            with nullcontext() if last else accelerator.no_sync(self.wrapped):
                part = {name: tensor.to(accelerator.device) for name, tensor in part.items()}
                loss = self.loss(part) * share
                accelerator.backward(loss * accelerator.num_processes)  # the processes' gradients are averaged
                total += loss.detach()
        total = accelerator.reduce(total, "sum").item()
        if not math.isfinite(total):
            raise FloatingPointError(f"The loss is {total}, so there is no step to take; the weights are as before it.")
        accelerator.clip_grad_norm_(self.trained, CLIP)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return total

    def loss(self, part: dict[str, Tensor]) -> Tensor:
        """The loss on the labels, mixed with that on the teacher's answers if there is a teacher."""
        logits, loss = outputs(self.wrapped, part, self.model)
        if self.teacher is None:
            return loss
        with torch.no_grad():
            taught, _ = outputs(self.teacher, part)
        soft = distillation(logits, taught, part["labels"], self.config.temperature)
        return (1 - self.config.teacher_weight) * loss + self.config.teacher_weight * soft


def _hold(model: nn.Module, masks: Masks | None, optimizer: torch.optim.Optimizer) -> None:
    if masks is not None:
        masked = [getattr(*owner) for owner in find_owners(model, masks).values()]
        if any(parameter.requires_grad for parameter in masked):  # else no step can move them
            masks.hold(optimizer)
        return
    weights = [layer.weight for layer in linear_layers(model).values() if layer.weight.requires_grad]
    zeros = sum(int((weight == 0).sum()) for weight in weights) / max(1, sum(weight.numel() for weight in weights))
    if zeros > ZEROS:
        warnings.warn(
            f"{zeros:.0%} of the linear weights are 0, and no masks were given: training will make them other than 0.",
            stacklevel=4,
        )
