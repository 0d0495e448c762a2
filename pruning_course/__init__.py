"""Prune neural networks: score, select, mask, hold while training, finalize or shrink."""

__version__ = "1.0.0"

try:
    from pruning_course.calibration import InputNorms, input_norms
    from pruning_course.checkpoint import load_pruned, prune_file, save_pruned
    from pruning_course.finetune import FineTuneConfig, History, fine_tune_after_pruning
    from pruning_course.masks import Masks
    from pruning_course.models import prunable_layers
    from pruning_course.pruners import (
        GradualPruner,
        MagnitudePruner,
        PruningManager,
        StructuredPruner,
        WandaPruner,
        get_pruner,
        trainer_callback,
    )
    from pruning_course.report import SparsityReport, sparsity_report
    from pruning_course.schedules import incremental_fraction, sparsity_at
    from pruning_course.selection import keep_globally, keep_n_of_m, keep_per_row, keep_per_tensor
    from pruning_course.shrink import Removal, shrink
    from pruning_course.tickets import find_ticket, rewind, shuffled
except (ImportError, OSError) as error:  # OSError: a torch whose own libraries are missing
    _cause = f"{type(error).__name__}: {error}"

    # The package itself can still be imported, so that `doctor` can say what is missing.
    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"pruning_course has no {name!r}.")
        raise ImportError(f"pruning_course.{name} is not there ({_cause}); `python -m pruning_course doctor` helps.")


__all__ = [
    "FineTuneConfig",
    "GradualPruner",
    "History",
    "InputNorms",
    "MagnitudePruner",
    "Masks",
    "PruningManager",
    "Removal",
    "SparsityReport",
    "StructuredPruner",
    "WandaPruner",
    "find_ticket",
    "fine_tune_after_pruning",
    "get_pruner",
    "incremental_fraction",
    "input_norms",
    "keep_globally",
    "keep_n_of_m",
    "keep_per_row",
    "keep_per_tensor",
    "load_pruned",
    "prunable_layers",
    "prune_file",
    "rewind",
    "save_pruned",
    "shrink",
    "shuffled",
    "sparsity_at",
    "sparsity_report",
    "trainer_callback",
]
