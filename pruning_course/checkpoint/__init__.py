"""A pruned model on disk: what `save_pretrained` writes, and the sizes of its blocks, which no config can express."""

from pruning_course.checkpoint.disk import prune_file
from pruning_course.checkpoint.saving import load_pruned, save_pruned

__all__ = ["load_pruned", "prune_file", "save_pruned"]
