"""Prune neural networks: score, select, mask, hold while training, finalize or shrink."""

from pruning_course.architectures import prunable_layers
from pruning_course.masks import Masks
from pruning_course.pruners import MagnitudePruner, PruningManager, get_pruner
from pruning_course.report import SparsityReport, sparsity_report
from pruning_course.schedules import incremental_fraction
from pruning_course.selection import keep_globally, keep_n_of_m, keep_per_row, keep_per_tensor

__all__ = [
    "MagnitudePruner",
    "Masks",
    "PruningManager",
    "SparsityReport",
    "get_pruner",
    "incremental_fraction",
    "keep_globally",
    "keep_n_of_m",
    "keep_per_row",
    "keep_per_tensor",
    "prunable_layers",
    "sparsity_report",
]
