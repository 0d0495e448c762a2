"""Cut neurons, heads and layers out of a transformer for good: smaller matrices, fewer layers, a model that works."""

from pruning_course.shrink.cut import shrink
from pruning_course.shrink.removal import Removal
from pruning_course.structures import BlockSize, sizes

__all__ = ["BlockSize", "Removal", "shrink", "sizes"]
