"""Refuse labels that the loss or the scores cannot take, before the first step where the loaders allow it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pruning_course.finetune.batches import Batch, can_read_ahead, check_batch
from pruning_course.finetune.labels import convert_labels, find_fault
from pruning_course.finetune.losses import Loss, run_forward
from pruning_course.finetune.predictions import check_shapes
from pruning_course.models import eval_mode

Metric = Callable[[Tensor, Tensor], Mapping[str, float]]  # logits and labels of all rows -> names and numbers


@dataclass(frozen=True)
class Goal:
    """What a model is trained for and scored by, in place of the usual losses and F1."""

    loss: Loss | None = None
    metric: Metric | None = None
    teacher: nn.Module | None = None


class LabelChecks:
    """Checks batches on their way to the model; the first one shows which logits and which loss the model computes.

    `take_part` returns the part of a batch that fits into memory, on the device of the model.
    """

    def __init__(self, model: nn.Module, goal: Goal, take_part: Callable[[Batch], Batch]):
        self.model, self.goal, self._take_part = model, goal, take_part
        self._logits_of_row: torch.Size | None = None
        self._loss_is_checked = False
        self._has_own_loss: bool | None = None

    def read_ahead(
        self, train_loader: Iterable[object], val_loader: Iterable[object], select_loader: Iterable[object] | None
    ) -> None:
        """Check all batches now, if the loaders can be read twice; those of other loaders are checked as they come."""
        if can_read_ahead(train_loader):
            for raw in train_loader:
                self.check_training(check_batch(raw))
        if can_read_ahead(val_loader):
            check_shapes("labels", [self.check_validation(raw)["labels"] for raw in val_loader])
        if select_loader is not None and can_read_ahead(select_loader):
            check_shapes("labels", [self.check_selection(raw)["labels"] for raw in select_loader])

    def check_training(self, batch: Batch) -> Batch:
        """Return the batch with labels in a dtype that the loss takes.

        Raises ValueError if it cannot take them, and TypeError if the caller's loss does not return one number.
        """
        fault = self._find_fault(batch)
        if fault is None:
            batch = batch | {"labels": convert_labels(batch["labels"])}
        elif self.goal.teacher is not None:
            raise ValueError(f"In train_loader, {fault}; with a teacher, other labels are not possible.")
        elif self.goal.loss is None and not (self.goal.metric is not None and self._model_takes(batch, fault)):
            raise ValueError(f"In train_loader, {fault}; other labels need a loss of your own.")
        if self.goal.loss is not None and not self._loss_is_checked:
            part = self._take_part(batch)
            _check_loss(self.goal.loss(self._forward(self.model, part), part["labels"]))
            self._loss_is_checked = True
        return batch

    def check_validation(self, raw: object) -> Batch:
        """Return the batch, which has labels that can be scored. Raises ValueError for others."""
        batch = check_batch(raw)
        fault = self._find_fault(batch)
        if fault is None:
            return batch | {"labels": convert_labels(batch["labels"])}
        if self.goal.metric is None:
            raise ValueError(f"In val_loader, {fault}; other labels need a metric of your own.")
        return batch

    def check_selection(self, raw: object) -> Batch:
        """Return the batch, which has labels that F1 can score. Raises ValueError for others."""
        batch = check_batch(raw)
        if fault := self._find_fault(batch):
            raise ValueError(f"In select_loader, {fault}; an epoch is chosen by F1.")
        return batch | {"labels": convert_labels(batch["labels"])}

    def _find_fault(self, batch: Batch) -> str | None:
        labels = batch["labels"]
        if self._logits_of_row is None:
            part = self._take_part(batch)
            logits = self._forward(self.model, part)
            self._logits_of_row = logits.shape[1:]
            if self.goal.teacher is not None:
                taught = self._forward(self.goal.teacher, part)
                if taught.shape != logits.shape:
                    raise ValueError(
                        f"The teacher's logits are {tuple(taught.shape)} and the model's are {tuple(logits.shape)}; "
                        "both must be for the same labels."
                    )
        return find_fault(labels, torch.Size((len(labels), *self._logits_of_row)))

    def _forward(self, model: nn.Module, part: Batch) -> Tensor:
        with eval_mode(model), torch.no_grad():
            return run_forward(model, part, with_labels=False)[0]

    def _model_takes(self, batch: Batch, fault: str) -> bool:
        """Return whether the model has a loss of its own, which takes these labels."""
        if self._has_own_loss is None:
            try:
                with eval_mode(self.model), torch.no_grad():
                    self._has_own_loss = run_forward(self.model, self._take_part(batch))[1] is not None
            except (IndexError, RuntimeError, ValueError) as error:
                raise ValueError(f"In train_loader, {fault}; the model's own loss takes no other labels.") from error
        return self._has_own_loss


def _check_loss(value: object) -> None:
    if not isinstance(value, Tensor) or value.numel() != 1:
        kind = f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise TypeError(f"loss returns {kind}; it must return a tensor of one number, the mean over the rows.")


def measure(metric: Metric, logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Return what `metric` measures on all validation rows. Raises TypeError if that is not names and numbers."""
    scores = metric(logits, labels)
    try:
        return {str(name): float(value) for name, value in scores.items()}
    except (AttributeError, TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            f"metric returns {scores!r:.60}; it must return a dict of names and numbers, such as {{'accuracy': 0.9}}."
        ) from error
