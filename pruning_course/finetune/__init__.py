"""Train a pruned model again while its masks are held, and keep the best of it."""

from pruning_course.finetune.config import FineTuneConfig, History
from pruning_course.finetune.fine_tune import fine_tune_after_pruning

__all__ = ["FineTuneConfig", "History", "fine_tune_after_pruning"]
