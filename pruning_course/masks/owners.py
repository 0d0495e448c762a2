"""Which Parameter a mask is for: a key names a module and means its `weight`; "NAME.bias" means the bias of NAME."""

from collections.abc import Iterable

from torch import nn


def find_owners(model: nn.Module, names: Iterable[str]) -> dict[str, tuple[nn.Module, str]]:
    """Return a dict from names to (module, "weight" or "bias"). Raises ValueError if a name means no Parameter."""
    modules = dict(model.named_modules())
    owners = {}
    for name in names:
        owner, attribute = (name, "weight") if name in modules else (name.removesuffix(".bias"), "bias")
        if not isinstance(getattr(modules.get(owner), attribute, None), nn.Parameter):
            raise ValueError(f"{type(model).__name__} has no parameter to mask at {name!r}.")
        owners[name] = (modules[owner], attribute)
    return owners
