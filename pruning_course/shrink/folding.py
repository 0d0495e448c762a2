"""A removed unit that gives the same for every input leaves that to the next bias."""

from operator import attrgetter

import torch
from torch import Tensor, nn

from pruning_course.models import Layout, Units, find_units, out_in
from pruning_course.shrink.removal import Removal


@torch.no_grad()
def fold_constants(model: nn.Module, layout: Layout, removal: Removal) -> None:
    """Add what the constant ones among the units of `removal` give out to the bias of the layer that they lead to.

    A neuron is constant where all its incoming weights are 0: it gives activation(bias), times the other bias behind a
    gate. A head is constant where its value weights are 0: attention sums to 1, so whatever it looks at, it gives its
    value bias. What is not constant adds nothing. (torch.ao.pruning does so for neurons.)

    Raises ValueError, before anything is changed, where there is something to add and no bias to add it to.
    """
    sums = []
    for kind, gone in (("neuron", removal.neurons), ("head", removal.heads)):
        for group in find_units(layout, kind):
            chosen = torch.tensor(gone.get(group.block, ()), dtype=torch.long)
            if len(chosen):
                compute = _compute_neurons if kind == "neuron" else _compute_heads
                constants = compute(model, layout, group, chosen)  # (chosen, columns of each)
                [(name, columns)] = group.columns.items()
                layer = model.get_submodule(name)
                weight = out_in(layer, layer.weight)[:, columns[chosen].flatten().to(layer.weight.device)]
                sums.append((name, layer, weight.to(constants) @ constants.flatten()))
    for name, layer, added in sums:
        if layer.bias is None and added.any():
            raise ValueError(f"{name} has no bias that could take what the removed units always give; use fold=False.")
    for _, layer, added in sums:
        if layer.bias is not None:
            layer.bias.copy_(layer.bias.to(added) + added)


def _compute_neurons(model: nn.Module, layout: Layout, group: Units, chosen: Tensor) -> Tensor:
    activation = attrgetter(layout.family.activation)(layout.blocks[group.block])
    inner, *others = [_read_biases(model.get_submodule(name), rows[chosen]) for name, rows in group.rows.items()]
    constants = activation(inner)
    for other in others:
        constants = constants * other
    return constants.nan_to_num(0.0)


def _compute_heads(model: nn.Module, layout: Layout, group: Units, chosen: Tensor) -> Tensor:
    name = [*group.rows][-1]  # values come last, in a fused layer too
    [columns] = group.columns.values()
    values = group.rows[name][chosen]
    if len(layout.family.qkv) == 1:
        values = values[:, -columns.shape[1] :]
    constants = _read_biases(model.get_submodule(name), values).nan_to_num(0.0)
    return constants.repeat(1, columns.shape[1] // constants.shape[1])  # every query of a group reads the same value


def _read_biases(layer: nn.Module, rows: Tensor) -> Tensor:
    """The biases of `rows` (any shape) of a layer, float32 at least; NaN where the weights of a row are not all 0."""
    rows = rows.to(layer.weight.device)
    constant = ~out_in(layer, layer.weight)[rows].any(-1)
    dtype = torch.promote_types(layer.weight.dtype, torch.float32)
    bias = constant.new_zeros(constant.shape, dtype=dtype) if layer.bias is None else layer.bias[rows].to(dtype)
    return bias.where(constant, torch.nan)
