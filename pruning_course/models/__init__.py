"""What a model is made of: families, blocks, layers, neurons and attention heads; nothing here knows about pruning."""

from pruning_course.models.empty import Constant, HeadlessAttention
from pruning_course.models.families import FAMILIES, ROLES, Family, family_of
from pruning_course.models.layers import bias_of, linear_layers, out_in, prunable_layers, tied_layers, weight_of
from pruning_course.models.layout import Layout, find_layout
from pruning_course.models.modes import eval_mode
from pruning_course.models.units import BlockSize, Units, find_units, head_size, measure_blocks
from pruning_course.models.visible import check_blocks, check_visible

__all__ = [
    "FAMILIES",
    "ROLES",
    "BlockSize",
    "Constant",
    "Family",
    "HeadlessAttention",
    "Layout",
    "Units",
    "bias_of",
    "check_blocks",
    "check_visible",
    "eval_mode",
    "family_of",
    "find_layout",
    "find_units",
    "head_size",
    "linear_layers",
    "measure_blocks",
    "out_in",
    "prunable_layers",
    "tied_layers",
    "weight_of",
]
