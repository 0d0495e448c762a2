"""The Parameters that masks are for, and whether they are still those of the model."""

import weakref
from collections.abc import Iterable

from torch import nn

from pruning_course.masks.owners import find_owners, find_parameters
from pruning_course.models import shorten


class Targets:
    """The Parameters of some names in a model, which is not kept alive by this.

    Attributes: `key` (each name to the first name of the same Parameter), `first` (those first names to Parameters).
    """

    def __init__(self, model: nn.Module, names: Iterable[str]):
        parameters = find_parameters(model, names)
        first: dict[int, str] = {}
        self.key = {name: first.setdefault(id(parameter), name) for name, parameter in parameters.items()}
        self.first = {name: parameters[name] for name in first.values()}
        self._model = weakref.ref(model)

    @property
    def layers(self) -> list[nn.Module]:
        """The modules that hold the Parameters now; none if the model is gone."""
        model = self._model()
        return [] if model is None else [module for module, _ in find_owners(model, self.first).values()]

    @property
    def lost(self) -> tuple[str, ...]:
        """The first names of Parameters that the model no longer has; none if the model is gone."""
        model = self._model()
        owners = self.first if model is None else find_owners(model, self.first)
        return tuple(name for name in self.first if name not in owners)

    def refuse_lost(self) -> None:
        """Raise ValueError if the model has lost one of the Parameters."""
        if lost := self.lost:
            raise ValueError(f"The model no longer has the weights that were masked as {shorten(lost)}.")
