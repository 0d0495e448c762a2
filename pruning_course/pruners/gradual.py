"""Gradual pruning: remove the smallest weights, a few at a time, while the model trains."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack, cast

import torch
from torch import nn

from pruning_course.counts import is_count
from pruning_course.masks import Masks
from pruning_course.pruners.magnitude import MagnitudePruner
from pruning_course.pruners.manager import PrunerOptions
from pruning_course.schedules import sparsity_at

if TYPE_CHECKING:
    from transformers import TrainerCallback, TrainerState


class GradualPruner(MagnitudePruner):
    """Removes the weights of smallest abs(w) along a schedule (Zhu & Gupta 2017, arXiv 1710.01878).

    Call `step` after each optimizer step; `prune()` skips the rest of the schedule and goes to the target at once. To
    continue after a restart, save `pruner.masks` with the model and set `pruner.masks = Masks.load(path, model)`.

    Args:
        model, target_sparsity (a number), prune_layers, global_pruning, max_layer_sparsity, and other options: as in
            `MagnitudePruner`.
        schedule: "linear", "cubic", "exponential", "geometric", or a function of progress; see `schedules`.
        start_epoch, end_epoch: when the sparsity begins to rise, and when it reaches the target; may be fractions.
        steps_per_epoch: optimizer steps in one epoch.
        prune_frequency: optimizer steps from one pruning to the next. The end step prunes whatever the frequency is.
        initial_sparsity: the sparsity at which the schedule starts.

    Attributes: `start_step` and `end_step` (optimizer steps), and those of `PruningManager`.

    Raises ValueError if not 0 <= initial <= target <= limit <= 1 (sparsities) or 0 <= start <= end < inf (epochs), a
    number of steps is not a whole number of at least 1, the schedule is unknown or leaves [0, 1], `prune_layers` is
    unknown or needs a known family, no layer is chosen, or `torch.nn.utils.prune` masks one.
    """

    def __init__(
        self,
        model: nn.Module,
        target_sparsity: float = 0.5,
        prune_layers: str | Sequence[str] = "all",
        schedule: str | Callable[[float], float] = "cubic",
        start_epoch: float = 0,
        end_epoch: float = 10,
        *,
        steps_per_epoch: int,
        prune_frequency: int = 100,
        global_pruning: bool = True,
        initial_sparsity: float = 0.0,
        max_layer_sparsity: float = 1.0,
        **options: Unpack[PrunerOptions],
    ):
        if isinstance(target_sparsity, Mapping):
            raise ValueError("target_sparsity has a share for each layer, but a schedule rises to one number.")
        super().__init__(model, target_sparsity, prune_layers, global_pruning, max_layer_sparsity, **options)
        for name, value in {"steps_per_epoch": steps_per_epoch, "prune_frequency": prune_frequency}.items():
            if not is_count(value):
                raise ValueError(f"{name} is {value!r}; it must be a whole number of at least 1.")
        if not 0 <= start_epoch <= end_epoch < float("inf"):
            raise ValueError(f"start_epoch is {start_epoch} and end_epoch is {end_epoch}; 0 <= start <= end is needed.")
        self.schedule = schedule
        self.start_step = round(start_epoch * steps_per_epoch)
        self.end_step = round(end_epoch * steps_per_epoch)
        self.prune_frequency = prune_frequency
        self.initial_sparsity = initial_sparsity
        self._last_pruning = -1
        self.sparsity_at(0)  # raises for a wrong schedule or initial sparsity now, not during the training

    def sparsity_at(self, step: int) -> float:
        """Return the sparsity that the schedule asks for after `step` optimizer steps."""
        target = cast(float, self.target_sparsity)  # other targets are refused
        return sparsity_at(step, self.start_step, self.end_step, self.initial_sparsity, target, self.schedule)

    def is_due(self, step: int) -> bool:
        """Return whether `step(step)` would prune: at multiples of the frequency from start to end, and at the end.

        If the end step is skipped, the first call after it prunes to the target.
        """
        if step >= self.end_step:
            return self._last_pruning < self.end_step
        return step >= self.start_step and step % self.prune_frequency == 0

    def step(self, current_step: int) -> bool:
        """Prune if the schedule says so, otherwise set pruned weights to 0 again; return whether it pruned.

        Call it after `optimizer.step()`; `current_step` is the number of finished optimizer steps: 1, 2, 3, ...

        Raises ValueError if a weight is NaN.
        """
        if self.is_due(current_step):
            self._restrict(self.sparsity_at(current_step))
            self._last_pruning = current_step
            return True
        if self.masks is not None:
            self.masks.reapply()
        return False

    def hold(self, optimizer: torch.optim.Optimizer) -> "GradualPruner":
        """Also clear the optimizer's momentum of pruned weights after each of its steps, and return itself.

        Raises ValueError if `optimizer` trains none of the chosen layers.
        """
        if self.masks is None:
            self.masks = Masks(self.model, self.layers, self._remember)  # nothing is pruned yet
        self.masks.hold(optimizer)
        return self

    def undo(self) -> None:
        """Put every removed weight back, bit for bit. Raises RuntimeError after `make_pruning_permanent`."""
        super().undo()
        self._last_pruning = -1


def trainer_callback(pruner: GradualPruner) -> "TrainerCallback":
    """Return a `transformers.TrainerCallback` that holds the optimizer and calls `pruner.step` after each of its steps.

    `steps_per_epoch` of the pruner counts optimizer steps: batches divided by `gradient_accumulation_steps`.
    Warns if the training is too short to reach the end of the schedule.
    """
    from transformers import TrainerCallback  # here, because it loads what only a Trainer needs

    class GradualCallback(TrainerCallback):
        def on_train_begin(self, args: Any, state: "TrainerState", control: Any, **kwargs: Any) -> None:
            pruner.hold(kwargs["optimizer"])
            if state.max_steps < pruner.end_step:
                warnings.warn(
                    f"The training has {state.max_steps} steps and the schedule ends at step {pruner.end_step}, so the "
                    f"target {pruner.target_sparsity} is not reached.",
                    stacklevel=2,
                )

        # Not on_optimizer_step, where global_step does not yet count the step.
        def on_step_end(self, args: Any, state: "TrainerState", control: Any, **kwargs: Any) -> None:
            pruner.step(state.global_step)

        # load_best_model_at_end may have restored weights from before the last pruning.
        on_train_end = on_step_end

    return GradualCallback()
