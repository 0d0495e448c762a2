"""Cut neurons, heads and layers out of a transformer for good: smaller matrices, fewer layers, a model that works."""

from pruning_course.shrink.cut import shrink
from pruning_course.shrink.removal import Removal

__all__ = ["Removal", "shrink"]
