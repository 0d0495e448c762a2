"""The epochs and the steps of a fine-tuning."""

import math
import os
import warnings
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm.auto import tqdm

from pruning_course.finetune import resume
from pruning_course.finetune.batches import Batch, order_epoch, split_batch
from pruning_course.finetune.config import FineTuneConfig, History
from pruning_course.finetune.label_checks import Goal, LabelChecks, measure
from pruning_course.finetune.labels import compute_f1, find_fault
from pruning_course.finetune.losses import compute_loss, distillation, run_forward
from pruning_course.finetune.optimizers import find_trained, make_optimizer, unwrap
from pruning_course.finetune.predictions import predict_rows
from pruning_course.masks import Masks
from pruning_course.models import find_layers, weight_of

CLIP = 1.0  # the norm of the whole gradient
ZEROS = 0.01  # a larger share of exact zeros does not come by chance


class Training:
    """A model with its optimizer while it is fine-tuned; the arguments are those of `fine_tune_after_pruning`.

    `wrapped` is the model as accelerate has prepared it: `model` itself on one process.
    """

    def __init__(
        self,
        model: nn.Module,
        wrapped: nn.Module,
        masks: Masks | None,
        config: FineTuneConfig,
        accelerator: Accelerator,
        goal: Goal,
        optimizer: Optimizer | None,
    ):
        self.model, self.wrapped, self.masks, self.config = model, wrapped, masks, config
        self.accelerator, self.goal = accelerator, goal
        self.sets_rate = optimizer is None
        if goal.teacher is not None:
            goal.teacher.to(accelerator.device).eval()
        optimizer = make_optimizer(model, config) if optimizer is None else optimizer
        self.trained = find_trained(optimizer, model)
        _hold(model, masks, unwrap(optimizer))
        self.optimizer = accelerator.prepare_optimizer(optimizer)
        # Not methods of this object: the two would keep each other, and the optimizer's moments, in memory.
        self.split = split = partial(_split, config, accelerator)
        self.checks = LabelChecks(model, goal, lambda batch: split(batch)[0][0])

    def run(
        self,
        train_loader: Iterable[object],
        val_loader: Iterable[object],
        select_loader: Iterable[object] | None,
        checkpoint: str | os.PathLike[str] | None,
        identity: Mapping[str, Any],
    ) -> History:
        """Run the epochs that are left to do; with a `select_loader`, put the weights of the best one back."""
        history, best = History(), dict[str, Tensor]()
        if checkpoint is not None and os.path.exists(checkpoint):
            history, best = resume.read(checkpoint, identity, self.model, self.optimizer)
        epochs, steps, done = self.config.fine_tune_epochs, identity["batches"], len(history.train_loss)
        if done < epochs:
            self.checks.read_ahead(train_loader, val_loader, select_loader)
        bar = tqdm if self.accelerator.is_local_main_process else partial(tqdm, disable=True)
        with bar(desc="Fine-tuning", unit="batch", total=epochs * steps or None, initial=done * steps) as progress:
            for epoch in range(done, epochs):
                history.train_loss.append(self.train(train_loader, epoch, steps, progress))
                progress.set_postfix(loss=history.train_loss[-1], **self.score(val_loader, history))
                if self.masks is not None:
                    history.sparsity.append(self.masks.sparsity)
                if select_loader is not None:
                    history.select_f1.append(self.select(select_loader))
                    if history.best_epoch == epoch:
                        best = resume.copy_changing(self.model)
                if checkpoint is not None and self.accelerator.is_main_process:
                    resume.write(checkpoint, identity, history, self.model, self.optimizer, best)
                self.accelerator.wait_for_everyone()
        if select_loader is not None:
            resume.restore(self.model, best)
        return history

    def score(self, loader: Iterable[object], history: History) -> dict[str, float]:
        """Add the scores on validation to `history`, and return them."""
        batches = map(self.checks.check_validation, loader)
        logits, labels = predict_rows(self.model, batches, self.accelerator, self.config.micro_tokens)
        scores: dict[str, float] = {}
        if find_fault(labels, logits.shape) is None:
            scores = compute_f1(logits, labels)
            history.micro_f1.append(scores["micro_f1"])
            history.macro_f1.append(scores["macro_f1"])
        if self.goal.metric is not None:
            history.metrics.append(measure(self.goal.metric, logits, labels))
            scores |= history.metrics[-1]
        return scores

    def select(self, loader: Iterable[object]) -> float:
        """Return the micro-F1 on the batches that choose an epoch."""
        batches = map(self.checks.check_selection, loader)
        return compute_f1(*predict_rows(self.model, batches, self.accelerator, self.config.micro_tokens))["micro_f1"]

    def train(self, loader: Iterable[object], epoch: int, steps: int, progress: tqdm) -> float:
        """Train for one epoch; return the mean loss of its rows, each before the step that it leads to."""
        self.model.train()
        total, rows = 0.0, 0
        for number, raw in enumerate(order_epoch(loader, self.config.seed, epoch, self.accelerator.process_index)):
            batch = self.checks.check_training(raw)
            if self.sets_rate:
                done = min(1.0, (epoch + (number + 0.5) / (steps or 1)) / self.config.fine_tune_epochs)
                for group in self.optimizer.param_groups:
                    group["lr"] = self.config.rate_at(done)
            total += self.step(batch) * len(batch["labels"])
            rows += len(batch["labels"])
            progress.update()
        if not rows:
            raise ValueError(f"train_loader yields no batches in epoch {epoch}; it must start again in every epoch.")
        return total / rows

    def step(self, batch: Batch) -> float:
        """Make one step of the optimizer on a batch; return its mean loss over all processes.

        Raises FloatingPointError, before the step, if the loss is not finite.
        """
        accelerator, parts = self.accelerator, self.split(batch)
        loss_of_parts = torch.zeros((), device=accelerator.device)
        for number, (part, share) in enumerate(parts, start=1):
            with nullcontext() if number == len(parts) else accelerator.no_sync(self.wrapped):
                loss = self.compute_loss(part) * share
                accelerator.backward(loss * accelerator.num_processes)  # the processes' gradients are averaged
                loss_of_parts += loss.detach()
        total = float(accelerator.reduce(loss_of_parts, "sum"))
        if not math.isfinite(total):
            raise FloatingPointError(f"The loss is {total}, so no step is made; the weights are as before it.")
        accelerator.clip_grad_norm_(self.trained, CLIP)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.model.zero_grad()  # also of parameters that the caller's optimizer does not hold
        return total

    def compute_loss(self, part: Batch) -> Tensor:
        """Return the loss on the labels, mixed with the one on the answers of the teacher, if there is a teacher."""
        logits, loss = compute_loss(self.wrapped, part, self.model, self.goal.loss)
        if self.goal.teacher is None:
            return loss
        with torch.no_grad():
            taught, _ = run_forward(self.goal.teacher, part, with_labels=False)
        of_teacher = distillation(logits, taught, part["labels"], self.config.temperature)
        return (1 - self.config.teacher_weight) * loss + self.config.teacher_weight * of_teacher


