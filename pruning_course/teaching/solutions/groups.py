"""Which layers, and compared with what (notebook 02)."""
# mypy: allow-untyped-defs

from torch import nn


def five_against_five():
    """The global masks of layers one and two at 40%, as lists of 0 and 1."""
    return {"one": [1, 0, 0, 0, 0], "two": [1, 1, 1, 1, 1]}


def ffn_share(hidden, intermediate, blocks, vocabulary):
    """The share of the FFN among the weights of all blocks and the word embeddings (biases left out)."""
    ffn = blocks * 2 * hidden * intermediate
    attention = blocks * 4 * hidden * hidden
    return ffn / (ffn + attention + vocabulary * hidden)


def attention_layers(names):
    """The names of a BERT's query, key, value and attention output layers; ValueError if there are none."""
    ends = (".self.query", ".self.key", ".self.value", ".attention.output.dense")
    found = [name for name in names if name.endswith(ends)]
    if not found:
        raise ValueError("There is no attention layer with a name of BERT's.")
    return found


def untied(model):
    """The names of the nn.Linear layers whose weight no other part of the model uses."""
    parameters = [parameter for _, parameter in model.named_parameters(remove_duplicate=False)]
    linear = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    return [name for name, layer in linear.items() if sum(one is layer.weight for one in parameters) == 1]


def selected_sparsity(model, masks):
    """The pruned share of the weights that `masks` (layer name to bool, True = kept) are about."""
    kept = sum(int(keep.sum()) for keep in masks.values())
    return 1 - kept / sum(keep.numel() for keep in masks.values())
