"""Structured pruning: whole units (neurons, attention heads or blocks) are first masked, and then cut out."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Unpack, cast

import torch
from torch import Tensor, nn

from pruning_course.counts import is_count
from pruning_course.masks import Masks
from pruning_course.models import STRUCTURES, Layout, Units, find_layout, find_units
from pruning_course.pruners.importance import block_influence, block_norms, gate_gradients, unit_norms
from pruning_course.pruners.manager import PrunerOptions, PruningManager
from pruning_course.pruners.unit_masks import choose_units, make_removal, mask_blocks, mask_units
from pruning_course.scores import protect
from pruning_course.selection import keep_globally, keep_per_tensor
from pruning_course.shrink import Removal, shrink

ROLES = {"neuron": "ffn", "head": "attention", "layer": "encoder"}  # the role of the layers that hold the units
IMPORTANCES = {"neuron": ("norm", "gradient"), "head": ("norm", "gradient"), "layer": ("norm", "influence")}


class StructuredPruner(PruningManager):
    """Removes whole units: neurons, attention heads or blocks. `prune()` masks them, then `shrink()` cuts them out.

    Scores, comparisons, `target_sparsity` and `removal` are about units; `masks`, `layers` and `get_sparsity` are about
    the weights and biases that belong to these units.

    Args:
        model: is pruned in place.
        target_sparsity: the share of units to remove: `round(share * count)` of each block, or of the model with
            `global_pruning` and for blocks. If importances are equal, the unit with the higher number is removed first.
        prune_layers: "all", "encoder", or the role that the masks always cover, "ffn" or "attention".
        exclude, inside, include_tied, remember: as in `PruningManager`.
        structure: "neuron" (of an FFN), "head" (an attention head, or a key-value head with its queries), or "layer"
            (a block).
        importance: "norm", the L2 norm of all weights and biases of the unit. "gradient", for neurons and attention
            heads: how much the loss depends on a gate at the unit (`gate_gradients`). "influence", for blocks: how much
            a block turns its input (`block_influence`). The last two need `calibrate` first.
        global_pruning: True compares the units of all blocks with each other, which is always so for blocks.
        min_kept: with `global_pruning`, each block (for blocks: the model) keeps at least this number of units.

    Raises ValueError if the target is outside [0, 1] or leaves fewer than `min_kept` units or no block, an option is
    unknown, `torch.nn.utils.prune` masks a layer, or the model's family is unknown or one that cannot lose such units.
    """

    def __init__(
        self,
        model: nn.Module,
        target_sparsity: float = 0.5,
        prune_layers: str | Sequence[str] = "all",
        structure: str = "neuron",
        importance: str = "norm",
        global_pruning: bool = False,
        min_kept: int = 1,
        **options: Unpack[PrunerOptions],
    ):
        if isinstance(target_sparsity, Mapping):
            raise ValueError("target_sparsity has a share for each layer, but units are pruned by one number.")
        _check_choice("structure", structure, ROLES)
        _check_choice(f"importance for {STRUCTURES[structure]}", importance, IMPORTANCES[structure])
        role = ROLES[structure]
        roles = [*dict.fromkeys(("all", "encoder", role))]
        _check_choice(f"prune_layers for {STRUCTURES[structure]}", prune_layers, roles)
        if not is_count(min_kept, 0):
            raise ValueError(f"min_kept is {min_kept!r}; it must be a whole number of at least 0.")
        if options.get("exclude") and structure == "layer":
            raise ValueError("exclude is for neurons and attention heads; blocks are chosen by their importance.")
        self._inside = options.get("inside")
        self.structure = structure
        self.importance = importance
        self.global_pruning = global_pruning or structure == "layer"
        self.min_kept = min_kept
        super().__init__(model, target_sparsity, role, **options)
        self.importances: dict[str, Tensor] | None = None
        self._kept_units: dict[str, Tensor] = {}  # block (or "layers") to bool (units,); empty before `prune`
        self._last_counts: dict[str, Any] | None = None  # after `shrink`

    def calibrate(self, batches: Iterable[object], num_samples: int = 512) -> "StructuredPruner":
        """Measure the importance of every unit on the first `num_samples` samples of `batches`; return itself.

        `input_norms` describes the batches. For gradients they also hold `labels`, as the model takes them, or are
        pairs of inputs and labels; a causal language model without labels predicts its own input.

        Raises ValueError if the importance needs no data, there are no samples, labels or loss, no real token reaches a
        block, an attention_mask is not (batch, tokens), or `num_samples` is not a whole number of at least 1; TypeError
        if `batches` is not an iterable of batches.
        """
        if self.importance == "norm":
            raise ValueError("importance is 'norm', which is computed from the weights; there is nothing to calibrate.")
        if self.importance == "influence":
            self.importances = {"layers": block_influence(self.model, batches, num_samples, self._inside)}
        else:
            self.importances = gate_gradients(self.model, self._find_units(), batches, num_samples)
        return self

    def scores(self) -> Mapping[str, Tensor]:
        """Return the importance of every unit: name of the block (or "layers") to a float tensor (units,).

        Raises RuntimeError if the importance needs data and `calibrate` has not been called.
        """
        if self.importance == "norm":
            if self.structure == "layer":
                return block_norms(self._layout, self.layers)
            return unit_norms(self.model, self._find_units())
        if self.importances is None:
            raise RuntimeError(f"There is no importance by {self.importance} yet; call calibrate(batches) first.")
        return self.importances

    def draw_importances(self, seed: int = 0) -> dict[str, Tensor]:
        """Return random numbers in the form of `scores`: the control that an importance must beat."""
        units = {"layers": torch.Size([len(self._layout.blocks)])}
        if self.structure != "layer":
            units = {name: torch.Size([group.count]) for name, group in self._find_units().items()}
        dice = torch.Generator().manual_seed(seed)
        return {name: torch.rand(size, generator=dice) for name, size in units.items()}

    def prune(self) -> Masks:
        """Mask the least important units, with their biases, so that the target share is pruned; return the masks.

        Raises RuntimeError if the importance needs data and `calibrate` has not been called, and after `shrink`;
        ValueError if an importance is NaN.
        """
        self._check_not_shrunk("prune")
        self._kept_units = self._select_units(self.scores(), self._kept_units)
        return self._mask(self._make_masks())

    def _make_masks(self) -> dict[str, Tensor]:
        if self.structure == "layer":
            return mask_blocks(self.layers, self._layout, self._kept_units["layers"])
        return mask_units(self.layers, self._find_units(), self._kept_units)

    def _select_units(self, scores: Mapping[str, Tensor], earlier: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if not self.global_pruning:
            return keep_per_tensor(scores, cast(float, self.target_sparsity), earlier)
        protected: dict[str, Tensor] = {}
        for name, score in scores.items():
            protected |= keep_per_tensor({name: score}, max(0, len(score) - self.min_kept) / len(score), earlier)
        return keep_globally(protect(scores, protected), cast(float, self.target_sparsity), earlier)

    @property
    def removal(self) -> Removal:
        """The units that `prune` has masked, and that `shrink` cuts or has cut; empty before `prune`."""
        return make_removal(self.structure, self._kept_units)

    def shrink(self) -> nn.Module:
        """Cut out what `prune` has masked, in place as `pruning_course.shrink` does, and return the model.

        Afterwards there are no masks, no optimizer is held, and `get_sparsity` still reports what was removed.

        Raises RuntimeError before `prune` and if called again; ValueError if blocks are to be removed from a model that
        divides attention scores by the number of the block.
        """
        self._check_not_shrunk("shrink")
        if self.masks is None or not self._kept_units:
            raise RuntimeError("Nothing is pruned yet; call prune() before shrink().")
        pairs = [(self.masks[name], keep) for name, keep in self._make_masks().items()]
        if not all(torch.equal(mask, keep.to(mask.device)) for mask, keep in pairs):
            raise RuntimeError("The masks are no longer those of prune(); call it again before shrink().")
        counts = self.get_sparsity()
        shrink(self.model, self.removal, inside=self._inside)
        self.masks.release()
        self.masks.finalize()
        self.masks, self._last_counts = None, counts
        return self.model

    def get_sparsity(self) -> dict[str, Any]:
        """Count the pruned weights in the masks, also after `shrink`; for the keys see `PruningManager`."""
        return self._last_counts or super().get_sparsity()

    def undo(self) -> None:
        """Put all removed weights back, bit for bit. Raises RuntimeError after `make_pruning_permanent` or `shrink`."""
        self._check_not_shrunk("undo")
        super().undo()
        self._kept_units = {}

    def make_pruning_permanent(self) -> None:
        """Forget the removed weights; the zeros stay. Raises RuntimeError before `prune` and after `shrink`."""
        self._check_not_shrunk("make_pruning_permanent")
        super().make_pruning_permanent()

    @property
    def _layout(self) -> Layout:
        return find_layout(self.model, self._inside)

    def _find_units(self) -> dict[str, Units]:
        """Return the name of each block that has units, with these units; without blocks that are excluded."""
        groups = find_units(self._layout, self.structure)
        return choose_units({f"{self._layout.path}.{group.block}": group for group in groups}, self.layers)

    def _check_share(self, largest: float) -> None:
        self._layout.check_cut(self.structure)
        if not self.global_pruning:
            return
        if self.structure == "layer":
            counts, least = [len(self._layout.blocks)], max(1, self.min_kept)
        else:
            counts, least = [group.count for group in self._find_units().values()], self.min_kept
        total, must_stay = sum(counts), sum(min(least, count) for count in counts)
        removed = round(largest * total)
        if total - removed < must_stay:
            raise ValueError(
                f"target_sparsity {largest} removes {removed} of {total} {STRUCTURES[self.structure]}, "
                f"but {must_stay} must be left (min_kept is {self.min_kept})."
            )

    def _check_not_shrunk(self, call: str) -> None:
        if self._last_counts is not None:
            raise RuntimeError(f"The model is shrunk already, so {call}() is no longer possible.")


def _check_choice(what: str, choice: object, known: Collection[str]) -> None:
    if choice not in known:
        raise ValueError(f"{what} is {choice!r}; it can be {', '.join(map(repr, known))}.")
