"""Which numbers of a transformer belong to one neuron, to one head, to one block."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from pruning_course.architectures import FAMILIES, Family, family_of, out_in
from pruning_course.empty import Constant

PARTS = {
    "neuron": "ffn",
    "head": "attention",
    "layer": "encoder",
}  # the structures, and what `prunable_layers` calls it


@dataclass(frozen=True, eq=False)
class Units:
    """The neurons of an FFN or the heads of an attention, and what of which linear layer belongs to each of them.

    A unit is rows (outputs) of the layers that lead into it AND columns (inputs) of the layer that leads out of it, in
    whichever direction the weights are stored. A row's bias belongs to it. Under grouped-query attention a head is a
    key-value head with all its queries. Where a block has none left, there are no layers and `count` is 0.
    """

    block: int
    count: int
    rows: dict[str, Tensor]  # layer name to int64 (count, rows of each unit)
    columns: dict[str, Tensor]  # layer name to int64 (count, columns of each unit)


@dataclass(frozen=True)
class BlockSize:
    """How many neurons and heads a block has."""

    neurons: int
    heads: int


def blocks(model: nn.Module) -> tuple[Family, str, nn.ModuleList]:
    """The family of `model`, the dotted name of its list of blocks, and that list.

    Raises ValueError for a model of no known family, or one without such a list.
    """
    family = family_of(model)
    for name, module in model.named_modules():
        if family and isinstance(module, nn.ModuleList) and f".{name}".endswith(f".{family.blocks}"):
            return family, name, module
    known = ", ".join(name for known in FAMILIES for name in known.model_types)
    raise ValueError(f"{type(model).__name__} has no blocks of a known family; the families are {known}.")


def units(model: nn.Module, structure: str) -> list[Units]:
    """The units of each block, in order; `structure` is "neuron" or "head".

    Raises ValueError as `blocks`, and where a layer of a block is no ordinary Linear or Conv1D.
    """
    family, name, found = blocks(model)
    make = {"neuron": _neurons, "head": _heads}[structure]
    return [make(family, f"{name}.{index}", index, block) for index, block in enumerate(found)]


def sizes(model: nn.Module) -> list[BlockSize]:
    """How many neurons and heads each block of `model` has; under grouped-query attention, how many key-value heads.

    Raises as `units`.
    """
    pairs = zip(units(model, "neuron"), units(model, "head"), strict=True)
    return [BlockSize(neurons.count, heads.count) for neurons, heads in pairs]


def masks_of_units(
    layers: Mapping[str, nn.Module], groups: Mapping[str, Units], kept: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Masks for `layers` and their biases, for `Masks.apply`: False for all that belongs to a unit that is not kept.

    `layers`: name to module; `groups`: any name to units of these layers; `kept`: the same names to bool (units,).
    """
    masks = _all_kept(layers)
    for name, group in groups.items():
        gone = ~kept[name].cpu()
        for layer, rows in group.rows.items():
            out_in(layers[layer], masks[layer])[rows[gone].flatten()] = False
            if f"{layer}.bias" in masks:
                masks[f"{layer}.bias"][rows[gone].flatten()] = False
        for layer, columns in group.columns.items():
            out_in(layers[layer], masks[layer])[:, columns[gone].flatten()] = False
    return masks


def masks_of_blocks(layers: Mapping[str, nn.Module], path: str, kept: Tensor) -> dict[str, Tensor]:
    """Masks for `layers` and their biases, False in the blocks that are not kept.

    `path`: of the list of blocks; `kept`: bool (blocks,).
    """
    masks = _all_kept(layers)
    for name, mask in masks.items():
        mask.fill_(bool(kept[block_of(name, path)]))
    return masks


def block_of(name: str, path: str) -> int:
    """The number of the block in which the layer `name` lies; `path`: of the list of blocks."""
    return int(name.removeprefix(f"{path}.").partition(".")[0])


def _all_kept(layers: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    masks = {}
    for name, layer in layers.items():
        masks[name] = torch.ones_like(layer.weight, dtype=torch.bool)
        if layer.bias is not None:
            masks[f"{name}.bias"] = torch.ones_like(layer.bias, dtype=torch.bool)
    return masks


def _neurons(family: Family, name: str, index: int, block: nn.Module) -> Units:
    if isinstance(block.get_submodule(family.ffn_out), Constant):
        return Units(index, 0, {}, {})
    count = _features(block, family.ffn_out, name)[1]
    own = torch.arange(count).unsqueeze(1)
    return Units(index, count, {f"{name}.{layer}": own for layer in family.ffn_in}, {f"{name}.{family.ffn_out}": own})


def _heads(family: Family, name: str, index: int, block: nn.Module) -> Units:
    if isinstance(block.get_submodule(family.attention_output), Constant):
        return Units(index, 0, {}, {})
    size = head_size(attention_of(family, block))
    parts = 3 if len(family.qkv) == 1 else 1  # q, k and v one after the other in one layer
    outputs = {layer: _features(block, layer, name)[0] for layer in family.qkv}
    count = outputs[family.qkv[-1]] // parts // size

    def share(features: int, parts: int = 1) -> Tensor:
        return torch.arange(features).view(parts, count, -1).transpose(0, 1).reshape(count, -1)

    return Units(
        index,
        count,
        {f"{name}.{layer}": share(features, parts) for layer, features in outputs.items()},
        {f"{name}.{family.attention_output}": share(_features(block, family.attention_output, name)[1])},
    )


def attention_of(family: Family, block: nn.Module) -> nn.Module:
    """The module of `block` that holds the projections into the heads."""
    return block.get_submodule(family.qkv[0].rpartition(".")[0])


def head_size(attention: nn.Module) -> int:
    """How many numbers a head has for each token."""
    return getattr(attention, "head_dim", None) or attention.attention_head_size


def _features(block: nn.Module, layer: str, name: str) -> tuple[int, int]:
    """(outputs, inputs) of a linear layer."""
    module = block.get_submodule(layer)
    if not (isinstance(module, nn.Linear | Conv1D) and isinstance(module.weight, nn.Parameter)):
        raise ValueError(
            f"{name}.{layer} is {type(module).__name__}; only a Linear or Conv1D whose weight is an ordinary Parameter "
            "has neurons or heads to cut."
        )
    return tuple(module.weight.shape[::-1] if isinstance(module, Conv1D) else module.weight.shape)
