"""The weights that masks have removed, kept so that they can be put back bit for bit."""

from torch import Tensor

from pruning_course.masks.bits import put_values, values_at


class Removed:
    """The earlier values of the weights that are pruned: for each name one flat tensor, in the order of the weight."""

    def __init__(self) -> None:
        self._values: dict[str, Tensor] = {}

    def remember(self, name: str, weight: Tensor, keep: Tensor | None, new: Tensor) -> None:
        """Remember what the mask `new` removes; `weight` is pruned already where `keep` is False (None: nowhere)."""
        self._values[name] = values_at(self.restore(name, weight, keep), ~new)

    def restore(self, name: str, weight: Tensor, keep: Tensor | None) -> Tensor:
        """Return the weight with its removed values: the weight itself if none were removed, otherwise a copy."""
        values = self._values.get(name)
        if keep is None or values is None or values.numel() == 0:
            return weight
        return put_values(weight, ~keep, values)

    def forget(self) -> None:
        """Drop all values."""
        self._values.clear()
