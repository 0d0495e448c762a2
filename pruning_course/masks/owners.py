"""Which Parameter a mask is for: a key names a module and means its `weight`; "NAME.bias" means the bias of NAME."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from pruning_course.models import check_visible, find_overlaps, shorten


def find_parameters(model: nn.Module, names: Iterable[str]) -> dict[str, nn.Parameter]:
    """Return the Parameter that each of `names` means.

    Raises ValueError if a name means no Parameter of `model`, two of them are different but share memory, or weights of
    `model` are not in memory.
    """
    check_visible(model)
    modules = dict(model.named_modules())
    parameters = {}
    for name in names:
        owner, attribute = (name, "weight") if name in modules else (name.removesuffix(".bias"), "bias")
        parameter = getattr(modules.get(owner), attribute, None)
        if not isinstance(parameter, nn.Parameter):
            raise ValueError(f"{type(model).__name__} has no parameter to mask at {name!r}.")
        parameters[name] = parameter
    for name, other in find_overlaps(parameters).items():
        if parameters[name] is not parameters[other]:
            raise ValueError(
                f"{name!r} and {other!r} are different Parameters that share memory, so only one of them can be masked."
            )
    return parameters


def find_owners(model: nn.Module, parameters: Mapping[str, nn.Parameter]) -> dict[str, tuple[nn.Module, str]]:
    """Return for each of `parameters` the module of `model` that holds it now, and the name of the attribute.

    Parameters are found by identity, because merging adapters renames layers. Those that are gone are left out.
    """
    places = {
        id(parameter): (module, attribute)
        for module in model.modules()
        for attribute, parameter in module.named_parameters(recurse=False, remove_duplicate=False)
    }
    return {name: places[id(parameter)] for name, parameter in parameters.items() if id(parameter) in places}


def check_masks(masks: Mapping[str, object], parameters: Mapping[str, nn.Parameter]) -> None:
    """Raise ValueError if a mask has no Parameter or another shape, and TypeError if it is not a bool tensor."""
    for name, mask in masks.items():
        if name not in parameters:
            raise ValueError(f"There is no mask for {name!r}; the masks are for {shorten(parameters)}.")
        if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
            kind = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
            raise TypeError(f"The mask of {name!r} is {kind}; masks are torch.bool, True = kept.")
        if mask.shape != parameters[name].shape:
            shape = tuple(parameters[name].shape)
            raise ValueError(f"The mask of {name!r} is {tuple(mask.shape)}, its weight is {shape}.")
