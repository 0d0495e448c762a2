"""Scores: a tensor of importances for each weight tensor, computed only when somebody asks for it."""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn

from pruning_course.models import out_in


class Scores(Mapping[str, Tensor]):
    """A lazy mapping, name to scores: one tensor exists at a time, however large the model.

    Args:
        names: the keys, in order.
        score: gives the scores of one name; any shape, a float dtype, not negative.
    """

    def __init__(self, names, score: Callable[[str], Tensor]):
        self._names = tuple(names)
        self._score = score

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(name)
        return self._score(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def magnitude(layers: Mapping[str, nn.Module]) -> Scores:
    """abs(w) of each layer's weight, in the shape and dtype of the weight (Han et al. 2015, arXiv 1506.02626)."""
    return Scores(layers, lambda name: layers[name].weight.detach().abs())


def wanda(layers: Mapping[str, nn.Module], norms: Mapping[str, Tensor]) -> Scores:
    """abs(w) times the norm of the input channel that w multiplies (Sun et al. 2023, arXiv 2306.11695).

    `norms`: layer name to a tensor (in,), as `input_norms` gives it. The scores have the shape of the weight, (out, in)
    or (in, out) for a Conv1D, and at least float32. ValueError for a layer without norms, or with too few or many.
    """
    for name, layer in layers.items():
        width = out_in(layer, layer.weight).shape[1]
        if name not in norms or norms[name].shape != (width,):
            got = f"norms of shape {tuple(norms[name].shape)}" if name in norms else "no norms"
            raise ValueError(f"There are {got} for {name}; it has {width} input channels.")

    def score(name: str) -> Tensor:
        weight = out_in(layers[name], layers[name].weight.detach())
        dtype = torch.promote_types(weight.dtype, torch.float32)
        return out_in(layers[name], weight.abs() * norms[name].to(weight.device, dtype))

    return Scores(layers, score)


def normalised(scores: Mapping[str, Tensor]) -> Scores:
    """Each tensor of scores divided by its own L2 norm, so that a global comparison ignores the scale of a layer."""

    def score(name: str) -> Tensor:
        tensor = scores[name].float()
        return tensor / tensor.norm().clamp_min(torch.finfo(tensor.dtype).tiny)

    return Scores(scores, score)


def protect(scores: Mapping[str, Tensor], protected: Mapping[str, Tensor]) -> Scores:
    """The same scores, infinite where `protected` (bool, same shapes) is True: those weights go last."""
    return Scores(scores, lambda name: scores[name].masked_fill(protected[name], torch.inf))


def survivors(scores: Mapping[str, Tensor], keep: Mapping[str, Tensor]) -> Scores:
    """The same scores, 0 where `keep` (bool, same shapes) is False and above 0 elsewhere.

    A selection on these removes what is pruned already before anything else, so that a higher sparsity always
    contains the lower one, and the count stays exact even where a surviving weight is 0.
    """

    def score(name: str) -> Tensor:
        tensor = scores[name]
        if name not in keep:
            return tensor
        smallest = torch.finfo(tensor.dtype).smallest_normal
        return tensor.clamp_min(smallest).masked_fill(~keep[name], 0.0)

    return Scores(scores, score)
