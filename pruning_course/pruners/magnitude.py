"""Magnitude pruning: remove the smallest weights."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Unpack

from torch import Tensor, nn

from pruning_course.masks import Masks
from pruning_course.models import shorten
from pruning_course.pruners.manager import PrunerOptions, PruningManager, Select
from pruning_course.scores import protect
from pruning_course.selection import keep_globally, keep_per_tensor


class MagnitudePruner(PruningManager):
    """Removes the weights of smallest abs(w).

    Args:
        model, target_sparsity, prune_layers, and other options: as in `PruningManager`.
        global_pruning: True compares all chosen layers with each other; False removes the same share of each. None
            means True, unless the target has a share for each layer.
        max_layer_sparsity: with `global_pruning`, no layer loses more than this share. Without a limit, a layer of
            small weights can be removed completely (layer collapse).

    Warns if a layer loses all its weights. Raises ValueError if not 0 <= target <= limit <= 1, `global_pruning` is True
    with a share for each layer, two patterns give a layer different shares or one matches nothing, `prune_layers` is
    unknown or needs a known family, no layer is chosen, or `torch.nn.utils.prune` masks one.
    """

    def __init__(
        self,
        model: nn.Module,
        target_sparsity: float | Mapping[str, float] = 0.5,
        prune_layers: str | Sequence[str] = "all",
        global_pruning: bool | None = None,
        max_layer_sparsity: float = 1.0,
        **options: Unpack[PrunerOptions],
    ):
        each = isinstance(target_sparsity, Mapping)
        if each and global_pruning:
            raise ValueError("target_sparsity has a share for each layer, so global_pruning cannot be True.")
        select = (
            _limit(max_layer_sparsity) if global_pruning or (global_pruning is None and not each) else keep_per_tensor
        )
        self._most = max_layer_sparsity
        super().__init__(model, target_sparsity, prune_layers, select=select, **options)

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
