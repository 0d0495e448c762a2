"""What decides the result of one run."""

import hashlib
import inspect
import json
from dataclasses import asdict, dataclass

from pruning_course.counts import is_count
from pruning_course.models import ROLES
from pruning_course.pruners import PRUNERS
from pruning_course.pruners.structured import IMPORTANCES
from pruning_course.schedules import SCHEDULES

OPTIONS = ("schedule", "importance", "global_pruning")  # those of a pruner; not every method has them


@dataclass(frozen=True)
class Settings:
    """The settings of one run: how to prune, how long to train afterwards, on how much.

    Args:
        prune_method: "magnitude", "wanda", "gradual" or "structured" (neurons).
        prune_sparsity: the share to remove, of the weights or neurons of the chosen layers.
        prune_layers: "all", "attention", "ffn" or "encoder".
        schedule: of gradual pruning; None is its default.
        importance: of structured pruning, "norm" or "gradient"; None is its default.
        global_pruning: whether all layers are compared with each other; None is the default of the method.
        fine_tune_epochs: how long the model is trained with its masks held. Gradual pruning prunes while it trains: its
            schedule takes the first half of these epochs, so that each method gets the same training.
        learning_rate: constant, of AdamW. The default is a tenth of the rate that made the course's classifier.
        train_texts: how many texts are drawn to train on, and for Wanda and
            importance by gradient to calibrate on; if there are fewer, all.
        seed: of that draw, of the order of the batches and of dropout.

    None is replaced by the default at once. Raises ValueError for a value outside what is said here, and for an option
    that the method does not have.
    """

    prune_method: str = "magnitude"
    prune_sparsity: float = 0.5
    prune_layers: str = "all"
    schedule: str | None = None
    importance: str | None = None
    global_pruning: bool | None = None
    fine_tune_epochs: int = 0
    learning_rate: float = 2e-5
    train_texts: int = 512
    seed: int = 0

    def __post_init__(self):
        sparsity, rate = self.prune_sparsity, self.learning_rate
        allowed = {
            "prune_method": (self.prune_method in tuple(PRUNERS), f"one of {', '.join(PRUNERS)}"),
            "prune_sparsity": (_is_number(sparsity) and 0 <= sparsity <= 1, "a share from 0 to 1"),
            "prune_layers": (self.prune_layers in ROLES, f"one of {', '.join(ROLES)}"),
            "schedule": (self.schedule in (None, *SCHEDULES), f"one of {', '.join(SCHEDULES)}"),
            "importance": (
                self.importance in (None, *IMPORTANCES["neuron"]),
                f"one of {', '.join(IMPORTANCES['neuron'])}",
            ),
            "global_pruning": (self.global_pruning is None or isinstance(self.global_pruning, bool), "true or false"),
            "fine_tune_epochs": (is_count(self.fine_tune_epochs, 0), "a whole number, at least 0"),
            "learning_rate": (_is_number(rate) and 0 < rate < float("inf"), "a rate above 0"),
            "train_texts": (is_count(self.train_texts), "a whole number, at least 1"),
            "seed": (is_count(self.seed, 0), "a whole number, at least 0"),
        }
        for name, (fits, what) in allowed.items():
            if not fits:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be {what}.")
        if self.prune_method == "gradual" and not self.fine_tune_epochs:
            raise ValueError("gradual prunes while it trains, so fine_tune_epochs must be at least 1; it is 0.")
        object.__setattr__(self, "prune_sparsity", float(sparsity))  # 1 and 1.0 are one run
        options = inspect.signature(PRUNERS[self.prune_method]).parameters
        for name in OPTIONS:
            if getattr(self, name) is None and name in options:
                object.__setattr__(self, name, options[name].default)
            elif getattr(self, name) is not None and name not in options:
                raise ValueError(f"{self.prune_method} has no option {name}; it is {getattr(self, name)!r}.")

    @property
    def needs_texts(self) -> bool:
        """Whether the run uses training texts, to train or to calibrate."""
        return self.fine_tune_epochs > 0 or self.needs_calibration

    @property
    def needs_calibration(self) -> bool:
        """Whether the scores that decide what to prune depend on training texts."""
        return self.prune_method == "wanda" or self.importance == "gradient"

    @property
    def name(self) -> str:
        """A short name for people, and 8 hexadecimal digits that change with every setting."""
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:8]
        parts = [self.prune_method, f"{self.prune_sparsity:g}", self.prune_layers, f"{self.fine_tune_epochs}epochs"]
        return "-".join([*parts, f"seed{self.seed}", digest])


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
