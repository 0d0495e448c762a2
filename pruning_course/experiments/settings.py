"""The settings that decide the result of one run."""

import hashlib
import inspect
import json
from dataclasses import asdict, dataclass, fields

from pruning_course.counts import is_count
from pruning_course.models import ROLES
from pruning_course.pruners import PRUNERS
from pruning_course.pruners.structured import IMPORTANCES
from pruning_course.pruners.structured import ROLES as STRUCTURES
from pruning_course.schedules import SCHEDULES

OPTIONS = ("schedule", "structure", "importance", "group", "global_pruning")  # not every method has these
BOTH = "head+neuron"  # attention heads and neurons, each by the same share
RANDOM = "random"  # importances that are no importances: the control
GROUPS = ("row", "tensor")


@dataclass(frozen=True)
class Settings:
    """The settings of one run: how to prune, how long to train afterwards, and on how many texts.

    Args:
        prune_method: "magnitude", "wanda", "gradual" or "structured" (which cuts out whole units before the training).
        prune_sparsity: the fraction, from 0 to 1, of the weights or units of the chosen layers that is removed.
        prune_layers: "all", "attention", "ffn" or "encoder".
        schedule: how the sparsity rises in gradual pruning, a name in `pruning_course.schedules.SCHEDULES`.
        structure: the units of structured pruning, "neuron", "head", "layer" (a block), or "head+neuron", which removes
            the same fraction of both.
        importance: how structured pruning scores units: "norm", "gradient" (not of blocks), "influence" (only of
            blocks), or "random", the control.
        group: "row" compares weights only with those of the same output, "tensor" (for wanda) with those of the layer.
        global_pruning: True compares the weights of all layers with each other, False only those within a layer.
        fine_tune_epochs: the number of epochs of training, at least 0, in which pruned weights stay zero. The best one
            on the texts for such choices is kept. Gradual pruning happens during the first epoch, so that every method
            has the same training and as many epochs to choose from.
        learning_rate: the peak rate of AdamW, above 0; the rate rises to it and falls to 0. The course's classifier was
            trained with a peak of 2e-4, ten times the default.
        train_texts: the number of texts, at least 1, that are drawn for training; if there are fewer, all are used.
        seed: a whole number, at least 0, for that draw, for that of the texts on which scores are calibrated, for the
            order of the batches, dropout, and random importances.

    An option that is None (from `schedule` to `global_pruning`) gets the default of the method, if it has one.

    Raises:
        ValueError: if a value is not allowed here, if the method does not have an option that is given, or if the
            method is gradual and there is no epoch of training.
    """

    prune_method: str = "magnitude"
    prune_sparsity: float = 0.5
    prune_layers: str = "all"
    schedule: str | None = None
    structure: str | None = None
    importance: str | None = None
    group: str | None = None
    global_pruning: bool | None = None
    fine_tune_epochs: int = 0
    learning_rate: float = 2e-5
    train_texts: int = 512
    seed: int = 0

    def __post_init__(self) -> None:
        sparsity, rate = self.prune_sparsity, self.learning_rate
        importances = (*IMPORTANCES.get(self.structure or "neuron", IMPORTANCES["neuron"]), RANDOM)
        groups = GROUPS if self.prune_method == "wanda" else GROUPS[:1]
        allowed = {
            "prune_method": (self.prune_method in tuple(PRUNERS), f"one of {', '.join(PRUNERS)}"),
            "prune_sparsity": (_is_number(sparsity) and 0 <= sparsity <= 1, "a number from 0 to 1"),
            "prune_layers": (self.prune_layers in ROLES, f"one of {', '.join(ROLES)}"),
            "schedule": (self.schedule in (None, *SCHEDULES), f"one of {', '.join(SCHEDULES)}"),
            "structure": (self.structure in (None, *STRUCTURES, BOTH), f"one of {', '.join((*STRUCTURES, BOTH))}"),
            "importance": (self.importance in (None, *importances), f"one of {', '.join(importances)}"),
            "group": (self.group in (None, *groups), f"one of {', '.join(groups)}"),
            "global_pruning": (self.global_pruning is None or isinstance(self.global_pruning, bool), "true or false"),
            "fine_tune_epochs": (is_count(self.fine_tune_epochs, 0), "a whole number, at least 0"),
            "learning_rate": (_is_number(rate) and 0 < rate < float("inf"), "a number above 0"),
            "train_texts": (is_count(self.train_texts), "a whole number, at least 1"),
            "seed": (is_count(self.seed, 0), "a whole number, at least 0"),
        }
        for name, (fits, what) in allowed.items():
            if not fits:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be {what}.")
        if self.prune_method == "gradual" and not self.fine_tune_epochs:
            raise ValueError("fine_tune_epochs is 0; it must be at least 1, because gradual pruning needs training.")
        object.__setattr__(self, "prune_sparsity", float(sparsity))  # so that 1 and 1.0 are the same run
        options = inspect.signature(PRUNERS[self.prune_method]).parameters
        for name in OPTIONS:
            if getattr(self, name) is None and name in options:
                default = options[name].default
                if name == "global_pruning" and default is None:  # it then depends on the group
                    default = self.group is None
                object.__setattr__(self, name, default)
            elif getattr(self, name) is not None and name not in options:
                raise ValueError(f"{name} is {getattr(self, name)!r}, but {self.prune_method} has no such option.")

    @property
    def needs_texts(self) -> bool:
        """Whether the run uses training texts, to train or to calibrate."""
        return self.fine_tune_epochs > 0 or self.needs_calibration

    @property
    def needs_calibration(self) -> bool:
        """Whether the scores that decide what to prune depend on training texts."""
        return self.prune_method == "wanda" or self.importance in ("gradient", "influence")

    @property
    def name(self) -> str:
        """A readable name that ends with 8 hexadecimal digits, which are different if any setting is different.

        Settings that have their default do not count, so that names stay when there is a new setting.
        """
        values = asdict(self)
        given = {field.name: values[field.name] for field in fields(self) if values[field.name] != field.default}
        digest = hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()[:8]
        how = "-".join(filter(None, [self.prune_method, self.structure, self.importance, self.group]))
        how = f"{how}-{self.prune_sparsity:g}-{self.prune_layers}"
        return f"{how}-{self.fine_tune_epochs}epochs-seed{self.seed}-{digest}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
