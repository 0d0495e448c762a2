"""Magnitude pruning: the smallest weights go."""

from collections.abc import Mapping

from torch import Tensor, nn

from pruning_course.pruners.manager import PruningManager, Select
from pruning_course.scores import protect
from pruning_course.selection import keep_globally, keep_per_tensor


class MagnitudePruner(PruningManager):
    """Remove the weights of smallest abs(w).

    Args:
        model: pruned in place.
        target_sparsity: the share of the weights of the chosen layers to remove in all, from 0 to 1.
        prune_layers: "all", "attention", "ffn" or "encoder"; see `prunable_layers`.
        global_pruning: True compares all chosen layers with each other; False takes the same share of each.
        max_layer_sparsity: with `global_pruning`, no layer loses more than this share. Without a limit a layer of small
            weights can vanish as a whole (layer collapse).

    Raises:
        ValueError: what `PruningManager` refuses, or a limit below the target.
    """

    def __init__(
        self,
        model: nn.Module,
        target_sparsity: float = 0.5,
        prune_layers: str = "all",
        global_pruning: bool = True,
        max_layer_sparsity: float = 1.0,
    ):
        select = _guard(max_layer_sparsity) if global_pruning else keep_per_tensor
        super().__init__(model, target_sparsity, prune_layers, select=select)
        if not target_sparsity <= max_layer_sparsity <= 1:
            raise ValueError(
                f"max_layer_sparsity is {max_layer_sparsity}; it must lie between the target {target_sparsity} and 1."
            )


def _guard(most: float) -> Select:
    """The global comparison in which no tensor loses more than the share `most`."""

    def select(scores: Mapping[str, Tensor], sparsity: float) -> dict[str, Tensor]:
        return keep_globally(protect(scores, keep_per_tensor(scores, most)), sparsity)

    return select if most < 1 else keep_globally
