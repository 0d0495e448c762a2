"""Which weights and biases of a transformer belong to one neuron or to one attention head."""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from pruning_course.models.empty import Constant
from pruning_course.models.layers import out_in
from pruning_course.models.layout import Layout


@dataclass(frozen=True, eq=False)
class Units:
    """The neurons of an FFN or the attention heads of a block, with the rows and columns that belong to each of them.

    A unit owns rows (outputs, with their biases) of the layers that lead into it, and columns (inputs) of the layer
    that leads out of it, whether weights are stored as (out, in) or (in, out). With grouped-query attention, an
    attention head is a key-value head with all its queries. Without any units, there are no layers and `count` is 0.
    """

    block: int
    count: int
    rows: dict[str, Tensor]  # layer name to int64 (count, rows of each unit)
    columns: dict[str, Tensor]  # layer name to int64 (count, columns of each unit)


@dataclass(frozen=True)
class BlockSize:
    """How many neurons and attention heads (with grouped-query attention: key-value heads) a block has.

    Either is 0 if the family of the model is one out of which they cannot be cut.
    """

    neurons: int
    heads: int


def find_units(layout: Layout, structure: str) -> list[Units]:
    """Return the units of each block, in order; `structure` is "neuron" or "head".

    Raises ValueError if they cannot be cut out of the model's family, or a layer is not an ordinary Linear or Conv1D.
    """
    layout.check_cut(structure)
    find = {"neuron": _find_neurons, "head": _find_heads}[structure]
    return [find(layout, block) for block in range(len(layout.blocks))]


def measure_blocks(layout: Layout) -> list[BlockSize]:
    """Count the neurons and attention heads of each block.

    Raises ValueError if a layer of a block is not an ordinary Linear or Conv1D.
    """
    counts = [
        [0] * len(layout.blocks)
        if structure in layout.family.uncut
        else [units.count for units in find_units(layout, structure)]
        for structure in ("neuron", "head")
    ]
    return [BlockSize(neurons, heads) for neurons, heads in zip(*counts, strict=True)]


def head_size(attention: nn.Module) -> int:
    """Return how many numbers an attention head computes for each token."""
    return cast(int, getattr(attention, "head_dim", None) or attention.attention_head_size)


def _find_neurons(layout: Layout, block: int) -> Units:
    family, name = layout.family, f"{layout.path}.{block}"
    if isinstance(layout.blocks[block].get_submodule(family.ffn_out), Constant):
        return Units(block, 0, {}, {})
    count = _width(layout, block, family.ffn_out)[1]
    outputs = {layer: _width(layout, block, layer)[0] for layer in family.ffn_in}
    return Units(
        block,
        count,
        # A fused layer has two outputs for each neuron, the gates one after the other and then the rest.
        {f"{name}.{layer}": torch.arange(features).view(-1, count).t() for layer, features in outputs.items()},
        {f"{name}.{family.ffn_out}": torch.arange(count).unsqueeze(1)},
    )


def _find_heads(layout: Layout, block: int) -> Units:
    family, name = layout.family, f"{layout.path}.{block}"
    if isinstance(layout.blocks[block].get_submodule(family.attention_output), Constant):
        return Units(block, 0, {}, {})
    size = head_size(layout.attention_of(block))
    fused = 3 if len(family.qkv) == 1 else 1  # query, key and value one after the other in one layer
    inside = dict(layout.blocks[block].named_modules())
    layers = (*(layer for layer in family.positions if layer in inside), *family.qkv)
    outputs = {layer: _width(layout, block, layer)[0] for layer in layers}
    count = outputs[family.qkv[-1]] // fused // size

    def share(features: int, fused: int = 1) -> Tensor:
        return torch.arange(features).view(fused, count, -1).transpose(0, 1).reshape(count, -1)

    inputs = _width(layout, block, family.attention_output)[1]
    return Units(
        block,
        count,
        {f"{name}.{layer}": share(features, fused) for layer, features in outputs.items()},
        {f"{name}.{family.attention_output}": share(inputs)},
    )


def _width(layout: Layout, block: int, layer: str) -> tuple[int, int]:
    """Return the numbers of outputs and of inputs of a linear layer."""
    module = layout.blocks[block].get_submodule(layer)
    if not (isinstance(module, nn.Linear | Conv1D) and isinstance(module.weight, nn.Parameter)):
        raise ValueError(
            f"{layout.path}.{block}.{layer} is a {type(module).__name__}; only a Linear or Conv1D whose weight is an "
            "ordinary Parameter has neurons or attention heads that can be cut."
        )
    outputs, inputs = out_in(module, module.weight).shape
    return outputs, inputs
