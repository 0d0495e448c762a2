"""Masks for whole neurons, attention heads and blocks."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pruning_course.models import Layout, Units, out_in


def mask_units(
    layers: Mapping[str, nn.Module], groups: Mapping[str, Units], kept: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Masks for `layers` and their biases, for `Masks.apply`: False for all that belongs to a unit that is not kept.

    `layers`: name to module; `groups`: any name to units of these layers; `kept`: the same names to bool (units,).
    """
    masks = _keep_all(layers)
    for name, group in groups.items():
        gone = ~kept[name].cpu()
        for layer, rows in group.rows.items():
            out_in(layers[layer], masks[layer])[rows[gone].flatten()] = False
            if f"{layer}.bias" in masks:
                masks[f"{layer}.bias"][rows[gone].flatten()] = False
        for layer, columns in group.columns.items():
            out_in(layers[layer], masks[layer])[:, columns[gone].flatten()] = False
    return masks


def mask_blocks(layers: Mapping[str, nn.Module], layout: Layout, kept: Tensor) -> dict[str, Tensor]:
    """Masks for `layers` and their biases, False in the blocks that are not kept; `kept`: bool (blocks,)."""
    masks = _keep_all(layers)
    for name, mask in masks.items():
        mask.fill_(bool(kept[layout.block_of(name)]))
    return masks


def _keep_all(layers: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    masks = {}
    for name, layer in layers.items():
        masks[name] = torch.ones_like(layer.weight, dtype=torch.bool)
        if layer.bias is not None:
            masks[f"{name}.bias"] = torch.ones_like(layer.bias, dtype=torch.bool)
    return masks
