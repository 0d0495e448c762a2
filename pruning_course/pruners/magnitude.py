"""Magnitude pruning: the smallest weights go."""

from collections.abc import Mapping

from torch import Tensor, nn

from pruning_course import scores as scoring
from pruning_course.pruners.manager import PruningManager
from pruning_course.selection import keep_globally, keep_per_tensor


class MagnitudePruner(PruningManager):
    """Remove the weights of smallest abs(w).

    Args:
        global_pruning: True compares all chosen layers with each other; False takes the same share of each.
        max_layer_sparsity: with `global_pruning`, no layer loses more than this share. Without a limit a layer of small
            weights can vanish as a whole (layer collapse).

    Other arguments, and what is raised, as `PruningManager`; ValueError for a limit below the target.
    """

    def __init__(
        self,
        model: nn.Module,
        target_sparsity: float = 0.5,
        prune_layers: str = "all",
        global_pruning: bool = True,
        max_layer_sparsity: float = 1.0,
    ):
        super().__init__(model, target_sparsity, prune_layers)
        if not target_sparsity <= max_layer_sparsity <= 1:
            raise ValueError(
                f"max_layer_sparsity is {max_layer_sparsity}; it must lie between the target {target_sparsity} and 1."
            )
        self.global_pruning = global_pruning
        self.max_layer_sparsity = max_layer_sparsity

    def select(self, scores: Mapping[str, Tensor], sparsity: float) -> dict[str, Tensor]:
        if not self.global_pruning:
            return keep_per_tensor(scores, sparsity)
        if self.max_layer_sparsity < 1:
            scores = scoring.protect(scores, keep_per_tensor(scores, self.max_layer_sparsity))
        return keep_globally(scores, sparsity)
