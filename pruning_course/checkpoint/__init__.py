"""A pruned model on disk: what `save_pretrained` writes, and the sizes of its blocks, which no config can say.

`from_pretrained` builds what the config says, the same widths in every block, and refuses other shapes.
"""

from pruning_course.checkpoint.saving import load_pruned, save_pruned

__all__ = ["load_pruned", "save_pruned"]
