"""Which masks prune which models, so that two of them never prune one weight without knowing of each other."""

import weakref
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from torch import nn


class Pruning(Protocol):
    """Masks, as far as they are needed here: the Parameters of which they prune something, by name."""

    @property
    def pruned(self) -> Mapping[str, nn.Parameter]: ...


# By layers, because a model may be masked through a wrapper that is soon gone. Masks refer to Parameters but not to
# layers, so both are gone when nobody else needs them.
_of_layer: "weakref.WeakKeyDictionary[nn.Module, list[Any]]" = weakref.WeakKeyDictionary()


def register(masks: Pruning, layers: Iterable[nn.Module]) -> None:
    """Remember that `masks` prune `layers`, for as long as one of these exists."""
    for layer in layers:
        of_layer = _of_layer.setdefault(layer, [])
        if not any(masks is known for known in of_layer):
            of_layer.append(masks)


def forget(masks: Pruning) -> None:
    """Forget masks that prune nothing any more, or that are final."""
    for layer, of_layer in _of_layer.items():
        _of_layer[layer] = [known for known in of_layer if known is not masks]


def iterate_masks() -> Iterator[Any]:
    """Yield all registered masks, those of one layer from the oldest on."""
    yield from {id(masks): masks for of_layer in list(_of_layer.values()) for masks in of_layer}.values()


def refuse_rivals(masks: Pruning, parameters: Iterable[nn.Parameter]) -> None:
    """Raise ValueError if masks other than `masks` prune one of `parameters`."""
    wanted = {id(parameter) for parameter in parameters}
    for other in iterate_masks():
        for name, parameter in other.pruned.items() if other is not masks else ():
            if id(parameter) in wanted:
                raise ValueError(
                    f"Other masks prune {name!r} already; continue with them (Masks.of(model) returns them), or end "
                    "them with undo() or finalize()."
                )
