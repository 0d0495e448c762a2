"""Pruners: each combines a score, a group of comparison and a time of pruning, for one model."""

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from pruning_course.pruners.gradual import GradualPruner, trainer_callback
from pruning_course.pruners.magnitude import MagnitudePruner
from pruning_course.pruners.manager import PrunerOptions, PruningManager
from pruning_course.pruners.structured import StructuredPruner
from pruning_course.pruners.wanda import WandaPruner

PRUNERS: dict[str, type[PruningManager]] = {
    "magnitude": MagnitudePruner,
    "gradual": GradualPruner,
    "wanda": WandaPruner,
    "structured": StructuredPruner,
}


def get_pruner(
    model: nn.Module, method: str, target_sparsity: float | Mapping[str, float], **options: Any
) -> PruningManager:
    """Return the pruner called `method` ("magnitude", "gradual", "wanda" or "structured"), with options of its class.

    Raises ValueError if the method is unknown, does not have one of the options, or refuses the value of one.
    """
    if method not in PRUNERS:
        raise ValueError(f"method is {method!r}; the methods are {', '.join(PRUNERS)}.")
    parameters = [*inspect.signature(PRUNERS[method]).parameters, *PrunerOptions.__annotations__]
    known = [name for name in parameters if name not in ("model", "target_sparsity", "options")]
    unknown = [name for name in options if name not in known]
    if unknown:
        raise ValueError(f"{method} has no option {', '.join(unknown)}; its options are {', '.join(known)}.")
    return PRUNERS[method](model, target_sparsity, **options)


__all__ = [
    "PRUNERS",
    "GradualPruner",
    "MagnitudePruner",
    "PruningManager",
    "StructuredPruner",
    "WandaPruner",
    "get_pruner",
    "trainer_callback",
]
