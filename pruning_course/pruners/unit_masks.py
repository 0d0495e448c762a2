"""Which units of a model may be pruned, and from the kept ones to masks of weights and biases, or to a removal."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pruning_course.models import Layout, Units, bias_of, out_in, shorten, weight_of
from pruning_course.shrink import Removal


def choose_units(groups: Mapping[str, Units], layers: Mapping[str, nn.Module]) -> dict[str, Units]:
    """Return the groups that have units, all in `layers`.

    Raises ValueError if only some of the layers that hold the units of a group are in `layers`.
    """
    chosen = {}
    for name, group in groups.items():
        excluded = [layer for layer in (*group.rows, *group.columns) if layer not in layers]
        if group.count and not excluded:
            chosen[name] = group
        elif group.count and len(excluded) < len(group.rows) + len(group.columns):
            raise ValueError(
                f"exclude leaves out {shorten(excluded)}, but not all layers that hold the units of {name}; all of "
                "them or none can be left out."
            )
    return chosen


def make_removal(structure: str, kept: Mapping[str, Tensor]) -> Removal:
    """Return what to cut out where `kept` is False: block, or "layers" for whole blocks, to bool (units,)."""
    removed = {name: (~units).nonzero().flatten().tolist() for name, units in kept.items()}
    if structure == "layer":
        return Removal(layers=removed.get("layers", ()))
    by_block = {int(name.rpartition(".")[2]): numbers for name, numbers in removed.items()}
    return Removal(neurons=by_block) if structure == "neuron" else Removal(heads=by_block)


def mask_units(
    layers: Mapping[str, nn.Module], groups: Mapping[str, Units], kept: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return masks for `layers` and their biases, False for everything that belongs to a unit which is not kept.

    `groups` maps any names to units of these layers, and `kept` maps the same names to bool (units,), True = kept.
    """
    masks = _keep_all(layers)
    for name, group in groups.items():
        removed = ~kept[name].cpu()
        for layer, rows in group.rows.items():
            out_in(layers[layer], masks[layer])[rows[removed].flatten()] = False  # writes through a view into the mask
            if f"{layer}.bias" in masks:
                masks[f"{layer}.bias"][rows[removed].flatten()] = False
        for layer, columns in group.columns.items():
            out_in(layers[layer], masks[layer])[:, columns[removed].flatten()] = False
    return masks


def mask_blocks(layers: Mapping[str, nn.Module], layout: Layout, kept: Tensor) -> dict[str, Tensor]:
    """Return masks for `layers` and their biases, False in the blocks that are not kept; `kept` is bool (blocks,)."""
    masks = _keep_all(layers)
    for name, mask in masks.items():
        mask.fill_(bool(kept[layout.block_of(name)]))
    return masks


def _keep_all(layers: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    masks = {}
    for name, layer in layers.items():
        masks[name] = torch.ones_like(weight_of(layer), dtype=torch.bool)
        if (bias := bias_of(layer)) is not None:
            masks[f"{name}.bias"] = torch.ones_like(bias, dtype=torch.bool)
    return masks
