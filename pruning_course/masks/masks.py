"""Masks kept alongside a model, whose weights stay ordinary Parameters throughout."""

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NoReturn

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from pruning_course.masks.bits import zero_unless
from pruning_course.masks.callback import make_callback
from pruning_course.masks.fit import Fit
from pruning_course.masks.hold import Hold
from pruning_course.masks.owners import check_masks
from pruning_course.masks.registry import forget, iterate_masks, refuse_rivals, register
from pruning_course.masks.storage import load_masks, save_masks
from pruning_course.masks.targets import Targets
from pruning_course.masks.torch_masks import take_from_torch
from pruning_course.masks.undo import Removed
from pruning_course.models import shorten

if TYPE_CHECKING:
    from transformers import TrainerCallback


class Masks(Mapping[str, Tensor]):
    """Which weights of a model are kept: module name to a bool tensor in the shape of the weight, True = kept.

    A key names a module and means its `weight`; "NAME.bias" means the bias of NAME. `apply`, `load` and `from_torch`
    create masks, which remember the removed values until `finalize`. Two names of one Parameter have one mask.
    """

    def __init__(self, model: nn.Module, names: Iterable[str], remember: bool = True):
        self._targets = Targets(model, names)
        self._keep: dict[str, Tensor | None] = dict.fromkeys(self._targets.first)  # None: nothing is pruned
        self._removed = Removed() if remember else None
        self._final = False
        self._hold = Hold(self._keep, self._targets.first)

    @classmethod
    def apply(cls, model: nn.Module, keep: Mapping[str, Tensor], remember: bool = True) -> "Masks":
        """Set the weights of `model` to 0 where `keep` is False, in place, and remember their values.

        The tensors of `keep` become the masks: they are not copied, and must not be changed afterwards. With
        `remember=False` the removed values are not kept, which saves their memory, and `undo` is not possible.

        Raises ValueError if `keep` is empty, names something that `model` lacks, a mask does not have the shape of its
        weight, or other masks prune one of these weights already; TypeError if a mask is not a bool tensor.
        """
        if not keep:
            raise ValueError("keep is empty; at least one mask is needed.")
        return cls(model, keep, remember).restrict(keep)

    @classmethod
    def of(cls, model: nn.Module) -> list["Masks"]:
        """Return the masks that prune weights of `model`, the oldest first, also if nobody else refers to them."""
        owned = {id(parameter) for parameter in model.parameters()}
        return [masks for masks in iterate_masks() if any(id(p) in owned for p in masks.parameters.values())]

    def restrict(self, keep: Mapping[str, Tensor]) -> "Masks":
        """Also prune where `keep` is False, in place; what is pruned already stays pruned. Returns itself.

        Raises ValueError if a name has no mask here, a mask does not have the shape of its weight, or other masks prune
        one of these weights already; TypeError if a mask is not a bool tensor.
        """
        self.check_request(keep)
        for name, mask in keep.items():
            name = self._targets.key[name]
            weight = self._targets.first[name].detach()
            old = None if self._keep[name] is None else self[name]
            new = mask.to(weight.device)
            if old is not None:
                new = old & new
            if new.all():
                continue
            if self._removed is not None:
                self._removed.remember(name, weight, old, new)
            zero_unless(weight, new)
            self._keep[name] = new
        if self.pruned and not self._final:
            register(self, self._targets.layers)
        self._hold.forget_momentum()
        return self

    def check_request(self, keep: Mapping[str, Tensor]) -> None:
        """Raise what `restrict(keep)` would raise, without pruning anything."""
        self._targets.refuse_lost()
        check_masks(keep, self.parameters)
        refuse_rivals(self, (self.parameters[name] for name in keep))

    def hold(self, optimizer: Optimizer) -> "Masks":
        """Keep pruned weights at 0 while `optimizer` trains. Returns itself.

        The gradients of pruned weights are set to 0 as they are accumulated, so that clipping by norm and optimizers
        that mix gradients see only what is trained; the weights after each step; and momentum here and whenever more is
        pruned. An optimizer that accelerate has wrapped is unwrapped. A warning says if something else moves the
        weights. `undo` and `release` end this; `finalize` does not.

        Raises ValueError if `optimizer` trains none of the masked weights, although they are not frozen, or a layer was
        replaced; TypeError if it is not a `torch.optim.Optimizer`.
        """
        self._targets.refuse_lost()
        self._hold.start(optimizer)
        return self

    def release(self) -> list[Optimizer]:
        """Stop holding, and return the optimizers that were held; the masks and the zeros stay."""
        return self._hold.end()

    def reapply(self) -> None:
        """Set pruned weights to 0.0 again, after something changed them. ValueError if a layer was replaced."""
        self._targets.refuse_lost()
        self._hold.zero_weights()

    def callback(self) -> "TrainerCallback":
        """Return a callback for a `transformers.Trainer` that holds its optimizer."""
        return make_callback(self.hold, self.reapply)

    def check(self) -> Fit:
        """Compare the masks with the weights as they are now, for example after loading a state_dict."""
        revived = {}
        for name, weight in self.pruned.items():
            revived[name] = int(((weight.detach() != 0) & ~self[name]).count_nonzero())
        return Fit({name: count for name, count in revived.items() if count}, self._targets.lost)

    def undo(self) -> None:
        """Put the removed values back, bit for bit, and stop holding; weights that were kept stay as they are now.

        Afterwards nothing is pruned; a warning names layers that were replaced meanwhile. Raises RuntimeError after
        `finalize`, or if the values were not remembered.
        """
        if self._removed is None:
            why = "finalize() has forgotten" if self._final else "remember=False did not keep"
            raise RuntimeError(f"The masks cannot be undone: {why} the removed values.")
        self.release()
        if lost := self._targets.lost:
            warnings.warn(
                f"{shorten(lost)} were replaced after they were masked, so undo cannot reach them.", stacklevel=2
            )
        for name, weight in self.pruned.items():
            weight.detach().copy_(self._removed.restore(name, weight.detach(), self[name]))
            self._keep[name] = None
        self._removed.forget()
        forget(self)

    def finalize(self) -> None:
        """Forget the removed values; the zeros stay. Optimizers are still held, so training cannot revive a weight.

        Afterwards other masks may prune the same weights.
        """
        self._removed, self._final = None, True
        forget(self)

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        """The masked Parameters by name, also those that the model has lost."""
        return {name: self._targets.first[key] for name, key in self._targets.key.items()}

    @property
    def pruned(self) -> dict[str, nn.Parameter]:
        """Those Parameters of which something is pruned; each comes once."""
        return {name: self._targets.first[name] for name, keep in self._keep.items() if keep is not None}

    @property
    def sparsity(self) -> float:
        """The pruned share of the masked weights, from 0 to 1, counted in the masks and not in the weights."""
        kept = sum(int(mask.count_nonzero()) for mask in self.values())
        return 1 - kept / max(1, sum(mask.numel() for mask in self.values()))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the masks, one bit for each weight, to a safetensors file, or leave no file; `load` reads it."""
        save_masks(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], model: nn.Module) -> "Masks":
        """Read masks that `save` wrote and apply them to `model`.

        Raises ValueError if the file is damaged or empty, or `apply` refuses the masks; TypeError if one is not bool.
        """
        return cls.apply(model, load_masks(path))

    @classmethod
    def from_torch(cls, model: nn.Module) -> "Masks":
        """Take over a model that torch.nn.utils.prune masks: its modules get back plain Parameters, the same objects.

        Raises ValueError if torch masks nothing, or masks a parameter that is neither `weight` nor `bias`.
        """
        return cls.apply(model, take_from_torch(model))

    def __getitem__(self, name: str) -> Tensor:
        name = self._targets.key[name]
        keep, weight = self._keep[name], self._targets.first[name].detach()
        if keep is None:
            return torch.ones_like(weight, dtype=torch.bool)
        self._keep[name] = keep = keep.to(weight.device)  # the model may have moved to another device
        return keep

    def __iter__(self) -> Iterator[str]:
        return iter(self._targets.key)

    def __len__(self) -> int:
        return len(self._targets.key)

    def __repr__(self) -> str:
        return f"Masks({len(self)} tensors, {self.sparsity:.1%} pruned)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("Masks cannot be copied or pickled, because they belong to one model; use save() and load().")