def _split(config: FineTuneConfig, accelerator: Accelerator, batch: Batch) -> list[tuple[Batch, float]]:
    """Return the rows of this process on its device, in parts; see `split_batch`."""
    parts = split_batch(batch, config.micro_tokens, accelerator.process_index, accelerator.num_processes)
    return [({name: tensor.to(accelerator.device) for name, tensor in part.items()}, s) for part, s in parts]


def _hold(model: nn.Module, masks: Masks | None, optimizer: Optimizer) -> None:
    if masks is not None:
        own = {id(parameter) for parameter in model.parameters()}
        if any(id(parameter) not in own for parameter in masks.parameters.values()):
            raise ValueError(f"masks are those of another model than this {type(model).__name__}.")
        trained = {id(parameter) for parameter in find_trained(optimizer, model)}
        if any(id(parameter) in trained for parameter in masks.parameters.values()):
            masks.hold(optimizer)
        return
    weights = [weight for weight in map(weight_of, find_layers(model).values()) if weight.requires_grad]
    zeros = sum(int((weight == 0).sum()) for weight in weights) / max(1, sum(weight.numel() for weight in weights))
    if zeros > ZEROS:
        warnings.warn(
            f"{zeros:.0%} of the linear weights are 0, and no masks were given, so the training will revive them.",
            stacklevel=4,
        )
