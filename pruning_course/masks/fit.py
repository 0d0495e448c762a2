"""Whether masks still fit their model: pruned weights that are not 0 any more, and layers that were replaced."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Fit:
    """What `Masks.check` has found; empty if the masks still fit."""

    revived: Mapping[str, int]  # name to the number of pruned weights that are not 0
    lost: tuple[str, ...]  # names whose Parameter is no longer a part of the model

    def __bool__(self) -> bool:
        return not (self.revived or self.lost)

    def __str__(self) -> str:
        count, first = sum(self.revived.values()), next(iter(self.revived), "")
        revived = f"{count:,} pruned weights are not 0, for example in {first!r}; masks.reapply() sets them to 0"
        lost = f"the model no longer has the weights that were masked as {', '.join(map(repr, self.lost[:6]))}"
        return "; ".join(([revived] if self.revived else []) + ([lost] if self.lost else [])) or "the masks fit"


def warn_unless(fit: Fit, model: nn.Module, stacklevel: int = 3) -> None:
    """Warn if the masks of `model` no longer fit it, because what they count is then not true of its weights."""
    if not fit:
        warnings.warn(f"The masks of {type(model).__name__} no longer fit it: {fit}.", stacklevel=stacklevel)
