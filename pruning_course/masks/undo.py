"""What masks have removed, kept so that it can be put back bit for bit."""

from torch import Tensor

from pruning_course.masks.bits import values_at


class Removed:
    """The values that stood where weights are pruned now: for each name one flat tensor, in the order of the weight."""

    def __init__(self) -> None:
        self._values: dict[str, Tensor] = {}

    def remember(self, name: str, weight: Tensor, keep: Tensor | None, new: Tensor) -> None:
        """Keep what `new` prunes of `weight`, which is pruned where `keep` is False already (None: nowhere)."""
        self._values[name] = values_at(self.restore(name, weight, keep), ~new)

    def restore(self, name: str, weight: Tensor, keep: Tensor | None) -> Tensor:
        """The weight as it would be now had nothing been pruned: the weight itself, or a copy."""
        values = self._values.get(name)
        if keep is None or values is None or values.numel() == 0:
            return weight
        return weight.masked_scatter(~keep, values.to(weight))

    def forget(self) -> None:
        """Keep nothing any more."""
        self._values.clear()
