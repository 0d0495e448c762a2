"""Cut neurons, heads and layers out of a transformer for good."""

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from pruning_course.models import Constant, HeadlessAttention, Layout, Units, find_layout, find_units, head_size
from pruning_course.shrink.folding import fold_constants
from pruning_course.shrink.removal import Removal
from pruning_course.shrink.settings import check_settings, write_settings


def shrink(model: nn.Module, removal: Removal, fold: bool = False) -> nn.Module:
    """Cut what `removal` names out of `model`, in place, and return it.

    A neuron is a row of one matrix and a column of the next (with a gate: of two, and of the next), a head rows of the
    query, key and value projections and columns of the output projection. What is left computes as before: the smaller
    model gives what the model gives whose removed neurons and heads are set to zero, biases included. Blocks are
    taken out of the list, and a decoder's blocks renumbered for its cache.

    With `fold`, a neuron or head that is removed but still gives a constant, because only the weights that lead into it
    are 0 and not its bias, adds that constant to the bias of the next layer: then the smaller model gives exactly what
    the model gave. See `pruning_course.shrink.folding`.

    A block may lose all neurons or all heads: its layer that leads out becomes a `Constant` (its bias), and an
    attention without heads a `HeadlessAttention`. `sizes` reads the widths of every block.

    Cut weights are new Parameters with the dtype, device and requires_grad of the old: make the optimizer afterwards.
    The config says what it can express (the number of layers; a width that all blocks share). Works on the meta device.

    Raises:
        ValueError: a model of no known family, something to remove that the model lacks, all layers, or layers of a
            GPT-2 that divides attention scores by the layer's number (`scale_attn_by_inverse_layer_idx`); with `fold`,
            a constant and no bias to add it to. The model is then as it was.
    """
    removal.check(model)
    layout = find_layout(model)
    check_settings(layout, removal)
    if fold:
        fold_constants(model, layout, removal)
    for kind, gone in (("neuron", removal.neurons), ("head", removal.heads)):
        for group in find_units(layout, kind):
            if group.block in gone and group.block not in removal.layers:
                keep = torch.ones(group.count, dtype=torch.bool)
                keep[list(gone[group.block])] = False
                narrow = _narrow_ffn if kind == "neuron" else _narrow_attention
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
    out = _make_constant(block.get_submodule(family.ffn_out))
    for layer in family.ffn_in:
        block.set_submodule(layer, nn.Identity())  # what comes in goes through to the constant, which ignores it
    block.set_submodule(family.ffn_out, out)


def _narrow_attention(model: nn.Module, layout: Layout, group: Units, keep: Tensor) -> None:
    family, block, attention = layout.family, layout.blocks[group.block], layout.attention_of(group.block)
    if keep.any():
        _cut(model, group, keep)
        queries = int(keep.sum()) * getattr(attention, "num_key_value_groups", 1)
        _write(attention, family.heads, queries)
        _write(attention, family.width, queries * head_size(attention))
        return
    out = _make_constant(block.get_submodule(family.attention_output))
    block.set_submodule(_parent(family.qkv[0]), HeadlessAttention(getattr(attention, "layer_idx", None)))
    block.set_submodule(family.attention_output, out)


def _write(module: nn.Module, names: tuple[str, ...], size: int) -> None:
    """Modules carry their own sizes, under names that differ between versions: set those that it has."""
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
        if layer.bias is not None:
            _select(layer, "bias", kept, dim=0)
        setattr(layer, "nf" if isinstance(layer, Conv1D) else "out_features", len(kept))
    for name, columns in group.columns.items():
        layer = model.get_submodule(name)
        kept = columns[keep].flatten()
        _select(layer, "weight", kept, dim=0 if isinstance(layer, Conv1D) else 1)
        setattr(layer, "nx" if isinstance(layer, Conv1D) else "in_features", len(kept))


def _select(layer: nn.Module, name: str, kept: Tensor, dim: int) -> None:
    old = getattr(layer, name)
    new = old.detach().index_select(dim, kept.to(old.device))
    setattr(layer, name, nn.Parameter(new, requires_grad=old.requires_grad))


def _make_constant(layer: nn.Module) -> Constant:
    outputs = layer.weight.shape[1 if isinstance(layer, Conv1D) else 0]
    return Constant(outputs, layer.bias)


def _renumber(blocks: nn.ModuleList) -> None:
    for number, block in enumerate(blocks):
        for module in block.modules():
            if isinstance(getattr(module, "layer_idx", None), int):
                module.layer_idx = number
