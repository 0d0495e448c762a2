"""What the config of a shrunk model says."""

import copy

from torch import nn

from pruning_course.models import Layout, measure_blocks
from pruning_course.shrink.removal import Removal


def check_settings(layout: Layout, removal: Removal) -> None:
    """ValueError where a block computes something from its own number, so that those after it would change."""
    if removal.layers and getattr(layout.config, "scale_attn_by_inverse_layer_idx", False):
        raise ValueError(
            "The attention scores of this model are divided by the number of the layer "
            "(scale_attn_by_inverse_layer_idx), so no layer can be taken out without changing those after it."
        )


def write_settings(model: nn.Module, layout: Layout, removal: Removal) -> None:
    """Bring the config in line with the blocks of `model`, which have lost `removal`, as far as it has words for it.

    The number of layers always. A width only where all blocks have the same and `from_pretrained` would build it.
    """
    config, family, sizes = _own_config(model, layout), layout.family, measure_blocks(layout)
    neurons, heads = {size.neurons for size in sizes}, {size.heads for size in sizes}
    config.num_hidden_layers = len(sizes)
    if getattr(config, "layer_types", None) is not None:
        config.layer_types = [t for n, t in enumerate(config.layer_types) if n not in removal.layers]
    if len(neurons) == 1 and 0 not in neurons:
        setattr(config, family.ffn_width, *neurons)
    if family.has_head_dim and len(heads) == 1 and 0 not in heads:
        attention = layout.attention_of(0)
        [count] = heads
        queries = count * attention.num_key_value_groups
        if config.hidden_size % queries == 0:  # transformers 5 refuses other configs
            config.head_dim = attention.head_dim
            config.num_key_value_heads, config.num_attention_heads = count, queries


def _own_config(model: nn.Module, layout: Layout):
    """The config of the blocks, after `model` has got a copy of it.

    Another model may hold the same one, and LLaMA reads its number of layers from it at every call.
    """
    own = copy.deepcopy(layout.config)
    for module in model.modules():
        if getattr(module, "config", None) is layout.config:
            module.config = own
    return own
