"""Structured pruning and patterns (notebook 06)."""
# mypy: allow-untyped-defs

import copy

from pruning_course.teaching.tiny import TinyAttention


def keep_two_of_four(scores):
    """The mask that keeps the 2 highest of every 4 neighbours in a row; ValueError if 4 does not divide the rows."""
    if scores.shape[1] % 4:
        raise ValueError(f"Rows of {scores.shape[1]} cannot be cut into groups of 4.")
    groups = scores.reshape(-1, 4)
    ranks = groups.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    return (ranks < 2).view(scores.shape)


def remove_neurons(weight_in, bias_in, weight_out, gone):
    """The FFN without the neurons `gone`: smaller (weight_in, bias_in, weight_out)."""
    keep = [neuron for neuron in range(len(weight_in)) if neuron not in gone]
    return weight_in[keep], bias_in[keep], weight_out[:, keep]


def silence_head(attention, head):
    """A copy of the same size in which `head` contributes nothing to the output."""
    silent = copy.deepcopy(attention)
    own = slice(head * attention.size, (head + 1) * attention.size)
    silent.output.weight.data[:, own] = 0
    return silent


def remove_head(attention, head):
    """A new, smaller TinyAttention without `head`."""
    size, hidden = attention.size, attention.hidden
    keep = [channel for channel in range(attention.heads * size) if channel // size != head]
    smaller = TinyAttention(hidden, attention.heads - 1, size)
    for name in ("query", "key", "value"):
        new, old = getattr(smaller, name), getattr(attention, name)
        new.weight.data, new.bias.data = old.weight.data[keep], old.bias.data[keep]
    smaller.output.weight.data = attention.output.weight.data[:, keep]
    smaller.output.bias.data = attention.output.bias.data.clone()
    return smaller
