"""Masks kept alongside a model: which weights are kept, what was removed, and how zeros stay zeros in training."""

from pruning_course.masks.fit import Fit, warn_unless
from pruning_course.masks.masks import Masks
from pruning_course.masks.owners import find_owners, find_parameters

__all__ = ["Fit", "Masks", "find_owners", "find_parameters", "warn_unless"]
