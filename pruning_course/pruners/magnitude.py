"""Magnitude pruning: remove the smallest weights."""

from collections.abc import Mapping

from torch import Tensor, nn

from pruning_course.pruners.manager import PruningManager, Select
from pruning_course.scores import protect
from pruning_course.selection import keep_globally, keep_per_tensor


class MagnitudePruner(PruningManager):
    """Removes the weights of smallest abs(w).

    Args:
        model, target_sparsity, prune_layers: as in `PruningManager`.
        global_pruning: True compares all chosen layers with each other; False removes the same share of each.
        max_layer_sparsity: with `global_pruning`, no layer loses more than this share. Without a limit, a layer of
            small weights can be removed completely (layer collapse).

    Raises ValueError if not 0 <= target <= limit <= 1, `prune_layers` is unknown or needs a known family, no layer is
    chosen, or `torch.nn.utils.prune` masks one.
    """

    def __init__(
        self,
        model: nn.Module,
        target_sparsity: float = 0.5,
        prune_layers: str = "all",
        global_pruning: bool = True,
        max_layer_sparsity: float = 1.0,
    ):
        select = _limit(max_layer_sparsity) if global_pruning else keep_per_tensor
        super().__init__(model, target_sparsity, prune_layers, select=select)
        if not target_sparsity <= max_layer_sparsity <= 1:
            raise ValueError(
                f"max_layer_sparsity is {max_layer_sparsity}; it must be between the target {target_sparsity} and 1."
            )


def _limit(most: float) -> Select:
    """Return the global selection in which no tensor loses more than the share `most`."""

    def select(scores: Mapping[str, Tensor], sparsity: float, among: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
        return keep_globally(protect(scores, keep_per_tensor(scores, most, among)), sparsity, among)

    return select if most < 1 else keep_globally
