"""Scores: how important each weight is, as one tensor per layer, computed only when it is read."""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn

from pruning_course.models import out_in, weight_of


class Scores(Mapping[str, Tensor]):
    """A lazy mapping from names to scores: only one tensor needs to exist at a time, however large the model is.

    Args:
        names: the keys, in order.
        score: a function that computes the scores of one name: any shape, any float dtype, never negative.

    >>> Scores(["layer"], lambda name: torch.tensor([1.0, 4.0]))["layer"]
    tensor([1., 4.])
    """

    def __init__(self, names: Iterable[str], score: Callable[[str], Tensor]):
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
    """Return abs(w) of each layer, in the shape and dtype of its weight (Han et al. 2015, arXiv 1506.02626)."""
    return Scores(layers, lambda name: weight_of(layers[name]).detach().abs())


def random(layers: Mapping[str, nn.Module], seed: int = 0) -> Scores:
    """Return a random number in [0, 1) for each weight: the control that a score must beat.

    They are float32, in the shape of the weight, and the same for the same `seed`, names and shapes.
    """

    def score(name: str) -> Tensor:
        weight = weight_of(layers[name])
        dice = torch.Generator().manual_seed(zlib.crc32(f"{seed} {name}".encode()))
        return torch.rand(weight.shape, generator=dice).to(weight.device)

    return Scores(layers, score)


def wanda(layers: Mapping[str, nn.Module], norms: Mapping[str, Tensor]) -> Scores:
    """Return abs(w) times the norm of the input channel that w multiplies (Sun et al. 2023, arXiv 2306.11695).

    `norms` maps a layer's name to a tensor (in,), as `input_norms` does. The scores have the shape of the weight, which
    is (out, in), or (in, out) for a Conv1D, and are float32 or float64.

    Raises ValueError if a layer has no norms, or if their number is not the number of its input channels.
    """
    for name, layer in layers.items():
        width = out_in(layer, weight_of(layer)).shape[1]
        if name not in norms or norms[name].shape != (width,):
            present = f"norms of shape {tuple(norms[name].shape)}" if name in norms else "no norms"
            raise ValueError(f"There are {present} for {name}; it has {width} input channels.")

    def score(name: str) -> Tensor:
        weight = out_in(layers[name], weight_of(layers[name]).detach())
        dtype = torch.promote_types(weight.dtype, torch.float32)
        return out_in(layers[name], weight.abs() * norms[name].to(weight.device, dtype))

    return Scores(layers, score)


def normalised(scores: Mapping[str, Tensor]) -> Scores:
    """Return each tensor of scores divided by its own L2 norm, so that a global comparison ignores a layer's scale."""

    def score(name: str) -> Tensor:
        tensor = scores[name].float()
        norm: Tensor = tensor.norm()
        return tensor / norm.clamp_min(torch.finfo(tensor.dtype).tiny)

    return Scores(scores, score)


def protect(scores: Mapping[str, Tensor], protected: Mapping[str, Tensor]) -> Scores:
    """Return the scores with infinity where `protected` (bool, same shapes) is True: those weights are removed last."""
    return Scores(scores, lambda name: scores[name].masked_fill(protected[name], torch.inf))
