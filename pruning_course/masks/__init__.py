"""Masks kept alongside a model: which weights are kept, what was removed, and how zeros stay zeros in training."""

from pruning_course.masks.masks import Masks
from pruning_course.masks.owners import find_owners

__all__ = ["Masks", "find_owners"]
