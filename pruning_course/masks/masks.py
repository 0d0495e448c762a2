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

    A key names a module and means its `weight`; "NAME.bias" means the bias of the module NAME. `Masks.apply`,
    `Masks.load` and `Masks.from_torch` create masks. They remember the removed values until `finalize`.
    """

    def __init__(self, model: nn.Module, names: Iterable[str]):
        self._owners = find_owners(model, names)
        self._keep: dict[str, Tensor | None] = dict.fromkeys(self._owners)  # None: nothing is pruned
        self._removed: Removed | None = Removed()  # None: forgotten
        self._hold = Hold(self._keep, self._owners)

    @classmethod
    def apply(cls, model: nn.Module, keep: Mapping[str, Tensor]) -> "Masks":
        """Set the weights of `model` to 0 where `keep` is False, in place, and remember their values.

        The tensors of `keep` become the masks: they are not copied, and must not be changed afterwards.

        Raises ValueError if `keep` is empty, names something that `model` lacks, or a mask does not have the shape of
        its weight; TypeError if a mask is not bool.
        """
        if not keep:
            raise ValueError("keep is empty; at least one mask is needed.")
        return cls(model, keep).restrict(keep)

    def restrict(self, keep: Mapping[str, Tensor]) -> "Masks":
        """Also prune where `keep` is False, in place; what is pruned already stays pruned. Returns itself.

        Raises ValueError if a name has no mask here, or a mask does not have the shape of its weight; TypeError if a
        mask is not bool.
        """
        for name, mask in keep.items():
            self._check(name, mask)
        for name, mask in keep.items():
            weight = self._weight(name)
            old = None if self._keep[name] is None else self[name]
            new = mask.to(weight.device)
            if old is not None:
                new = old & new
            if self._removed is not None:
                self._removed.remember(name, weight, old, new)
            zero_unless(weight, new)
            self._keep[name] = new
        return self

    def hold(self, optimizer: torch.optim.Optimizer) -> "Masks":
        """Re-apply the masks after every `optimizer.step()`, so that pruned weights stay 0. Returns itself.

        At the pruned places the weights and the optimizer's moments of the same shape (SGD's momentum, Adam's exp_avg
        and exp_avg_sq) are set to 0. `undo` and `release` end this; `finalize` does not.

        Raises ValueError if `optimizer` trains none of the masked weights.
        """
        self._hold.start(optimizer)
        return self

    def release(self) -> None:
        """Stop holding, for all optimizers; the masks and the zeros stay."""
        self._hold.end()

    def reapply(self) -> None:
        """Set pruned weights to 0.0 again, after something else has changed the weights."""
        self._hold.zero_weights()

    def undo(self) -> None:
        """Put the removed values back, bit for bit, and stop holding; weights that were kept stay as they are now.

        Afterwards nothing is pruned. Raises RuntimeError after `finalize`, which forgets the values.
        """
        if self._removed is None:
            raise RuntimeError("The masks are final: the removed values are forgotten, so they cannot be put back.")
        self.release()
        for name, keep in self._keep.items():
            weight = self._weight(name)
            weight.copy_(self._removed.restore(name, weight, None if keep is None else self[name]))
            self._keep[name] = None
        self._removed.forget()

    def finalize(self) -> None:
        """Forget the removed values; the zeros stay. Optimizers are still held, so training cannot revive a weight."""
        self._removed = None

    @property
    def sparsity(self) -> float:
        """The pruned share of the masked weights, from 0 to 1, counted in the masks and not in the weights."""
        kept = sum(int(mask.count_nonzero()) for mask in self.values())
        return 1 - kept / max(1, sum(mask.numel() for mask in self.values()))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the masks, without the removed values, to a safetensors file of bool tensors, or leave no file."""
        with written_beside(path) as target:
            save_file({name: mask.cpu().contiguous() for name, mask in self.items()}, target)

    @classmethod
    def load(cls, path: str | os.PathLike[str], model: nn.Module) -> "Masks":
        """Read masks that `save` wrote and apply them to `model`.

        Raises ValueError if the file is damaged or empty, names something that `model` lacks, or a mask does not have
        the shape of its weight; TypeError if a mask is not bool.
        """
        return cls.apply(model, read_tensors(path, "mask file")[0])

    @classmethod
    def from_torch(cls, model: nn.Module) -> "Masks":
        """Take over a model that torch.nn.utils.prune masks: its modules get back plain Parameters, the same objects.

        `undo` then restores what torch kept in `weight_orig`.

        Raises ValueError if torch masks nothing, or masks a parameter that is neither `weight` nor `bias`.
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

    def _weight(self, name: str) -> Tensor:
        parameter: nn.Parameter = getattr(*self._owners[name])
        return parameter.detach()

    def __getitem__(self, name: str) -> Tensor:
        keep, weight = self._keep[name], self._weight(name)
        if keep is None:
            return torch.ones_like(weight, dtype=torch.bool)
        self._keep[name] = keep = keep.to(weight.device)  # the model may have moved to another device
        return keep

    def __iter__(self) -> Iterator[str]:
        return iter(self._keep)

    def __len__(self) -> int:
        return len(self._keep)

    def __repr__(self) -> str:
        return f"Masks({len(self)} tensors, {self.sparsity:.1%} pruned)"
