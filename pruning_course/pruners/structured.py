"""Structured pruning: whole neurons, heads or layers go, first behind a mask, then for good."""

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from pruning_course import scores as scoring
from pruning_course.counts import is_count
from pruning_course.masks import Masks
from pruning_course.models import find_layout, find_units
from pruning_course.pruners import importance as measures
from pruning_course.pruners.manager import PruningManager
from pruning_course.pruners.unit_masks import mask_blocks, mask_units
from pruning_course.selection import keep_globally, keep_per_tensor
from pruning_course.shrink import Removal, shrink

PARTS = {"neuron": "ffn", "head": "attention", "layer": "encoder"}  # what `prunable_layers` calls what holds them
IMPORTANCES = {"neuron": ("norm", "gradient"), "head": ("norm", "gradient"), "layer": ("norm", "influence")}


class StructuredPruner(PruningManager):
    """Remove whole neurons, heads or layers. `prune()` masks them, `shrink()` then cuts them out.

    Args:
        target_sparsity: the share of the neurons, heads or layers to remove: `round(share * count)` of each block, or
            of the model with `global_pruning` and for layers. Among equals, those with lower numbers are kept.
        prune_layers: which layers they may be taken from: "all", "encoder", or the part that holds them ("ffn" for
            neurons, "attention" for heads). The masks, and `.layers`, are those of the part that holds them.
        structure: "neuron" (of an FFN), "head" (under grouped-query attention, a key-value head with its queries) or
            "layer" (a block).
        importance: "norm", the L2 norm of all weights and biases that belong to the unit; needs no data. "gradient" for
            neurons and heads: how much the loss feels a gate on the unit (`gate_gradients`). "influence" for layers:
            how much a block turns what passes through it (`block_influence`). The last two need `calibrate` first.
        global_pruning: True compares the units of all blocks with each other. For layers there is nothing else.
        min_kept: with `global_pruning`, so many units are left in each block (layers: in the model) at least.

    Attributes: `removal`, what `prune` masked; and those of `PruningManager`, where `target_sparsity` counts units.

    Raises ValueError as `PruningManager`; for a model of no known family; an unknown structure or importance, one that
    the structure does not have; a part without such units; a target that leaves no layer, or fewer than `min_kept`.
    """

    def __init__(
        self,
        model: nn.Module,
        target_sparsity: float = 0.5,
        prune_layers: str = "all",
        structure: str = "neuron",
        importance: str = "norm",
        global_pruning: bool = False,
        min_kept: int = 1,
    ):
        _check_choice("structure", structure, PARTS)
        _check_choice(f"importance for {structure}s", importance, IMPORTANCES[structure])
        part = PARTS[structure]
        if prune_layers not in ("all", "encoder", part):
            raise ValueError(
                f"prune_layers is {prune_layers!r}, which has no {structure}s; for {structure}s it can be "
                f"{', '.join(repr(name) for name in dict.fromkeys(('all', 'encoder', part)))}."
            )
        if not is_count(min_kept, 0):
            raise ValueError(f"min_kept is {min_kept!r}; it is a whole number, at least 0.")
        super().__init__(model, target_sparsity, part)
        self.structure = structure
        self.importance = importance
        self.global_pruning = global_pruning or structure == "layer"
        self.min_kept = min_kept
        self.importances: dict[str, Tensor] | None = None
        self._kept: dict[str, Tensor] | None = None
        self._last_counts: dict | None = None  # after `shrink`
        self._check_target()

    def calibrate(self, batches: Iterable, num_samples: int = 512) -> "StructuredPruner":
        """Measure the importance of every unit on the first `num_samples` samples of `batches`.

        What a batch can be, and what is raised, as `input_norms`. Gradients need a loss, so those batches hold `labels`
        as the model takes them (or are pairs of inputs and labels); a causal language model without labels learns to
        predict its own input. ValueError where there is no loss, or the importance needs no data. Returns itself.
        """
        if self.importance == "norm":
            raise ValueError("importance is 'norm', which is read off the weights; there is nothing to calibrate.")
        if self.importance == "influence":
            self.importances = {"layers": measures.block_influence(self.model, batches, num_samples)}
        else:
            self.importances = measures.gate_gradients(self.model, self._units(), batches, num_samples)
        return self

    def scores(self) -> Mapping[str, Tensor]:
        """The importance of every unit: block (or "layers") to float (units,). RuntimeError where data are missing."""
        if self.importance == "norm":
            if self.structure == "layer":
                return measures.block_norms(find_layout(self.model), self.layers)
            return measures.unit_norms(self.model, self._units())
        if self.importances is None:
            raise RuntimeError(f"There is no importance by {self.importance} yet; call calibrate(batches) first.")
        return self.importances

    def _choose(self, scores: Mapping[str, Tensor], sparsity: float) -> dict[str, Tensor]:
        if not self.global_pruning:
            return keep_per_tensor(scores, sparsity)
        self._check_target()
        floor = {}
        for name, score in scores.items():
            share = max(0, len(score) - self.min_kept) / len(score)
            floor |= keep_per_tensor({name: score}, share)
        return keep_globally(scoring.protect(scores, floor), sparsity)

    def prune(self) -> Masks:
        """Mask the units of least importance, biases included, at the target share; returns the masks.

        Earlier calls are included. RuntimeError without the data that the importance needs, or after `shrink`.
        """
        self._check_not_shrunk("prune")
        scores = self.scores()
        self._kept = self._choose(scoring.survivors(scores, self._kept or {}), self.target_sparsity)
        keep = self._masks()
        self.masks = self.masks.restrict(keep) if self.masks else Masks.apply(self.model, keep)
        return self.masks

    @property
    def removal(self) -> Removal:
        """What `prune` masked, and `shrink` cuts or has cut; nothing before `prune`."""
        gone = {name: (~kept).nonzero().flatten().tolist() for name, kept in (self._kept or {}).items()}
        if self.structure == "layer":
            return Removal(layers=gone.get("layers", ()))
        by_block = {int(name.rpartition(".")[2]): numbers for name, numbers in gone.items()}
        return Removal(**{f"{self.structure}s": by_block})

    def shrink(self) -> nn.Module:
        """Cut out for good what `prune` masked; returns the model, changed in place as `pruning_course.shrink` says.

        The masks and their hold end here, and `get_sparsity` goes on reporting what was removed. RuntimeError before
        `prune`, and the second time.
        """
        self._check_not_shrunk("shrink")
        if self.masks is None:
            raise RuntimeError("Nothing is pruned yet; call prune() before shrink().")
        counts = self.get_sparsity()
        shrink(self.model, self.removal)
        self.masks.release()
        self.masks, self._last_counts = None, counts
        return self.model

    def get_sparsity(self) -> dict:
        return self._last_counts or super().get_sparsity()

    def undo(self) -> None:
        """Put every removed weight back, bit for bit. RuntimeError after `make_pruning_permanent` or `shrink`."""
        self._check_not_shrunk("undo")
        super().undo()
        self._kept = None

    def make_pruning_permanent(self) -> None:
        self._check_not_shrunk("make_pruning_permanent")
        super().make_pruning_permanent()

    def _units(self) -> dict:
        """Block name to its units, where it has any."""
        layout = find_layout(self.model)
        return {f"{layout.path}.{group.block}": group for group in find_units(layout, self.structure) if group.count}

    def _masks(self) -> dict[str, Tensor]:
        if self.structure != "layer":
            return mask_units(self.layers, self._units(), self._kept)
        return mask_blocks(self.layers, find_layout(self.model), self._kept["layers"])

    def _check_target(self) -> None:
        if not self.global_pruning:
            return
        if self.structure == "layer":
            counts, least = [len(find_layout(self.model).blocks)], max(1, self.min_kept)
        else:
            counts, least = [group.count for group in self._units().values()], self.min_kept
        total, floor = sum(counts), sum(min(least, count) for count in counts)
        gone = round(self.target_sparsity * total)
        if total - gone < floor:
            raise ValueError(
                f"target_sparsity {self.target_sparsity} removes {gone} of {total} {self.structure}s, but {floor} must "
                f"be left (min_kept is {self.min_kept})."
            )

    def _check_not_shrunk(self, call: str) -> None:
        if self._last_counts is not None:
            raise RuntimeError(f"The model is shrunk, what was removed is gone: {call}() is no longer possible.")


def _check_choice(what: str, given: str, known: Iterable[str]) -> None:
    if given not in known:
        raise ValueError(f"{what} is {given!r}; it can be {', '.join(map(repr, known))}.")
