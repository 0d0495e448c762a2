"""Cut neurons, attention heads and blocks out of a transformer, which leaves smaller matrices and fewer blocks."""

from pruning_course.shrink.cut import shrink
from pruning_course.shrink.removal import Removal

__all__ = ["Removal", "shrink"]
