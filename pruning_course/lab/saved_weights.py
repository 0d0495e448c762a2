"""Weights kept in files, so that many prunings can start from the same dense model on a small machine."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from pruning_course.lab.language_model import free_memory
from pruning_course.models import weight_of


class SavedWeights:
    """A copy on disk of the weights of `layers` (name to module), as they are when it is created.

    The files are in a temporary folder, which is deleted with this object. A copy in memory would double a model, and
    `Masks` that remember what they removed need as much memory as that has.
    """

    def __init__(self, layers: Mapping[str, nn.Module]):
        self._layers = dict(layers)
        self._folder = TemporaryDirectory(prefix="saved_weights_")
        for name, layer in self._layers.items():
            torch.save(weight_of(layer).detach().clone(), self._file(name))

    def _file(self, name: str) -> Path:
        return Path(self._folder.name, f"{list(self._layers).index(name)}.pt")

    def restore(self) -> None:
        """Copy the saved weights back into the layers, in place."""
        for name, layer in self._layers.items():
            weight_of(layer).detach().copy_(torch.load(self._file(name), weights_only=True))
        free_memory()

    @contextmanager
    def pruned(self, keep: Mapping[str, Tensor]) -> Iterator[None]:
        """Within a `with`, weights are 0 where `keep` is False; afterwards all layers have their saved weights again.

        `keep` maps names of layers to bool tensors in the shape of their weights. Raises KeyError for an unknown name,
        RuntimeError if a mask does not have the shape of its weight.
        """
        try:
            for name in keep:
                weight_of(self._layers[name]).detach().masked_fill_(~keep[name], 0.0)
            yield
        finally:
            self.restore()
