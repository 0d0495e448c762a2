"""Bring the config of a shrunk model in line with its blocks."""

import copy
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from pruning_course.models import Layout, is_inside, measure_blocks
from pruning_course.shrink.removal import Removal

PER_LAYER = ("layer_types", "no_rope_layers")  # lists in a config that have one entry for each block


def check_settings(layout: Layout, removal: Removal) -> None:
    """Raise ValueError if blocks are to be removed and what the others compute depends on their own number."""
    if 0 in removal.layers and (getattr(layout.config, "conv_kernel_size", None) or 0) > 0:
        raise ValueError(
            "This model adds a convolution to the output of its first layer (conv_kernel_size), so removing that layer "
            "would change the layer after it."
        )
    if removal.layers and getattr(layout.config, "scale_attn_by_inverse_layer_idx", False):
        raise ValueError(
            "The attention scores of this model are divided by the number of the layer "
            "(scale_attn_by_inverse_layer_idx), so removing a layer would change the layers after it."
        )


def write_settings(model: nn.Module, layout: Layout, removal: Removal) -> None:
    """Write the sizes of the blocks of `model`, which have lost `removal`, into the config if it can express them.

    It can always express the number of blocks, but a width only if all blocks share it and transformers accepts it.
    """
    config, family, sizes = _own_config(model, layout), layout.family, measure_blocks(layout)
    neurons, heads = {size.neurons for size in sizes}, {size.heads for size in sizes}
    if removal.layers:
        config.num_hidden_layers = len(sizes)
        for name in PER_LAYER:
            if (old := getattr(config, name, None)) is not None:
                setattr(config, name, [value for block, value in enumerate(old) if block not in removal.layers])
    if len(neurons) == 1 and 0 not in neurons:
        setattr(config, family.ffn_width, *neurons)
    if family.has_head_dim and len(heads) == 1 and 0 not in heads:
        attention = layout.attention_of(0)
        [count] = heads
        queries = count * getattr(attention, "num_key_value_groups", 1)
        if config.hidden_size % queries == 0:  # transformers 5 refuses other configs
            config.head_dim = attention.head_dim
            config.num_key_value_heads, config.num_attention_heads = count, queries


def _own_config(model: nn.Module, layout: Layout) -> Any:
    """Replace the config of the blocks by a copy, also inside the configs of models around them, and return it.

    Another model, or another tower of this one, may share the config, and LLaMA reads its number of blocks from it at
    every call.
    """
    own = copy.deepcopy(layout.config)
    modules = dict(model.named_modules())
    around = [name for name in modules if is_inside(layout.path, name)]
    tower = ([name for name in around if isinstance(modules[name], PreTrainedModel)] or around)[-1]
    for name, module in modules.items():
        config: Any = getattr(module, "config", None)
        if config is layout.config and (name in around or is_inside(name, tower)):
            module.config = own
        elif name in around and (
            parts := [part for part, value in vars(config or own).items() if value is layout.config]
        ):
            module.config = copy.copy(config)
            for part in parts:
                setattr(module.config, part, own)
    return own
