"""Masks and counts (notebook 01)."""
# mypy: allow-untyped-defs

import torch


def keep_half(scores):
    """The mask (bool, True = kept) of the larger half of an even number of different scores."""
    threshold = scores.sort().values[len(scores) // 2 - 1]
    return scores > threshold


def keep_exactly(scores, sparsity):
    """The mask that removes exactly round(sparsity * count) scores: the lowest, and of equals the later ones."""
    order = scores.flatten().sort(descending=True, stable=True).indices
    keep = torch.zeros(scores.numel(), dtype=torch.bool)
    keep[order[: scores.numel() - round(sparsity * scores.numel())]] = True
    return keep.view(scores.shape)


def current_weight(layer):
    """The weight that this layer, masked by torch.nn.utils.prune, would compute with now."""
    return layer.weight_orig.detach() * layer.weight_mask


def state_to_save(layer):
    """What to store of a layer masked by torch.nn.utils.prune so that a plain nn.Linear can load it."""
    return {"weight": layer.weight_orig.detach() * layer.weight_mask, "bias": layer.bias.detach()}


def bytes_on_disk(keep):
    """Bytes of a float32 matrix under the mask `keep` (rows, columns): (dense, CSR, shrunk)."""
    rows, columns = keep.shape
    dense = 4 * rows * columns
    csr = int(keep.sum()) * (4 + 4) + (rows + 1) * 4
    shrunk = 4 * int(keep.any(1).sum()) * int(keep.any(0).sum())
    return dense, csr, shrunk
