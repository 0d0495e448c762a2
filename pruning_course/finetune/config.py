"""What decides how a pruned model is trained again, and what came of it."""

from dataclasses import dataclass, field

OPTIMIZERS = ("adamw", "adam", "sgd")


@dataclass(frozen=True)
class FineTuneConfig:
    """The settings of `fine_tune_after_pruning`.

    With an optimizer of your own, `lr`, `lr_factor`, `weight_decay` and `optimizer` have no effect.

    Three learning rates can be compared: `lr * lr_factor` all the time; the same with `decay`; and `rewind_lr`, the
    rates of the original training again; Renda et al. 2020 (arXiv 2003.02389) found them better than a small one.

    Args:
        fine_tune_epochs: whole epochs, at least 1.
        lr: the peak rate of the *original* training.
        lr_factor: the share of it that is used, unless `rewind_lr`.
        weight_decay: as the optimizer understands it; of every trained parameter.
        rewind_lr: follow the original training's schedule over its last `fine_tune_epochs` epochs, with all of `lr`.
        decay: let the low rate too rise and fall as the original did, over the `fine_tune_epochs`.
        original_epochs: how long the original training was, for `rewind_lr`; None: as long as this one.
        warmup: the share of a whole schedule in which the rate rises from 0 to its peak; then it falls to 0 in a line.
        optimizer: "adamw", "adam", or "sgd" with momentum 0.9.
        micro_tokens: cut batches into parts of about this many tokens, padding included, to save memory; the gradient
            is still that of the whole batch. None: batches stay whole.
        teacher_weight, temperature: of the distillation, where there is a teacher; see `losses.distillation`.
        seed: of the order of the batches and of dropout.

    Raises ValueError for a value outside what is said here.
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

    def __post_init__(self):
        allowed = {
            "fine_tune_epochs": (_is_count(self.fine_tune_epochs), "a whole number, at least 1"),
            "lr": (self.lr > 0, "a rate above 0"),
            "lr_factor": (self.lr_factor > 0, "a factor above 0"),
            "weight_decay": (self.weight_decay >= 0, "at least 0"),
            "original_epochs": (
                self.original_epochs is None or self.original_epochs >= self.fine_tune_epochs,
                f"None, or at least fine_tune_epochs, {self.fine_tune_epochs}: no rate was set for later epochs",
            ),
            "warmup": (0 <= self.warmup < 1, "a share from 0 to below 1"),
            "optimizer": (self.optimizer in OPTIMIZERS, f"one of {', '.join(OPTIMIZERS)}"),
            "micro_tokens": (self.micro_tokens is None or _is_count(self.micro_tokens), "None, or at least 1"),
            "teacher_weight": (0 <= self.teacher_weight <= 1, "a share from 0 to 1"),
            "temperature": (self.temperature > 0, "above 0"),
        }
        for name, (fits, what) in allowed.items():
            if not fits:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be {what}.")

    @property
    def is_constant(self) -> bool:
        """Whether the rate is the same at every step."""
        return not (self.rewind_lr or self.decay)

    def rate_at(self, done: float) -> float:
        """The learning rate when the share `done` of the fine-tuning is over, from 0 to 1."""
        if not 0 <= done <= 1:
            raise ValueError(f"done is {done}; it is the share of the fine-tuning that is over, from 0 to 1.")
        if self.is_constant:
            return self.lr * self.lr_factor
        if not self.rewind_lr:
            return self.lr * self.lr_factor * self._trapeze(done)
        left = (1 - done) * self.fine_tune_epochs / (self.original_epochs or self.fine_tune_epochs)
        return self.lr * self._trapeze(1 - left)

    def _trapeze(self, progress: float) -> float:
        fall = (1 - progress) / (1 - self.warmup)
        return min(progress / self.warmup, fall) if self.warmup else fall


@dataclass
class History:
    """For each epoch the mean loss while training, micro and macro F1 on validation, and what a `metric` measured.

    The F1s are empty where a metric was given for labels that F1 cannot score; `metrics` is empty without a metric.
    """

    train_loss: list[float] = field(default_factory=list)
    micro_f1: list[float] = field(default_factory=list)
    macro_f1: list[float] = field(default_factory=list)
    metrics: list[dict[str, float]] = field(default_factory=list)

    @property
    def has_f1(self) -> bool:
        """Whether there is an F1 of every epoch."""
        return len(self.micro_f1) == len(self.train_loss)

    @property
    def best_epoch(self) -> int:
        """The place in the lists, from 0, of the highest micro-F1; of several, the first. Without F1s, the last."""
        return self.micro_f1.index(max(self.micro_f1)) if self.has_f1 else len(self.train_loss) - 1


def _is_count(value) -> bool:
    return isinstance(value, int) and value >= 1
