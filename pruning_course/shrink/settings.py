"""What the config of a shrunk model says."""

import copy

from torch import nn

from pruning_course.shrink.removal import Removal
from pruning_course.structures import attention_of, blocks, sizes

FFN_WIDTH = {"distilbert": "hidden_dim", "gpt2": "n_inner"}  # elsewhere intermediate_size
GROUPED = ("llama", "qwen2", "mistral")  # their config has a head_dim of its own, so it can express fewer heads


def check_settings(model: nn.Module, removal: Removal) -> None:
    """ValueError where a block computes something from its own number, so that those after it would change."""
    if removal.layers and any(getattr(config, "scale_attn_by_inverse_layer_idx", False) for config in _configs(model)):
        raise ValueError(
            "The attention scores of this model are divided by the number of the layer "
            "(scale_attn_by_inverse_layer_idx), so no layer can be taken out without changing those after it."
        )


def write_settings(model: nn.Module, removal: Removal) -> None:
    """Bring the config in line with `model`, which has lost `removal`, as far as it has words for it.

    The number of layers always. A width only where all blocks have the same and `from_pretrained` would build it.
    """
    family, _, found = blocks(model)
    widths = sizes(model)
    neurons, heads = {size.neurons for size in widths}, {size.heads for size in widths}
    for config in _own_configs(model):
        config.num_hidden_layers = len(found)
        if getattr(config, "layer_types", None) is not None:
            config.layer_types = [t for n, t in enumerate(config.layer_types) if n not in removal.layers]
        if len(neurons) == 1 and 0 not in neurons:
            setattr(config, FFN_WIDTH.get(config.model_type, "intermediate_size"), *neurons)
        if config.model_type in GROUPED and len(heads) == 1 and 0 not in heads:
            attention = attention_of(family, found[0])
            [count] = heads
            queries = count * attention.num_key_value_groups
            if config.hidden_size % queries == 0:  # transformers 5 refuses other configs
                config.head_dim = attention.head_dim
                config.num_key_value_heads, config.num_attention_heads = count, queries


def _configs(model: nn.Module) -> list:
    """The configs of the family that parts of `model` hold, once each."""
    family, _, _ = blocks(model)
    found = {id(module.config): module.config for module in model.modules() if hasattr(module, "config")}
    return [config for config in found.values() if getattr(config, "model_type", None) in family.model_types]


def _own_configs(model: nn.Module) -> list:
    """The same, after `model` has got copies: another model may hold the same config, and LLaMA's number of layers is
    read from it at every call."""
    copies = {id(config): copy.deepcopy(config) for config in _configs(model)}
    for module in model.modules():
        if id(getattr(module, "config", None)) in copies:
            module.config = copies[id(module.config)]
    return list(copies.values())
