"""Gradual pruning: the smallest weights go a few at a time, while the model trains."""

import warnings
from collections.abc import Callable

import torch
from torch import nn

from pruning_course.counts import is_count
from pruning_course.masks import Masks
from pruning_course.pruners.magnitude import MagnitudePruner
from pruning_course.schedules import sparsity_at


class GradualPruner(MagnitudePruner):
    """Magnitude pruning along a schedule (Zhu & Gupta 2017, arXiv 1710.01878). Call `step` after each optimizer step.

    Args:
        schedule: "linear", "cubic", "exponential", "geometric", or a function of progress; see `schedules`.
        start_epoch, end_epoch: when the sparsity begins to rise, and when it has reached the target; fractions of an
            epoch are allowed.
        steps_per_epoch: optimizer steps in one epoch.
        prune_frequency: optimizer steps from one pruning to the next. The end step prunes whatever the frequency.
        initial_sparsity: where the schedule starts from: what is pruned already, or goes at the first pruning.

    Attributes: `start_step`, `end_step` (optimizer steps). Other arguments, and what is raised, as `MagnitudePruner`;
    ValueError too for an end before the start, a frequency below 1, or a request that `sparsity_at` refuses.

    `prune()` leaves out the rest of the schedule and goes to the target at once. To go on after a restart, save
    `pruner.masks` beside the model and set `pruner.masks = Masks.load(path, model)`.
    """

    def __init__(
        self,
        model: nn.Module,
        target_sparsity: float = 0.5,
        prune_layers: str = "all",
        schedule: str | Callable[[float], float] = "cubic",
        start_epoch: float = 0,
        end_epoch: float = 10,
        *,
        steps_per_epoch: int,
        prune_frequency: int = 100,
        global_pruning: bool = True,
        initial_sparsity: float = 0.0,
        max_layer_sparsity: float = 1.0,
    ):
        super().__init__(model, target_sparsity, prune_layers, global_pruning, max_layer_sparsity)
        for name, value in {"steps_per_epoch": steps_per_epoch, "prune_frequency": prune_frequency}.items():
            if not is_count(value):
                raise ValueError(f"{name} is {value!r}; it is a whole number of steps, at least 1.")
        if not 0 <= start_epoch <= end_epoch < float("inf"):
            raise ValueError(f"start_epoch is {start_epoch} and end_epoch is {end_epoch}; 0 <= start <= end is needed.")
        self.schedule = schedule
        self.start_step = round(start_epoch * steps_per_epoch)
        self.end_step = round(end_epoch * steps_per_epoch)
        self.prune_frequency = prune_frequency
        self.initial_sparsity = initial_sparsity
        self._last_pruning = -1
        self.sparsity_at(0)  # refuses a wrong schedule or initial sparsity now, not in the middle of a training

    def sparsity_at(self, step: int) -> float:
        """The sparsity that the schedule asks for after `step` optimizer steps."""
        return sparsity_at(
            step, self.start_step, self.end_step, self.initial_sparsity, self.target_sparsity, self.schedule
        )

    def is_due(self, step: int) -> bool:
        """Whether `step(step)` would prune: at multiples of the frequency from start to end, and at the end.

        A caller who jumps over the end step gets the target at the first call after it.
        """
        if step >= self.end_step:
            return self._last_pruning < self.end_step
        return step >= self.start_step and step % self.prune_frequency == 0

    def step(self, current_step: int) -> bool:
        """Prune if it is time, else set to 0 again what is pruned. Call it after `optimizer.step()`.

        Args:
            current_step: how many optimizer steps are done, this one included: 1, 2, 3, ...

        Returns whether it pruned. ValueError for a weight that is NaN.
        """
        if self.is_due(current_step):
            self._restrict(self.sparsity_at(current_step))
            self._last_pruning = current_step
            return True
        if self.masks is not None:
            self.masks.reapply()
        return False

    def hold(self, optimizer: torch.optim.Optimizer) -> "GradualPruner":
        """Let the optimizer forget its momentum of what is pruned, now and at later steps; see `Masks.hold`.

        `step` alone keeps pruned weights at 0 between optimizer steps. Returns itself.
        """
        if self.masks is None:
            self.masks = Masks(self.model, self.layers)  # nothing pruned yet
        self.masks.hold(optimizer)
        return self

    def undo(self) -> None:
        super().undo()
        self._last_pruning = -1


def trainer_callback(pruner: GradualPruner):
    """A `transformers.TrainerCallback` that calls `pruner.step` after each optimizer step of a `Trainer`.

    `steps_per_epoch` of the pruner counts optimizer steps: batches divided by `gradient_accumulation_steps`.
    Warns when the training is too short to reach the end of the schedule.
    """
    from transformers import TrainerCallback  # here: it loads what only a Trainer needs

    class GradualCallback(TrainerCallback):
        def on_train_begin(self, args, state, control, **kwargs):
            if state.max_steps < pruner.end_step:
                warnings.warn(
                    f"The training has {state.max_steps} steps and the schedule ends at step {pruner.end_step}, so the "
                    f"target {pruner.target_sparsity} is not reached.",
                    stacklevel=2,
                )

        # Not on_optimizer_step: there global_step does not count the step yet.
        def on_step_end(self, args, state, control, **kwargs):
            pruner.step(state.global_step)

        # load_best_model_at_end may have brought back weights from before the last pruning.
        def on_train_end(self, args, state, control, **kwargs):
            pruner.step(state.global_step)

    return GradualCallback()
