"""What is seen of model, loaders and losses before the first step, and of each batch on its way."""

from collections.abc import Callable, Iterable, Mapping

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from pruning_course.finetune.batches import can_be_read_ahead, checked, parts, read_ahead
from pruning_course.finetune.config import FineTuneConfig
from pruning_course.finetune.labels import as_scored, fault_of
from pruning_course.finetune.losses import Loss, check_shapes, forward

Metric = Callable[[Tensor, Tensor], Mapping[str, float]]  # logits and labels of all rows to numbers


class Checks:
    """Refuses labels that the loss or the score cannot take; the first batch tells what the model makes of one."""

    def __init__(
        self,
        model: nn.Module,
        config: FineTuneConfig,
        accelerator: Accelerator,
        loss: Loss | None,
        metric: Metric | None,
        teacher: nn.Module | None,
    ):
        self.model, self.config, self.accelerator = model, config, accelerator
        self.loss, self.metric, self.teacher = loss, metric, teacher
        self.logits: torch.Size | None = None  # of a row
        self.loss_is_known = False
        self.has_own_loss: bool | None = None  # the model; None until somebody asks

    def read_ahead(self, train_loader: Iterable, val_loader: Iterable) -> None:
        """See all batches before the first step, of loaders that can be read ahead; those of others are seen as they
        come, each before the step that it leads to."""
        if can_be_read_ahead(train_loader):
            for batch in read_ahead(train_loader):
                self.training(batch)
        if can_be_read_ahead(val_loader):
            check_shapes("labels", [self.validation(batch)["labels"] for batch in read_ahead(val_loader)])

    def training(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The batch with labels that the loss takes. ValueError for others."""
        fault = self._fault(batch)
        if fault is None:
            batch = batch | {"labels": as_scored(batch["labels"])}
        elif self.teacher is not None:
            raise ValueError(f"In train_loader, {fault}; with a teacher, other labels are not possible.")
        elif self.loss is None and not (self.metric is not None and self._model_takes(batch, fault)):
            raise ValueError(f"In train_loader, {fault}; other labels need a loss of your own.")
        if self.loss is not None and not self.loss_is_known:
            self._look_at_loss(batch)
        return batch

    def validation(self, raw) -> dict[str, Tensor]:
        """The batch with labels that can be scored. ValueError for others."""
        batch = checked(raw)
        fault = self._fault(batch)
        if fault is None:
            return batch | {"labels": as_scored(batch["labels"])}
        if self.metric is None:
            raise ValueError(f"In val_loader, {fault}; other labels need a metric of your own.")
        return batch

    def _fault(self, batch: dict[str, Tensor]) -> str | None:
        if self.logits is None:
            self._look_at_model(batch)
        labels = batch["labels"]
        return fault_of(labels, torch.Size((len(labels), *self.logits)))

    def _part(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        mine = parts(batch, self.config.micro_tokens, self.accelerator.process_index, self.accelerator.num_processes)
        return {name: tensor.to(self.accelerator.device) for name, tensor in mine[0][0].items()}

    @torch.no_grad()
    def _look_at_model(self, batch: dict[str, Tensor]) -> None:
        part, was_training = self._part(batch), self.model.training
        logits, _ = forward(self.model.eval(), part, with_labels=False)
        self.model.train(was_training)
        self.logits = logits.shape[1:]
        if self.teacher is not None:
            taught, _ = forward(self.teacher, part, with_labels=False)
            if taught.shape != logits.shape:
                raise ValueError(
                    f"The teacher's logits are {tuple(taught.shape)} and the model's {tuple(logits.shape)}; they must "
                    "be for the same labels."
                )

    @torch.no_grad()
    def _look_at_loss(self, batch: dict[str, Tensor]) -> None:
        part, was_training = self._part(batch), self.model.training
        logits, _ = forward(self.model.eval(), part, with_labels=False)
        self.model.train(was_training)
        value = self.loss(logits, part["labels"])
        if not isinstance(value, Tensor) or value.numel() != 1:
            shape = f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise TypeError(f"loss returns {shape}; it must return a tensor of one number, the mean over the rows.")
        self.loss_is_known = True

    @torch.no_grad()
    def _model_takes(self, batch: dict[str, Tensor], fault: str) -> bool:
        """Whether the model has a loss of its own that takes these labels."""
        if self.has_own_loss is None:
            was_training = self.model.training
            try:
                self.has_own_loss = forward(self.model.eval(), self._part(batch))[1] is not None
            except (IndexError, RuntimeError, ValueError) as error:
                raise ValueError(f"In train_loader, {fault}; the model's own loss takes no other labels.") from error
            finally:
                self.model.train(was_training)
        return self.has_own_loss


def scores_of(metric: Metric, logits: Tensor, labels: Tensor) -> dict[str, float]:
    """What `metric` measures on all validation rows. TypeError unless it is names with numbers."""
    found = metric(logits, labels)
    try:
        return {str(name): float(value) for name, value in found.items()}
    except (AttributeError, TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            f"metric returns {found!r:.60}; it must return a dict of names and numbers, such as {{'accuracy': 0.9}}."
        ) from error
