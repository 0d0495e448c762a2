"""Cut neurons, attention heads and blocks out of a transformer."""

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from pruning_course.masks import Masks, warn_unless
from pruning_course.models import Constant, HeadlessAttention, Layout, Units, bias_of, find_layout, find_units, out_in
from pruning_course.models.units import head_size
from pruning_course.shrink.folding import fold_constants
from pruning_course.shrink.removal import Removal
from pruning_course.shrink.settings import check_settings, write_settings


def shrink(model: nn.Module, removal: Removal, fold: bool = False, inside: str | None = None) -> nn.Module:
    """Cut what `removal` names out of `model`, in place (also on the meta device), and return it.

    A neuron is a row of one matrix (of two, if there is a gate) and a column of the next. An attention head consists of
    rows of the query, key and value projections and columns of the output projection. The smaller model computes what
    the model computes if the removed neurons and attention heads, with their biases, are set to zero. Removed blocks
    leave the list, and the remaining blocks of a decoder are renumbered for its cache. If a block loses all neurons or
    all attention heads, a `Constant` and a `HeadlessAttention` take their place; `measure_blocks` counts what is left.

    The cut weights are new Parameters with the dtype, device and requires_grad of the old ones, so the optimizer must
    be created afterwards. The config states what it can express: the number of blocks, and a width that all share.

    Args:
        fold: add the constant output of removed units to the next bias, so that the smaller model computes exactly what
            the model computed. A unit is constant if the weights that lead into it are 0 while its bias is not.
        inside: the dotted name of the part of `model` that is cut; needed if it has several lists of blocks.

    Raises ValueError if the model does not belong to a known family, or to one out of which this cannot be cut
    (`Family.uncut`); if it has several lists of blocks, lacks something that should be removed, or would lose all
    blocks; if it would lose some and computes something from the number of a block; with `fold`, if there is a constant
    and no bias that could take it. The model is then unchanged.
    """
    layout = find_layout(model, inside)
    removal.check(layout)
    for masks in Masks.of(model):
        warn_unless(masks.check(), model)
    check_settings(layout, removal)
    if fold:
        fold_constants(model, layout, removal)
    for structure, removed in (("neuron", removal.neurons), ("head", removal.heads)):
        narrow = _narrow_ffn if structure == "neuron" else _narrow_attention
        for group in find_units(layout, structure) if removed else ():
            if group.block in removed and group.block not in removal.layers:
                keep = torch.ones(group.count, dtype=torch.bool)
                keep[list(removed[group.block])] = False
                narrow(model, layout, group, keep)
    for block in reversed(removal.layers):
        del layout.blocks[block]
    if removal.layers:
        _renumber(layout.blocks)
        _write(model.get_submodule(_parent(layout.path)), ("n_layers",), len(layout.blocks))
    write_settings(model, layout, removal)
    return model


def _narrow_ffn(model: nn.Module, layout: Layout, group: Units, keep: Tensor) -> None:
    family, block = layout.family, layout.blocks[group.block]
    if keep.any():
        _cut(model, group, keep)
        _write(block.get_submodule(_parent(family.ffn_out)), ("intermediate_size",), int(keep.sum()))
        return
    constant = _make_constant(block.get_submodule(family.ffn_out))
    for layer in family.ffn_in:
        block.set_submodule(layer, nn.Identity())  # passes its input on to the constant, which ignores the values
    block.set_submodule(family.ffn_out, constant)


def _narrow_attention(model: nn.Module, layout: Layout, group: Units, keep: Tensor) -> None:
    family, block, attention = layout.family, layout.blocks[group.block], layout.attention_of(group.block)
    if keep.any():
        _cut(model, group, keep)
        queries = int(keep.sum()) * getattr(attention, "num_key_value_groups", 1)
        _write(attention, family.heads, queries)
        _write(attention, family.width, queries * head_size(attention))
        return
    constant = _make_constant(block.get_submodule(family.attention_output))
    left = HeadlessAttention(getattr(attention, "layer_idx", None), getattr(attention, "is_sliding", None))
    block.set_submodule(_parent(family.qkv[0]), left)
    block.set_submodule(family.attention_output, constant)


def _write(module: nn.Module, names: tuple[str, ...], size: int) -> None:
    """Set those attributes that `module` has: modules store their sizes under names that differ between versions."""
    for name in names:
        if hasattr(module, name):
            setattr(module, name, size)


def _parent(name: str) -> str:
    return name.rpartition(".")[0]


def _cut(model: nn.Module, group: Units, keep: Tensor) -> None:
    for name, rows in group.rows.items():
        layer = model.get_submodule(name)
        kept = rows[keep].flatten().sort().values
        _select(layer, "weight", kept, dim=1 if isinstance(layer, Conv1D) else 0)
        if bias_of(layer) is not None:
            _select(layer, "bias", kept, dim=0)
        setattr(layer, "nf" if isinstance(layer, Conv1D) else "out_features", len(kept))
    for name, columns in group.columns.items():
        layer = model.get_submodule(name)
        kept = columns[keep].flatten()
        _select(layer, "weight", kept, dim=0 if isinstance(layer, Conv1D) else 1)
        setattr(layer, "nx" if isinstance(layer, Conv1D) else "in_features", len(kept))


def _select(layer: nn.Module, name: str, kept: Tensor, dim: int) -> None:
    old = layer.get_parameter(name)
    new = old.detach().index_select(dim, kept.to(old.device))
    setattr(layer, name, nn.Parameter(new, requires_grad=old.requires_grad))


def _make_constant(layer: nn.Module) -> Constant:
    return Constant(out_in(layer, layer.get_parameter("weight")).shape[0], bias_of(layer))


def _renumber(blocks: nn.ModuleList) -> None:
    for number, block in enumerate(blocks):
        for module in block.modules():
            if isinstance(getattr(module, "layer_idx", None), int):
                _write(module, ("layer_idx",), number)
