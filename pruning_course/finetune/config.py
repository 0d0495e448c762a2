"""The settings of a fine-tuning, and what it reports for each epoch."""

from dataclasses import dataclass, field

from pruning_course.counts import is_count

OPTIMIZERS = ("adamw", "adam", "sgd")


@dataclass(frozen=True)
class FineTuneConfig:
    """The settings of `fine_tune_after_pruning`.

    There are three learning rates: a constant one, `lr * lr_factor`; with `decay`, the same one rising and falling; and
    with `rewind_lr` those of the original training again, which Renda et al. 2020 (arXiv 2003.02389) found to be better
    than a small one. An optimizer of your own has its own rate: then `lr`, `lr_factor`, `weight_decay` and `optimizer`
    have no effect.

    Args:
        fine_tune_epochs: the number of whole epochs.
        lr: the peak rate of the ORIGINAL training.
        lr_factor: the share of it that is used, unless `rewind_lr`.
        weight_decay: as the optimizer defines it, for every trained parameter.
        rewind_lr: follow the schedule of the original training through its last `fine_tune_epochs` epochs.
        decay: let the rate rise and fall as the original one did, within `fine_tune_epochs`.
        original_epochs: the length of the original training; `rewind_lr` needs it.
        warmup: the share of the schedule in which the rate rises from 0 to its peak; then it falls linearly to 0.
        optimizer: "adamw", "adam", or "sgd" with momentum 0.9.
        micro_tokens: to save memory, cut batches into parts of about this many tokens, padding included; the gradient
            is still that of the whole batch. None does not cut them.
        teacher_weight, temperature: of the loss on a teacher's answers; see `losses.distillation`.
        seed: of the order of the batches and of dropout.

    Raises ValueError if a number is out of its range or the optimizer is unknown; the message names the range.
    """

    fine_tune_epochs: int = 3
    lr: float = 1e-4
    lr_factor: float = 0.1
    weight_decay: float = 0.01
    rewind_lr: bool = False
    decay: bool = False
    original_epochs: float | None = None
    warmup: float = 0.1
    optimizer: str = "adamw"
    micro_tokens: int | None = None
    teacher_weight: float = 0.5
    temperature: float = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        epochs = self.fine_tune_epochs
        for name, fits, allowed in (
            ("fine_tune_epochs", is_count(epochs), "a whole number of at least 1"),
            ("lr", self.lr > 0, "above 0"),
            ("lr_factor", self.lr_factor > 0, "above 0"),
            ("weight_decay", self.weight_decay >= 0, "at least 0"),
            (
                "original_epochs",
                self.original_epochs is None or self.original_epochs >= epochs,
                f"None, or at least fine_tune_epochs, {epochs}, because later epochs had no rate",
            ),
            (
                "original_epochs",
                self.original_epochs is not None or not self.rewind_lr,
                "given with rewind_lr, which follows the last epochs of the original schedule; decay=True with "
                "lr_factor=1.0 squeezes the whole schedule into this training",
            ),
            ("decay", not (self.decay and self.rewind_lr), "False with rewind_lr, which has a schedule of its own"),
            ("warmup", 0 <= self.warmup < 1, "at least 0 and below 1"),
            ("optimizer", self.optimizer in OPTIMIZERS, f"one of {', '.join(OPTIMIZERS)}"),
            ("micro_tokens", self.micro_tokens is None or is_count(self.micro_tokens), "None, or at least 1"),
            ("teacher_weight", 0 <= self.teacher_weight <= 1, "between 0 and 1"),
            ("temperature", self.temperature > 0, "above 0"),
        ):
            if not fits:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be {allowed}.")

    @property
    def is_constant(self) -> bool:
        """Whether the rate is the same at every step."""
        return not (self.rewind_lr or self.decay)

    def rate_at(self, done: float) -> float:
        """Return the learning rate when the share `done` of the fine-tuning is finished.

        Raises ValueError if `done` is outside [0, 1].
        """
        if not 0 <= done <= 1:
            raise ValueError(f"done is {done}; it must be between 0 and 1.")
        peak = self.lr if self.rewind_lr else self.lr * self.lr_factor
        if self.is_constant:
            return peak
        total = self.original_epochs if self.original_epochs and self.rewind_lr else self.fine_tune_epochs
        progress = 1 - (1 - done) * self.fine_tune_epochs / total  # of the whole schedule
        fall = (1 - progress) / (1 - self.warmup)
        return peak * (min(progress / self.warmup, fall) if self.warmup else fall)


@dataclass
class History:
    """For each epoch: the mean training loss, micro and macro F1 on validation, what a `metric` measured there, the
    micro-F1 on the part that chooses an epoch, and the sparsity of the masks at its end.

    The F1s on validation are empty if a metric scored labels for which there is no F1; `metrics` is empty without a
    metric, `select_f1` without a part that chooses, and `sparsity` without masks.
    """

    train_loss: list[float] = field(default_factory=list)
    micro_f1: list[float] = field(default_factory=list)
    macro_f1: list[float] = field(default_factory=list)
    metrics: list[dict[str, float]] = field(default_factory=list)
    select_f1: list[float] = field(default_factory=list)
    sparsity: list[float] = field(default_factory=list)

    @property
    def best_epoch(self) -> int:
        """The index of the highest `select_f1`, the first one of equals; without them, that of the last epoch.

        Epochs that ended before the last pruning do not count, because their weights are not those of a model that is
        pruned so far.
        """
        if not self.select_f1:
            return len(self.train_loss) - 1
        first = self.sparsity.index(self.sparsity[-1]) if self.sparsity else 0
        return self.select_f1.index(max(self.select_f1[first:]), first)
