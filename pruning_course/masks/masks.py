"""Masks kept alongside a model, whose weights stay ordinary Parameters throughout."""

import os
from collections.abc import Iterable, Iterator, Mapping

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pruning_course.files import written_beside
from pruning_course.masks.bits import zero_unless
from pruning_course.masks.hold import Hold
from pruning_course.masks.owners import find_owners
from pruning_course.masks.torch_masks import take_from_torch
from pruning_course.masks.undo import Removed
from pruning_course.tensors import read_tensors


class Masks(Mapping[str, Tensor]):
    """Which weights of a model are kept: module name to a bool tensor in the shape of the weight, True = kept.

    A key names a module and means its `weight`; "NAME.bias" means the bias of the module NAME. Masks are made by
    `Masks.apply`, `Masks.load` or `Masks.from_torch`. What they remove they remember, until `finalize`.
    """

    def __init__(self, model: nn.Module, names: Iterable[str]):
        self._owners = find_owners(model, names)
        self._keep: dict[str, Tensor | None] = dict.fromkeys(self._owners)  # None: all kept
        self._removed: Removed | None = Removed()  # None: forgotten
        self._hold = Hold(self._keep, self._owners)

    @classmethod
    def apply(cls, model: nn.Module, keep: Mapping[str, Tensor]) -> "Masks":
        """Set the weights of `model` to 0 where `keep` is False, in place, and remember what stood there.

        The tensors of `keep` become the masks: they are not copied, and must not be changed afterwards.

        Raises:
            ValueError: no masks, a name that `model` lacks, a shape that is not the weight's.
            TypeError: a mask that is not bool.
        """
        if not keep:
            raise ValueError("There are no masks: the mapping is empty.")
        return cls(model, keep).restrict(keep)

    def restrict(self, keep: Mapping[str, Tensor]) -> "Masks":
        """Prune where `keep` is False as well: never less than before. In place; returns itself.

        Raises:
            ValueError: a name that has no mask here, a shape that is not the weight's.
            TypeError: a mask that is not bool.
        """
        for name, mask in keep.items():
            self._check(name, mask)
        for name, mask in keep.items():
            weight, old = self._weight(name), self._keep[name]
            new = mask.to(weight.device)
            if old is not None:
                new = self[name] & new
            if self._removed is not None:
                self._removed.remember(name, weight, None if old is None else self[name], new)
            zero_unless(weight, new)
            self._keep[name] = new
        return self

    def hold(self, optimizer: torch.optim.Optimizer) -> "Masks":
        """Keep pruned weights at 0 while `optimizer` trains: re-apply the masks after every `optimizer.step()`.

        The weights and the optimizer's moments of the same shape (SGD's momentum, Adam's exp_avg and exp_avg_sq) are set
        to 0 at the pruned places. Ends with `undo`; `finalize` leaves it on. Returns itself.

        Raises:
            ValueError: `optimizer` trains none of the masked weights.
        """
        self._hold.start(optimizer)
        return self

    def release(self) -> None:
        """End every hold; the masks and the zeros stay."""
        self._hold.end()

    def reapply(self) -> None:
        """Set what is pruned to 0.0 again, after something else has changed the weights."""
        self._hold.zero_weights()

    def undo(self) -> None:
        """Put the removed values back, bit for bit, and end the hold; weights that were kept stay as they are by now.

        Afterwards nothing is pruned. RuntimeError after `finalize`, which forgets the values.
        """
        if self._removed is None:
            raise RuntimeError("The masks are final: the removed values are forgotten, so there is nothing to undo.")
        self.release()
        for name, keep in self._keep.items():
            weight = self._weight(name)
            weight.copy_(self._removed.restore(name, weight, None if keep is None else self[name]))
            self._keep[name] = None
        self._removed.forget()

    def finalize(self) -> None:
        """Forget the removed values: the zeros stay. A hold goes on, so training afterwards revives nothing."""
        self._removed = None

    @property
    def sparsity(self) -> float:
        """The pruned share of the masked weights, from 0 to 1; from the masks, not from zeros in the weights."""
        kept = sum(int(mask.count_nonzero()) for mask in self.values())
        return 1 - kept / max(1, sum(mask.numel() for mask in self.values()))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the masks (not the removed values) as a safetensors file of bool tensors, whole or not at all."""
        with written_beside(path) as target:
            save_file({name: mask.cpu().contiguous() for name, mask in self.items()}, target)

    @classmethod
    def load(cls, path: str | os.PathLike[str], model: nn.Module) -> "Masks":
        """Read masks that `save` wrote and apply them to `model`.

        Raises:
            ValueError: a file that is damaged or empty, a name that `model` lacks, a shape that is not the weight's.
            TypeError: a mask that is not bool.
        """
        return cls.apply(model, read_tensors(path, "mask file")[0])

    @classmethod
    def from_torch(cls, model: nn.Module) -> "Masks":
        """Take over a model that torch.nn.utils.prune masks: its modules get plain Parameters, the same objects, again.

        `undo` then gives back what torch kept in `weight_orig`.

        Raises:
            ValueError: torch masks nothing, or a parameter that is neither `weight` nor `bias`.
        """
        return cls.apply(model, take_from_torch(model))

    def _check(self, name: str, mask: Tensor) -> None:
        if name not in self._owners:
            raise ValueError(f"There is no mask for {name!r}; the masks are for {', '.join(self)}.")
        if mask.dtype != torch.bool:
            raise TypeError(f"The mask of {name} is {mask.dtype}; masks are torch.bool, True = kept.")
        if mask.shape != self._weight(name).shape:
            raise ValueError(
                f"The mask of {name} is {tuple(mask.shape)}, its weight is {tuple(self._weight(name).shape)}."
            )

    def _parameter(self, name: str) -> nn.Parameter:
        return getattr(*self._owners[name])

    def _weight(self, name: str) -> Tensor:
        return self._parameter(name).detach()

    def __getitem__(self, name: str) -> Tensor:
        keep, weight = self._keep[name], self._weight(name)
        if keep is None:
            return torch.ones_like(weight, dtype=torch.bool)
        self._keep[name] = keep = keep.to(weight.device)  # the model may have moved since
        return keep

    def __iter__(self) -> Iterator[str]:
        return iter(self._keep)

    def __len__(self) -> int:
        return len(self._keep)

    def __repr__(self) -> str:
        return f"Masks({len(self)} tensors, {self.sparsity:.1%} pruned)"
