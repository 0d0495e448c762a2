"""What every pruner has: layers, masks, counts, a score and a comparison."""

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from pruning_course.masks import Masks
from pruning_course.models import prunable_layers
from pruning_course.scores import Scores, magnitude, survivors
from pruning_course.selection import keep_globally

Score = Callable[[Mapping[str, nn.Module]], Scores]  # layers to importances, each in the shape of its weight
Select = Callable[[Mapping[str, Tensor], float], dict[str, Tensor]]  # scores and sparsity to keep masks


class PruningManager:
    """A model, a score, a comparison: `prune()` masks what scores lowest. By itself it is magnitude, globally.

    Args:
        model: pruned in place.
        target_sparsity: the share of the weights of the chosen layers to remove in all, from 0 to 1.
        prune_layers: "all", "attention", "ffn" or "encoder"; see `prunable_layers`.
        score: layers to scores, such as `magnitude`.
        select: scores and sparsity to keep masks, such as `keep_globally`.

    Attributes: `layers` (name to module), `masks` (None before `prune`).

    Raises:
        ValueError: an unknown part, a part of an unknown family, no such layer, or a sparsity outside [0, 1].
    """

    def __init__(
        self,
        model: nn.Module,
        target_sparsity: float = 0.5,
        prune_layers: str = "all",
        *,
        score: Score = magnitude,
        select: Select = keep_globally,
    ):
        if not 0 <= target_sparsity <= 1:
            raise ValueError(
                f"target_sparsity is {target_sparsity}; it is the share of weights to remove, from 0 to 1."
            )
        self.model = model
        self.target_sparsity = target_sparsity
        self.layers = prunable_layers(model, prune_layers)
        self.masks: Masks | None = None
        self._score, self._select = score, select

    def scores(self) -> Mapping[str, Tensor]:
        """Layer name to importances in the shape of its weight."""
        return self._score(self.layers)

    def prune(self) -> Masks:
        """Mask the model at the target sparsity, earlier calls included; returns the masks, as `.masks` does."""
        return self._restrict(self.target_sparsity)

    def _restrict(self, sparsity: float) -> Masks:
        # A share of the original count, read off the masks: no sum of increments, so no rounding that adds up.
        if self.masks is None:
            self.masks = Masks.apply(self.model, self._select(self.scores(), sparsity))
        else:
            self.masks.restrict(self._select(survivors(self.scores(), self.masks), sparsity))
        return self.masks

    def get_sparsity(self) -> dict:
        """Counts of the masks of the chosen layers, and of no others.

        `overall` (share), `per_layer` (name to share), `zero_params`, `nonzero_params`, `total_params` (weights).
        """
        total = {name: layer.weight.numel() for name, layer in self.layers.items()}
        kept = {name: int(self.masks[name].count_nonzero()) for name in total} if self.masks else total
        return {
            "overall": 1 - sum(kept.values()) / sum(total.values()),
            "per_layer": {name: 1 - kept[name] / total[name] for name in total},
            "zero_params": sum(total.values()) - sum(kept.values()),
            "nonzero_params": sum(kept.values()),
            "total_params": sum(total.values()),
        }

    def undo(self) -> None:
        """Put every removed weight back, bit for bit. RuntimeError after `make_pruning_permanent`."""
        if self.masks is not None:
            self.masks.undo()
            self.masks = None

    def make_pruning_permanent(self) -> None:
        """Forget the removed weights; the zeros stay, and `get_sparsity` goes on counting them.

        RuntimeError when nothing is pruned yet.
        """
        if self.masks is None:
            raise RuntimeError("Nothing is pruned yet; call prune() first.")
        self.masks.finalize()
