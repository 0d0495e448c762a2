"""Which masks prune which models, so that two of them never prune one weight without knowing of each other."""

import weakref
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from torch import nn


class Pruning(Protocol):
    """Masks, as far as they are needed here: the Parameters of which they prune something, by name."""

    @property
    def pruned(self) -> Mapping[str, nn.Parameter]: ...


# Masks refer to the Parameters of a model but not to the model itself, so both are gone when nobody else needs them.
_of_model: "weakref.WeakKeyDictionary[nn.Module, list[Any]]" = weakref.WeakKeyDictionary()


def register(masks: Pruning, model: nn.Module) -> None:
    """Remember that `masks` prune `model`, for as long as the model exists."""
    of_model = _of_model.setdefault(model, [])
    if not any(masks is known for known in of_model):
        of_model.append(masks)


def forget(masks: Pruning) -> None:
    """Forget masks that prune nothing any more, or that are final."""
    for model, of_model in _of_model.items():
        _of_model[model] = [known for known in of_model if known is not masks]


def iterate_masks() -> Iterator[Any]:
    """Yield all registered masks, those of one model from the oldest on."""
    for of_model in list(_of_model.values()):
        yield from of_model


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
