"""Train a pruned model again, with its masks held, and keep the best of it."""

from pruning_course.finetune.config import FineTuneConfig, History
from pruning_course.finetune.training import fine_tune_after_pruning

__all__ = ["FineTuneConfig", "History", "fine_tune_after_pruning"]
