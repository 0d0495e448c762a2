"""What all pruners share: layers, masks, counts, a score and a selection."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, TypedDict, Unpack

from torch import Tensor, nn

from pruning_course.masks import Masks, warn_unless
from pruning_course.models import check_visible, find_left_out, prunable_layers, shorten, weight_of
from pruning_course.scores import Scores, magnitude
from pruning_course.selection import keep_globally

UNKNOWN = ("expert", "packed", "not a layer that is known")  # reasons to leave out what is no choice of the caller

Score = Callable[[Mapping[str, nn.Module]], Scores]  # layers -> scores, each in the shape of its weight
Select = Callable[  # scores, sparsity, earlier keep masks -> keep masks
    [Mapping[str, Tensor], float, Mapping[str, Tensor] | None], dict[str, Tensor]
]


class PrunerOptions(TypedDict, total=False):
    """Options of every pruner: `exclude`, `inside` and `include_tied` as in `prunable_layers`, and `remember`."""

    exclude: Sequence[str]
    inside: str | None
    include_tied: bool
    remember: bool


class PruningManager:
    """Masks the weights of a model with the lowest scores; without other arguments, those of smallest abs(w) globally.

    Args:
        model: is pruned in place.
        target_sparsity: the share of the weights of the chosen layers to remove in total, from 0 to 1; or a dict from
            patterns for names to the share of each layer that matches, such as {"*.q_proj": 0.7}. Layers that no
            pattern matches keep all their weights.
        prune_layers: "all", "attention", "ffn", "encoder" or a list of patterns; see `prunable_layers`.
        score: a function from layers to scores, such as `magnitude`.
        select: a function from scores, a sparsity and earlier keep masks (or None) to keep masks, such as
            `keep_globally`.
        exclude, inside, include_tied: as in `prunable_layers`.
        remember: keep the removed values for `undo`; False saves their memory.

    Attributes: `layers` (name to module), `masks` (None before `prune`).

    Raises ValueError if a share is outside [0, 1], two patterns give a layer different shares or one matches nothing,
    `prune_layers` is unknown or needs a known family, no layer is chosen, or `torch.nn.utils.prune` masks one.
    """

    def __init__(
        self,
        model: nn.Module,
        target_sparsity: float | Mapping[str, float] = 0.5,
        prune_layers: str | Sequence[str] = "all",
        *,
        score: Score = magnitude,
        select: Select = keep_globally,
        **options: Unpack[PrunerOptions],
    ):
        for name in set(options) - set(PrunerOptions.__annotations__):
            raise TypeError(f"{type(self).__name__}() got an unexpected keyword argument {name!r}")
        check_visible(model)
        self.model = model
        self.layers = prunable_layers(
            model,
            prune_layers,
            options.get("include_tied", False),
            options.get("exclude", ()),
            options.get("inside"),
        )
        if prune_layers == "all":
            _warn_of_reach(model, self.layers)
        self.target_sparsity = target_sparsity
        self._shares = _share_layers(self.layers, target_sparsity)
        self.layers = {name: self.layers[name] for name in self._shares}
        self._masks: Masks | None = None
        self._score, self._select, self._remember = score, select, options.get("remember", True)

    @property
    def masks(self) -> Masks | None:
        """The masks, or None before `prune`; optimizers that the old masks hold are held by masks that are set."""
        return self._masks

    @masks.setter
    def masks(self, masks: Masks | None) -> None:
        held = self._masks.release() if self._masks is not None and self._masks is not masks else []
        self._masks = masks
        if masks is not None:
            for optimizer in held:
                masks.hold(optimizer)

    def scores(self) -> Mapping[str, Tensor]:
        """Return the scores: layer name to a tensor in the shape of the layer's weight."""
        return self._score(self.layers)

    def prune(self) -> Masks:
        """Mask the model so that its sparsity, earlier calls included, is the target; return the masks, as in `.masks`.

        Raises ValueError if a score is NaN.
        """
        return self._restrict(None)

    def _restrict(self, sparsity: float | None) -> Masks:
        # The share is one of the original count, not a sum of increments, so that rounding errors do not add up.
        return self._mask(self._keep(self.scores(), sparsity))

    def _keep(self, scores: Mapping[str, Tensor], sparsity: float | None = None) -> dict[str, Tensor]:
        """Select by `scores`; without a sparsity, the target is reached, which may be a share for each layer."""
        if sparsity is None and not isinstance(self.target_sparsity, Mapping):
            sparsity = self.target_sparsity
        if sparsity is not None:
            return self._select(scores, sparsity, self.masks)
        keep: dict[str, Tensor] = {}
        for name in scores:
            keep |= self._select({name: scores[name]}, self._shares[name], self.masks)
        return keep

    def _mask(self, keep: Mapping[str, Tensor]) -> Masks:
        if self.masks is None:
            self.masks = Masks.apply(self.model, keep, self._remember)
            return self.masks
        return self.masks.restrict(keep)

    def get_sparsity(self) -> dict[str, Any]:
        """Count the pruned weights in the masks of the chosen layers; warn if the masks no longer fit the model.

        The keys are `overall` (a share), `per_layer` (name to share), and the counts of weights `zero_params`,
        `nonzero_params` and `total_params`.
        """
        if self.masks is not None:
            warn_unless(self.masks.check(), self.model)
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


def _share_layers(layers: Mapping[str, nn.Module], target: float | Mapping[str, float]) -> dict[str, float]:
    """Return the share to remove of each layer; with patterns, only of layers that one of them matches."""
    shares: dict[str, float] = {}
    for pattern, share in (target if isinstance(target, Mapping) else {"*": target}).items():
        if not 0 <= share <= 1:
            raise ValueError(f"target_sparsity is {target}; a share must be between 0 and 1.")
        names = [name for name in layers if fnmatchcase(name, pattern)]
        if not names:
            raise ValueError(
                f"The pattern {pattern!r} in target_sparsity matches no layer, only {shorten(layers)} exist."
            )
        for name in names:
            if shares.setdefault(name, share) != share:
                raise ValueError(
                    f"Two patterns of target_sparsity match {name}, with the shares {shares[name]}, {share}."
                )
    return {name: shares[name] for name in layers if name in shares}


def _warn_of_reach(model: nn.Module, layers: Mapping[str, nn.Module]) -> None:
    """Warn if "all" reaches less than half of the weights that are neither embeddings nor adapters nor tied to them."""
    left_out = find_left_out(model, map(weight_of, layers.values()))
    unknown = {name: share for name, (share, reason) in left_out.items() if reason in UNKNOWN}
    reached = sum(weight_of(layer).numel() for layer in layers.values()) / sum(p.numel() for p in model.parameters())
    if reached < sum(unknown.values()):
        share = reached / (reached + sum(unknown.values()))
        warnings.warn(
            f"'all' reaches {share:.0%} of the weights of {type(model).__name__} besides embeddings; it leaves out "
            f"{shorten(unknown)}. sparsity_report(model, masks).left_out says why.",
            stacklevel=4,
        )
