"""Prune neural networks: score, select, mask, hold while training, finalize or shrink."""

from pruning_course.architectures import prunable_layers
from pruning_course.calibration import InputNorms, input_norms
from pruning_course.masks import Masks
from pruning_course.pruners import (
    GradualPruner,
    MagnitudePruner,
    PruningManager,
    WandaPruner,
    get_pruner,
    trainer_callback,
)
from pruning_course.report import SparsityReport, sparsity_report
from pruning_course.schedules import incremental_fraction, sparsity_at
from pruning_course.selection import keep_globally, keep_n_of_m, keep_per_row, keep_per_tensor

__all__ = [
    "GradualPruner",
    "InputNorms",
    "MagnitudePruner",
    "Masks",
    "PruningManager",
    "SparsityReport",
    "WandaPruner",
    "get_pruner",
    "incremental_fraction",
    "input_norms",
    "keep_globally",
    "keep_n_of_m",
    "keep_per_row",
    "keep_per_tensor",
    "prunable_layers",
    "sparsity_at",
    "sparsity_report",
    "trainer_callback",
]
