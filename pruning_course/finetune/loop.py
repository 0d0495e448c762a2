"""The epochs and the steps of a fine-tuning."""

import math
import os
import warnings
from collections.abc import Iterable
from contextlib import nullcontext
from functools import partial

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from pruning_course.finetune import checkpoint as saved
from pruning_course.finetune.batches import one_epoch, parts
from pruning_course.finetune.checks import Checks, scores_of
from pruning_course.finetune.config import History
from pruning_course.finetune.labels import fault_of
from pruning_course.finetune.losses import distillation, f1, forward, outputs, validation_rows
from pruning_course.finetune.optimizers import bare, make_optimizer, trained_by
from pruning_course.masks import Masks, find_owners
from pruning_course.models import linear_layers

CLIP = 1.0  # the norm of the whole gradient
ZEROS = 0.01  # a share of exact zeros that chance does not give


class Training:
    """A model with its optimizer while it is fine-tuned; see `fine_tune_after_pruning`."""

    def __init__(self, model, wrapped, masks, config, accelerator, optimizer, loss, metric, teacher):
        self.model, self.wrapped, self.teacher = model, wrapped, teacher
        self.config, self.accelerator = config, accelerator
        self.own_loss, self.metric = loss, metric
        self.sets_rate = optimizer is None
        if teacher is not None:
            teacher.to(accelerator.device).eval()
        optimizer = make_optimizer(model, config) if optimizer is None else optimizer
        self.trained = trained_by(optimizer, model)
        _hold(model, masks, bare(optimizer))
        self.optimizer = accelerator.prepare_optimizer(optimizer)
        self.checks = Checks(model, config, accelerator, loss, metric, teacher)

    def run(self, train_loader: Iterable, val_loader: Iterable, checkpoint, known_by: dict) -> History:
        """All epochs that are left to do; the best weights are put back at the end."""
        history, best = History(), {}
        if checkpoint is not None and os.path.exists(checkpoint):
            history, best = saved.read(checkpoint, known_by, self.model, self.optimizer)
        epochs, steps, done = self.config.fine_tune_epochs, known_by["batches"], len(history.train_loss)
        if done < epochs:
            self.checks.read_ahead(train_loader, val_loader)
        bar = tqdm if self.accelerator.is_local_main_process else partial(tqdm, disable=True)
        with bar(desc="Fine-tuning", unit="batch", total=epochs * steps or None, initial=done * steps) as progress:
            for epoch in range(done, epochs):
                history.train_loss.append(self.train(train_loader, epoch, steps, progress))
                progress.set_postfix(loss=history.train_loss[-1], **self.score(val_loader, history))
                if history.has_f1 and history.best_epoch == epoch:
                    best = saved.snapshot(self.model)
                if checkpoint is not None and self.accelerator.is_main_process:
                    saved.write(checkpoint, known_by, history, self.model, self.optimizer, best)
                self.accelerator.wait_for_everyone()
        if history.has_f1:
            saved.restore(self.model, best)
        return history

    def score(self, loader: Iterable, history: History) -> dict[str, float]:
        """Add to `history` what the model reaches on validation; returns what the bar shows of it."""
        batches = map(self.checks.validation, loader)
        logits, labels = validation_rows(self.model, batches, self.accelerator, self.config.micro_tokens)
        shown = {}
        if fault_of(labels, logits.shape) is None:
            micro, macro = f1(logits, labels)
            history.micro_f1.append(micro)
            history.macro_f1.append(macro)
            shown["micro_f1"] = micro
        if self.metric is not None:
            history.metrics.append(scores_of(self.metric, logits, labels))
            shown |= history.metrics[-1]
        return shown

    def train(self, loader: Iterable, epoch: int, steps: int, progress: tqdm) -> float:
        """One epoch; the mean loss of its rows, before the step that each of them led to."""
        self.model.train()
        total = rows = 0
        for number, raw in enumerate(one_epoch(loader, self.config.seed, epoch, self.accelerator.process_index)):
            batch = self.checks.training(raw)
            if self.sets_rate:
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
        self.model.zero_grad()  # also of parameters that the caller's optimizer does not hold
        return total

    def loss(self, part: dict[str, Tensor]) -> Tensor:
        """The loss on the labels, mixed with that on the teacher's answers if there is a teacher."""
        logits, loss = outputs(self.wrapped, part, self.model, self.own_loss)
        if self.teacher is None:
            return loss
        with torch.no_grad():
            taught, _ = forward(self.teacher, part, with_labels=False)
        soft = distillation(logits, taught, part["labels"], self.config.temperature)
        return (1 - self.config.teacher_weight) * loss + self.config.teacher_weight * soft


def _hold(model: nn.Module, masks: Masks | None, optimizer: torch.optim.Optimizer) -> None:
    if masks is not None:
        moved = {id(parameter) for parameter in trained_by(optimizer, model)}
        if any(id(getattr(*owner)) in moved for owner in find_owners(model, masks).values()):
            masks.hold(optimizer)
        return
    weights = [layer.weight for layer in linear_layers(model).values() if layer.weight.requires_grad]
    zeros = sum(int((weight == 0).sum()) for weight in weights) / max(1, sum(weight.numel() for weight in weights))
    if zeros > ZEROS:
        warnings.warn(
            f"{zeros:.0%} of the linear weights are 0, and no masks were given: training will make them other than 0.",
            stacklevel=4,
        )
