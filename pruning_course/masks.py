"""Masks that lie beside a model: its weights stay ordinary Parameters all the time."""

import os
from collections.abc import Iterator, Mapping

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune

from pruning_course.bits import values_at, zero_unless
from pruning_course.files import written_beside


class Masks(Mapping[str, Tensor]):
    """Which weights of a model are kept: module name to a bool tensor in the shape of the weight, True = kept.

    A key names a module and means its `weight`; "NAME.bias" means the bias of the module NAME. Masks are made by
    `Masks.apply`, `Masks.load` or `Masks.from_torch`. What they remove they remember, until `finalize`.
    """

    def __init__(self, model: nn.Module, names):
        self._owners = owners(model, names)
        self._keep: dict[str, Tensor | None] = dict.fromkeys(self._owners)  # None: all kept
        self._removed = {name: self._weight(name).new_empty(0) for name in names}
        self._holds = []
        self._final = False

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
        """Prune where `keep` is False as well: never less than before. In place; returns itself. Raises as `apply`."""
        for name, mask in keep.items():
            self._check(name, mask)
        for name, mask in keep.items():
            new = mask.to(self._weight(name).device)
            if self._keep[name] is not None:
                new = self[name] & new
            if not self._final:
                self._removed[name] = values_at(self._original(name), ~new)
            zero_unless(self._weight(name), new)
            self._keep[name] = new
        return self

    def hold(self, optimizer: torch.optim.Optimizer) -> "Masks":
        """Keep pruned weights at 0 while `optimizer` trains: re-apply the masks after every `optimizer.step()`.

        A gradient of 0 would not be enough: momentum from before, and weight decay, move a weight without any gradient.
        So the weights and the optimizer's moments of the same shape (SGD's momentum, Adam's exp_avg and exp_avg_sq)
        are set to 0 at the pruned places. Ends with `undo`; `finalize` leaves it on. Returns itself.

        Raises:
            ValueError: `optimizer` trains none of the masked weights.
        """
        trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
        if not any(id(self._parameter(name)) in trained for name in self):
            raise ValueError("The optimizer trains none of the masked weights, so there is nothing to hold.")
        self._holds.append(optimizer.register_step_post_hook(lambda stepped, *_: self._after_step(stepped)))
        return self

    def release(self) -> None:
        """End every hold; the masks and the zeros stay."""
        for hold in self._holds:
            hold.remove()
        self._holds.clear()

    def undo(self) -> None:
        """Put the removed values back, bit for bit, and end the hold; weights that were kept stay as they are by now.

        Afterwards nothing is pruned. RuntimeError after `finalize`, which forgets the values.
        """
        if self._final:
            raise RuntimeError("The masks are final: the removed values are forgotten, so there is nothing to undo.")
        self.release()
        for name in self:
            self._weight(name).copy_(self._original(name))
            self._keep[name] = None
            self._removed[name] = self._weight(name).new_empty(0)

    def finalize(self) -> None:
        """Forget the removed values: the zeros stay. A hold goes on, so training afterwards revives nothing."""
        self._final = True
        self._removed.clear()

    @property
    def sparsity(self) -> float:
        """The pruned share of the masked weights, from 0 to 1; from the masks, not from zeros in the weights."""
        kept = sum(int(mask.count_nonzero()) for mask in self.values())
        return 1 - kept / max(1, sum(mask.numel() for mask in self.values()))

    def save(self, path: str | os.PathLike) -> None:
        """Write the masks (not the removed values) as a safetensors file of bool tensors, whole or not at all."""
        with written_beside(path) as target:
            save_file({name: mask.cpu().contiguous() for name, mask in self.items()}, target)

    @classmethod
    def load(cls, path: str | os.PathLike, model: nn.Module) -> "Masks":
        """Read masks that `save` wrote and apply them to `model`. Raises as `apply`; ValueError for a damaged file."""
        try:
            keep = load_file(path)
        except SafetensorError as error:
            raise ValueError(f"{os.fspath(path)} is no intact safetensors file of masks: {error}.") from error
        return cls.apply(model, keep)

    @classmethod
    def from_torch(cls, model: nn.Module) -> "Masks":
        """Take over a model that torch.nn.utils.prune masks: its modules get plain Parameters, the same objects, again.

        `undo` then gives back what torch kept in `weight_orig`. Raises ValueError where torch masks nothing, or masks a
        parameter that is neither `weight` nor `bias`.
        """
        pruned = [
            (prefix, module, buffer.removesuffix("_mask"))
            for prefix, module in model.named_modules()
            for buffer, _ in list(module.named_buffers(recurse=False))
            if buffer.endswith("_mask") and hasattr(module, buffer.removesuffix("_mask") + "_orig")
        ]
        if not pruned:
            raise ValueError(f"{type(model).__name__} has no parameter that torch.nn.utils.prune masks.")
        for prefix, _, name in pruned:
            if name not in ("weight", "bias"):
                raise ValueError(
                    f"torch masks {prefix}.{name}; only parameters called weight or bias can be taken over."
                )
        keep = {}
        for prefix, module, name in pruned:
            original = getattr(module, name + "_orig").detach().clone()
            keep[prefix if name == "weight" else f"{prefix}.bias"] = getattr(module, name + "_mask").bool()
            torch_prune.remove(module, name)
            getattr(module, name).detach().copy_(original)
        return cls.apply(model, keep)

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

    def _original(self, name: str) -> Tensor:
        """The weight of `name` as it would be now had nothing been pruned: the weight itself, or a copy."""
        weight = self._weight(name)
        if self._removed[name].numel() == 0:
            return weight
        return weight.masked_scatter(~self[name], self._removed[name].to(weight))

    def reapply(self) -> None:
        """Set what is pruned to 0.0 again, after something else has changed the weights."""
        for name, keep in self.items():
            zero_unless(self._weight(name), keep)

    def _after_step(self, optimizer: torch.optim.Optimizer) -> None:
        self.reapply()
        for name, keep in self.items():
            parameter = self._parameter(name)
            for moment in optimizer.state.get(parameter, {}).values():
                if isinstance(moment, Tensor) and moment.shape == parameter.shape:
                    zero_unless(moment, keep)

    def __getitem__(self, name: str) -> Tensor:
        keep, weight = self._keep[name], self._weight(name)
        if keep is None:
            return torch.ones_like(weight, dtype=torch.bool)
        self._keep[name] = keep.to(weight.device)  # the model may have moved since
        return self._keep[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keep)

    def __len__(self) -> int:
        return len(self._keep)

    def __repr__(self) -> str:
        return f"Masks({len(self)} tensors, {self.sparsity:.1%} pruned)"


def owners(model: nn.Module, names) -> dict[str, tuple[nn.Module, str]]:
    """Name to (module, "weight" or "bias")."""
    modules = dict(model.named_modules())
    owners = {}
    for name in names:
        owner, attribute = (name, "weight") if name in modules else (name.removesuffix(".bias"), "bias")
        if not isinstance(getattr(modules.get(owner), attribute, None), nn.Parameter):
            raise ValueError(f"{type(model).__name__} has no parameter to mask at {name!r}.")
        owners[name] = (modules[owner], attribute)
    return owners
