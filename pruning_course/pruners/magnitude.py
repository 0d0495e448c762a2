"""Magnitude pruning: remove the smallest weights."""

import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Unpack

from torch import Tensor, nn

from pruning_course.masks import Masks
from pruning_course.models import shorten
from pruning_course.pruners.groups import keep_in_groups, refuse_convolutions
from pruning_course.pruners.manager import PrunerOptions, PruningManager, Select
from pruning_course.scores import protect
from pruning_course.selection import keep_globally, keep_per_tensor


class MagnitudePruner(PruningManager):
    """Removes the weights of smallest abs(w).

    Args:
        model, target_sparsity, prune_layers, and other options: as in `PruningManager`.
        global_pruning: True compares all chosen layers with each other; False removes the same share of each. None
            means True, unless `group` is given or the target has a share for each layer.
        group: None, or "row": weights are compared with those of the same output only, as `WandaPruner` does.
        max_layer_sparsity: with `global_pruning`, no layer loses more than this share. Without a limit, a layer of
            small weights can be removed completely (layer collapse).

    Warns if a layer loses all its weights. Raises ValueError if not 0 <= target <= limit <= 1, `global_pruning` is True
    with a group or with a share for each layer, the group is unknown or meant for a convolution, two patterns give a
    layer different shares or one matches nothing, `prune_layers` is unknown or needs a known family, no layer is
    chosen, or `torch.nn.utils.prune` masks one.
    """

    def __init__(
        self,
        model: nn.Module,
        target_sparsity: float | Mapping[str, float] = 0.5,
        prune_layers: str | Sequence[str] = "all",
        global_pruning: bool | None = None,
        max_layer_sparsity: float = 1.0,
        group: str | None = None,
        **options: Unpack[PrunerOptions],
    ):
        each = isinstance(target_sparsity, Mapping)
        if group not in (None, "row"):
            raise ValueError(f"group is {group!r}; it can be None or 'row'.")
        if global_pruning and (each or group):
            why = f"group is {group!r}" if group else "target_sparsity has a share for each layer"
            raise ValueError(f"{why}, so global_pruning cannot be True.")
        self._most = max_layer_sparsity
        is_global = global_pruning or (global_pruning is None and not each and not group)
        select = _limit(max_layer_sparsity) if is_global else keep_per_tensor
        super().__init__(model, target_sparsity, prune_layers, select=select, **options)
        if group:
            refuse_convolutions(self.layers, "group='row'")
            self._select = partial(keep_in_groups, self.layers, group)

    def _check_share(self, largest: float) -> None:
        if not largest <= self._most <= 1:
            raise ValueError(f"max_layer_sparsity is {self._most}; it must be between the target {largest} and 1.")

    def _mask(self, keep: Mapping[str, Tensor]) -> Masks:
        masks = super()._mask(keep)
        empty = [name for name in keep if not masks[name].any() and self._shares[name] < 1]
        if empty:
            warnings.warn(
                f"{shorten(empty)} lost all weights, so no output of such a layer depends on its input; "
                "max_layer_sparsity or global_pruning=False prevents this.",
                stacklevel=4,
            )
        return masks


def _limit(most: float) -> Select:
    """Return the global selection in which no tensor loses more than the share `most`."""

    def select(scores: Mapping[str, Tensor], sparsity: float, among: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
        return keep_globally(protect(scores, keep_per_tensor(scores, most, among)), sparsity, among)

    return select if most < 1 else keep_globally
