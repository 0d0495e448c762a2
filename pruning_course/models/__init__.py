"""What a model is made of: families, blocks, layers, neurons and attention heads; nothing here knows about pruning."""

from pruning_course.models.empty import Constant, HeadlessAttention
from pruning_course.models.families import FAMILIES, ROLES, STRUCTURES, Family
from pruning_course.models.layers import (
    bias_of,
    find_adapters,
    find_layers,
    find_overlaps,
    out_in,
    prunable_layers,
    shorten,
    tied_layers,
    weight_of,
)
from pruning_course.models.layout import Layout, find_layout, find_layouts, is_inside
from pruning_course.models.left_out import find_left_out
from pruning_course.models.modes import eval_mode
from pruning_course.models.units import BlockSize, Units, find_units, head_size, measure_blocks
from pruning_course.models.visible import check_visible

__all__ = [
    "FAMILIES",
    "ROLES",
    "STRUCTURES",
    "BlockSize",
    "Constant",
    "Family",
    "HeadlessAttention",
    "Layout",
    "Units",
    "bias_of",
    "check_visible",
    "eval_mode",
    "find_adapters",
    "find_layers",
    "find_layout",
    "find_layouts",
    "find_left_out",
    "find_overlaps",
    "find_units",
    "head_size",
    "is_inside",
    "measure_blocks",
    "out_in",
    "prunable_layers",
    "shorten",
    "tied_layers",
    "weight_of",
]
