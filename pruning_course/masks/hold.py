"""Keep pruned weights at zero while an optimizer trains."""

import warnings
import weakref
from collections.abc import Mapping
from functools import partial

import torch
from accelerate.optimizer import AcceleratedOptimizer
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from pruning_course.masks.bits import zero_unless

ROWS = 16  # of one tensor, that are looked at before each step


class Hold:
    """Keeps pruned weights at 0, and what the optimizer knows about them, while it trains.

    Gradients of pruned weights are set to 0 as they are accumulated, so that everything which mixes gradients (clipping
    by norm, LBFGS, Adafactor, Muon) sees only the weights that are trained. After each step the weights are set to 0,
    because a step may move a weight without a gradient. Momentum from before a pruning is set to 0 once.

    Args:
        keep: name to mask (bool, True = kept), or None if nothing is pruned; read at every step, so it may change.
        parameters: the same names to the weights.
    """

    def __init__(self, keep: Mapping[str, Tensor | None], parameters: Mapping[str, nn.Parameter]):
        # Not the Masks object itself: the two would keep each other, and the removed values, in memory.
        self._keep, self._parameters = keep, parameters
        self._hooks: list[RemovableHandle] = []
        self._watched: set[str] = set()  # names whose gradients are set to 0
        self._warned = False
        self.optimizers: weakref.WeakSet[Optimizer] = weakref.WeakSet()  # their moments take twice the model

    def start(self, optimizer: Optimizer) -> None:
        """Hold from the next step of `optimizer` on; an optimizer that accelerate has wrapped is unwrapped.

        Raises TypeError if it is not a `torch.optim.Optimizer`, or hides its steps from hooks; ValueError if it trains
        none of the masked weights, unless these are frozen.
        """
        inner = optimizer.optimizer if isinstance(optimizer, AcceleratedOptimizer) else optimizer
        if not (isinstance(inner, Optimizer) and hasattr(inner, "_optimizer_step_post_hooks")):
            raise TypeError(
                f"{type(inner).__name__} cannot be held: it must be a torch.optim.Optimizer that initialises its base "
                "class, because its steps are watched by hooks; hold the optimizer inside it, if it only wraps one."
            )
        trained = {id(parameter) for group in inner.param_groups for parameter in group["params"]}
        names = [name for name, parameter in self._parameters.items() if id(parameter) in trained]
        if not names and any(parameter.requires_grad for parameter in self._parameters.values()):
            raise ValueError("The optimizer trains none of the masked weights, so there is nothing to hold.")
        for name in names:
            if name not in self._watched and self._parameters[name].requires_grad:
                hook = partial(_zero_gradient, self._keep, name)
                self._hooks.append(self._parameters[name].register_post_accumulate_grad_hook(hook))
                self._watched.add(name)
        if inner in self.optimizers:
            return
        self._hooks.append(inner.register_step_pre_hook(lambda *_: self._notice(names)))
        self._hooks.append(inner.register_step_post_hook(lambda *_: self.zero_weights()))
        self.optimizers.add(inner)
        self.forget_momentum()

    def end(self) -> list[Optimizer]:
        """Stop holding; return the optimizers that were held."""
        for hook in self._hooks:
            hook.remove()
        held = list(self.optimizers)
        self.optimizers.clear()
        self._hooks.clear()
        self._watched.clear()
        return held

    @torch.no_grad()
    def zero_weights(self) -> None:
        """Set pruned weights to 0.0 again, after something has changed the weights."""
        for name, keep in self._keep.items():
            if keep is not None:
                zero_unless(self._parameters[name], keep.to(self._parameters[name].device))

    def forget_momentum(self) -> None:
        """Set gradients and floating-point moments of pruned weights to 0, after more of them were pruned."""
        for name, keep in self._keep.items():
            parameter = self._parameters[name]
            if keep is None:
                continue
            if parameter.grad is not None and self.optimizers:
                _zero_gradient(self._keep, name, parameter)
            for optimizer in self.optimizers:
                for moment in optimizer.state.get(parameter, {}).values():
                    # Quantised moments are integers, in which the code 0 does not mean the number 0.
                    is_moment = isinstance(moment, Tensor) and moment.shape == parameter.shape
                    if is_moment and moment.is_floating_point():
                        zero_unless(moment, keep.to(moment.device))

    def _notice(self, names: list[str]) -> None:
        """Warn once if pruned weights are not 0 before a step, because then something else has moved them."""
        name = next((name for name in names if self._keep[name] is not None), None)
        if name is None or self._warned:
            return
        keep, weight = self._keep[name], self._parameters[name].detach()
        some = slice(None, None, max(1, len(weight) // ROWS))  # what moves weights moves those of every row
        if keep is not None and ((weight[some] != 0) & ~keep[some].to(weight.device)).any():
            self._warned = True
            warnings.warn(
                f"Pruned weights of {name!r} were not 0 before a step: something other than the optimizer that is held "
                "moves them, such as a second optimizer or one that wraps it.",
                stacklevel=4,
            )


def _zero_gradient(keep: Mapping[str, Tensor | None], name: str, parameter: Tensor) -> None:
    mask, gradient = keep[name], parameter.grad
    if mask is not None and gradient is not None and not gradient.is_sparse:
        zero_unless(gradient, mask.to(gradient.device))
