"""A removed unit whose output does not depend on the input adds this constant to the next bias."""

from collections.abc import Callable
from operator import attrgetter

import torch
from torch import Tensor, nn

from pruning_course.models import Layout, Units, bias_of, find_units, out_in, weight_of
from pruning_course.shrink.removal import Removal


@torch.no_grad()
def fold_constants(model: nn.Module, layout: Layout, removal: Removal) -> None:
    """Add the outputs of the constant units in `removal` to the bias of the layer that they lead to.

    A neuron is constant if all its incoming weights are 0: its output is activation(bias), times the other bias if
    there is a gate. An attention head is constant if its value weights are 0: attention weights sum to 1, so its output
    is its value bias. Other units add nothing. (torch.ao.pruning does the same for neurons.)

    Raises ValueError, before anything is changed, if a sum is not 0 and there is no bias that could take it.
    """
    sums = []
    for structure, removed in (("neuron", removal.neurons), ("head", removal.heads)):
        compute = _compute_neurons if structure == "neuron" else _compute_heads
        for group in find_units(layout, structure) if removed else ():
            chosen = torch.tensor(removed.get(group.block, ()), dtype=torch.long)
            if len(chosen):
                constants = compute(model, layout, group, chosen)  # (chosen, columns of each)
                [(name, columns)] = group.columns.items()
                weight = weight_of(model.get_submodule(name))
                of_chosen = out_in(model.get_submodule(name), weight)[:, columns[chosen].flatten().to(weight.device)]
                sums.append((name, of_chosen.to(constants) @ constants.flatten()))
    biases = {name: bias_of(model.get_submodule(name)) for name, _ in sums}
    for name, constant in sums:
        if biases[name] is None and constant.any():
            raise ValueError(f"{name} has no bias that could take the constant of the removed units; use fold=False.")
    for name, constant in sums:
        if (bias := biases[name]) is not None:
            bias.copy_(bias.to(constant) + constant)


def _compute_neurons(model: nn.Module, layout: Layout, group: Units, chosen: Tensor) -> Tensor:
    activation: Callable[[Tensor], Tensor] = attrgetter(layout.family.activation)(layout.blocks[group.block])
    biases = [_read_biases(model.get_submodule(name), rows[chosen]) for name, rows in group.rows.items()]
    inner, *others = torch.cat(biases, dim=1).split(1, dim=1)  # (chosen, 1) each, from two layers or a fused one
    constants = activation(inner)
    for other in others:
        constants = constants * other
    return constants.nan_to_num(0.0)


def _compute_heads(model: nn.Module, layout: Layout, group: Units, chosen: Tensor) -> Tensor:
    name = [*group.rows][-1]  # values come last, also in a fused layer
    [columns] = group.columns.values()
    values = group.rows[name][chosen]
    if len(layout.family.qkv) == 1:
        values = values[:, -columns.shape[1] :]
    constants = _read_biases(model.get_submodule(name), values).nan_to_num(0.0)
    return constants.repeat(1, columns.shape[1] // constants.shape[1])  # every query of a group reads the same value


def _read_biases(layer: nn.Module, rows: Tensor) -> Tensor:
    """Return the biases of `rows` (any shape), float32 or float64; NaN if the weights of a row are not all 0."""
    weight, bias = weight_of(layer), bias_of(layer)
    rows = rows.to(weight.device)
    constant = ~out_in(layer, weight)[rows].any(-1)
    dtype = torch.promote_types(weight.dtype, torch.float32)
    biases = torch.zeros_like(constant, dtype=dtype) if bias is None else bias[rows].to(dtype)
    return biases.where(constant, torch.nan)
