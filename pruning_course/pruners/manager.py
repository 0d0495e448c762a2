"""What all pruners share: layers, masks, counts, a score and a selection."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from pruning_course.masks import Masks
from pruning_course.models import prunable_layers, weight_of
from pruning_course.scores import Scores, magnitude
from pruning_course.selection import keep_globally

Score = Callable[[Mapping[str, nn.Module]], Scores]  # layers -> scores, each in the shape of its weight
Select = Callable[  # scores, sparsity, earlier keep masks -> keep masks
    [Mapping[str, Tensor], float, Mapping[str, Tensor] | None], dict[str, Tensor]
]


class PruningManager:
    """Masks the weights of a model with the lowest scores; without other arguments, those of smallest abs(w) globally.

    Args:
        model: is pruned in place.
        target_sparsity: the share of the weights of the chosen layers to remove in total, from 0 to 1.
        prune_layers: "all", "attention", "ffn" or "encoder"; see `prunable_layers`.
        score: a function from layers to scores, such as `magnitude`.
        select: a function from scores, a sparsity and earlier keep masks (or None) to keep masks, such as
            `keep_globally`.

    Attributes: `layers` (name to module), `masks` (None before `prune`).

    Raises ValueError if the target is outside [0, 1], `prune_layers` is unknown or needs a known family, no layer is
    chosen, or `torch.nn.utils.prune` masks one.
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
            raise ValueError(f"target_sparsity is {target_sparsity}; it must be between 0 and 1.")
        self.model = model
        self.target_sparsity = target_sparsity
        self.layers = prunable_layers(model, prune_layers)
        self.masks: Masks | None = None
        self._score, self._select = score, select

    def scores(self) -> Mapping[str, Tensor]:
        """Return the scores: layer name to a tensor in the shape of the layer's weight."""
        return self._score(self.layers)

    def prune(self) -> Masks:
        """Mask the model so that its sparsity, earlier calls included, is the target; return the masks, as in `.masks`.

        Raises ValueError if a score is NaN.
        """
        return self._restrict(self.target_sparsity)

    def _restrict(self, sparsity: float) -> Masks:
        # The share is one of the original count, not a sum of increments, so that rounding errors do not add up.
        return self._mask(self._select(self.scores(), sparsity, self.masks))

    def _mask(self, keep: Mapping[str, Tensor]) -> Masks:
        self.masks = self.masks.restrict(keep) if self.masks else Masks.apply(self.model, keep)
        return self.masks

    def get_sparsity(self) -> dict[str, Any]:
        """Count the pruned weights in the masks of the chosen layers.

        The keys are `overall` (a share), `per_layer` (name to share), and the counts of weights `zero_params`,
        `nonzero_params` and `total_params`.
        """
        total = {name: weight_of(layer).numel() for name, layer in self.layers.items()}
        kept = {name: int(self.masks[name].count_nonzero()) for name in total} if self.masks else total
        return {
            "overall": 1 - sum(kept.values()) / sum(total.values()),
            "per_layer": {name: 1 - kept[name] / total[name] for name in total},
            "zero_params": sum(total.values()) - sum(kept.values()),
            "nonzero_params": sum(kept.values()),
            "total_params": sum(total.values()),
        }

    def undo(self) -> None:
        """Put every removed weight back, bit for bit. Raises RuntimeError after `make_pruning_permanent`."""
        if self.masks is not None:
            self.masks.undo()
            self.masks = None

    def make_pruning_permanent(self) -> None:
        """Forget the removed weights; the zeros stay, and `get_sparsity` still counts them.

        Raises RuntimeError if nothing is pruned yet.
        """
        if self.masks is None:
            raise RuntimeError("Nothing is pruned yet; call prune() first.")
        self.masks.finalize()
