"""Keep pruned weights at zero while an optimizer trains."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from pruning_course.masks.bits import zero_unless


class Hold:
    """Sets pruned weights, and the optimizer's moments at the same places, to 0 after each step of an optimizer.

    A gradient of 0 would not be enough, because earlier momentum and weight decay move a weight without a gradient.

    Args:
        keep: name to mask (bool, True = kept), or None if nothing is pruned; read at every step, so it may change.
        owners: the same names to (module, attribute).
    """

    def __init__(self, keep: Mapping[str, Tensor | None], owners: Mapping[str, tuple[nn.Module, str]]):
        # Not the Masks object itself: the two would keep each other, and the removed values, in memory.
        self._keep, self._owners = keep, owners
        self._hooks: list[RemovableHandle] = []

    def start(self, optimizer: torch.optim.Optimizer) -> None:
        """Hold from the next step of `optimizer` on. Raises ValueError if it trains none of the masked weights."""
        trained = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        if not any(id(getattr(*owner)) in trained for owner in self._owners.values()):
            raise ValueError("The optimizer trains none of the masked weights, so there is nothing to hold.")
        self._hooks.append(optimizer.register_step_post_hook(lambda stepped, *_: self._after_step(stepped)))

    def end(self) -> None:
        """Stop holding, for all optimizers."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def zero_weights(self) -> None:
        """Set pruned weights to 0.0 again, after something has changed the weights."""
        for parameter, keep in self._pruned():
            zero_unless(parameter, keep)

    def _after_step(self, optimizer: torch.optim.Optimizer) -> None:
        for parameter, keep in self._pruned():
            zero_unless(parameter, keep)
            for moment in optimizer.state.get(parameter, {}).values():
                if isinstance(moment, Tensor) and moment.shape == parameter.shape:
                    zero_unless(moment, keep)

    def _pruned(self) -> Iterator[tuple[nn.Parameter, Tensor]]:
        for name, keep in self._keep.items():
            if keep is not None:
                parameter = getattr(*self._owners[name])
                yield parameter, keep.to(parameter.device)  # the model may have moved to another device
