"""Wanda: the importance of a weight is its size times the size of the inputs that it multiplies."""

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Unpack

from torch import Tensor, nn
from tqdm.auto import tqdm

from pruning_course.calibration import Batch, InputNorms, InputSums, input_norms, take_samples
from pruning_course.counts import is_count
from pruning_course.masks import Masks
from pruning_course.models import shorten
from pruning_course.pruners.groups import keep_in_groups, refuse_convolutions
from pruning_course.pruners.manager import PrunerOptions, PruningManager
from pruning_course.pruners.sequential import prune_on_the_way
from pruning_course.scores import wanda


class WandaPruner(PruningManager):
    """Removes the weights of smallest abs(w) times input norm (Sun et al. 2023, arXiv 2306.11695).

    Call `calibrate(batches)`, then `prune()`.

    Args:
        model, prune_layers, and other options: as in `PruningManager`.
        target_sparsity: as there; None means 0.5, or with the group (n, m) the sparsity 1 - n / m.
        group: where weights are compared: "row" (the inputs of one output, as in the paper), "tensor" (a whole weight),
            or a pair (n, m): of every m neighbours along the inputs the n best are KEPT.
        norm: "l2" or "l1" of each input channel; see `InputNorms`.
        sequential: False measures all layers of the dense model in one pass. True measures and prunes layer by layer on
            the way through the model, so that each layer is measured on the outputs of pruned layers.
        batch_tokens: with `sequential`, how many tokens, padding included, may go through the model at once. More
            tokens go block by block and batch by batch; `prune_on_the_way` explains the difference.

    Attributes: those of `PruningManager`, and `norms` (None before `calibrate`; with `sequential`, before `prune`).

    Raises ValueError if a share is outside [0, 1] or contradicts (n, m), two patterns give a layer different shares or
    one matches nothing, a layer is a convolution, the group or norm is unknown, `prune_layers` is unknown or needs a
    known family, no layer is chosen, or `torch.nn.utils.prune` masks one.
    """

    def __init__(
        self,
        model: nn.Module,
        target_sparsity: float | Mapping[str, float] | None = None,
        prune_layers: str | Sequence[str] = "all",
        group: str | tuple[int, int] = "row",
        norm: str = "l2",
        sequential: bool = False,
        batch_tokens: int = 8192,
        **options: Unpack[PrunerOptions],
    ):
        self.group = group
        super().__init__(model, _resolve_target(target_sparsity, group), prune_layers, **options)
        refuse_convolutions(self.layers, "Wanda")
        self._select = partial(keep_in_groups, self.layers, group)
        self._leave_out_uncalled()
        InputSums((), norm)  # raises for an unknown norm now
        self.norm = norm
        self.sequential = sequential
        self.batch_tokens = batch_tokens
        self.norms: InputNorms | None = None
        self._samples: list[Batch] | None = None

    def _check_share(self, largest: float) -> None:
        if self.group not in ("row", "tensor"):
            _resolve_target(largest, self.group)

    def _leave_out_uncalled(self) -> None:
        """Leave out layers whose inputs hooks cannot see: nn.MultiheadAttention multiplies by their weights itself."""
        parents = {name: self.model.get_submodule(name.rpartition(".")[0]) for name in self.layers}
        uncalled = [name for name, parent in parents.items() if isinstance(parent, nn.MultiheadAttention)]
        for name in uncalled:
            del self.layers[name]
        if uncalled:
            warnings.warn(
                f"Wanda leaves out {shorten(uncalled)}, because nn.MultiheadAttention uses them without calling them.",
                stacklevel=3,
            )

    def calibrate(self, batches: Iterable[object], num_samples: int = 512) -> "WandaPruner":
        """Measure the input norms of the chosen layers on the first `num_samples` samples of `batches`; return itself.

        `input_norms` describes the batches. With `sequential` they are only stored, and `prune` measures.

        Raises ValueError if there are no samples, no real token reaches a layer, an input is NaN or infinite, an
        attention_mask is not (batch, tokens), or `num_samples` is not a whole number of at least 1; TypeError if
        `batches` is not an iterable of batches.
        """
        if self.sequential:
            self._samples = list(take_samples(batches, num_samples))
        else:
            self.norms = input_norms(self.model, self.layers, batches, num_samples, self.norm)
        return self

    def scores(self) -> Mapping[str, Tensor]:
        """Return the scores: layer name to a tensor in the shape of its weight. Raises RuntimeError without norms."""
        if self.norms is None:
            raise RuntimeError("There are no input norms yet; call calibrate(batches) before prune().")
        return wanda(self.layers, self.norms)

    def prune(self) -> Masks:
        """Mask the model so that its sparsity, earlier calls included, is the target; return the masks.

        Raises RuntimeError before `calibrate`. Raises ValueError with `sequential` if no real token reaches a layer, an
        input is NaN or infinite, or there are more than `batch_tokens` tokens and no known family; a model that was
        dense is then unchanged, or partly pruned if `remember` is False.
        """
        if not self.sequential:
            return super().prune()
        if self._samples is None:
            raise RuntimeError("There are no batches yet; call calibrate(batches) before prune().")
        dense = self.masks is None
        masks = self.masks = self.masks or Masks(self.model, self.layers, self._remember)
        sums, counts = {}, {}
        try:
            with tqdm(total=len(self.layers), desc="Pruning", unit=" layers") as bar:

                def prune_layer(name: str, norms: InputNorms) -> None:
                    sums[name], counts[name] = norms.sums[name], norms.counts[name]
                    scores = wanda({name: self.layers[name]}, norms)
                    masks.restrict(self._keep(scores))
                    bar.update()

                prune_on_the_way(self.model, self.layers, self._samples, self.norm, prune_layer, self.batch_tokens)
        except BaseException:
            if dense and self._remember:
                self.undo()
            raise
        self.norms = InputNorms(self.norm, sums, counts)
        return masks


def _resolve_target(
    sparsity: float | Mapping[str, float] | None, group: str | tuple[int, int]
) -> float | Mapping[str, float]:
    if group in ("row", "tensor"):
        return 0.5 if sparsity is None else sparsity
    if not (isinstance(group, tuple | list) and len(group) == 2 and all(is_count(number, 0) for number in group)):
        raise ValueError(f"group is {group!r}; it can be 'row', 'tensor' or a pair (n, m), n kept of m.")
    n, m = group
    if not 0 <= n <= m or m < 1:
        raise ValueError(f"group is {n} of {m}; n weights of every m are kept, so 0 <= n <= m and m >= 1.")
    if isinstance(sparsity, Mapping):
        raise ValueError(f"target_sparsity has a share for each layer, but {n} of {m} is the same share for all.")
    if sparsity is not None and not math.isclose(sparsity, 1 - n / m, abs_tol=1e-9):
        raise ValueError(f"target_sparsity is {sparsity}, but keeping {n} of {m} is a sparsity of {1 - n / m:.4g}.")
    return 1 - n / m
