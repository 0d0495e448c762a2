from pathlib import Path

import pytest
import torch
from torch import nn

from pruning_course import lab


@pytest.fixture
def layers():
    layers = {"a.1": nn.Linear(3, 2), "b": nn.Linear(2, 1).to(torch.bfloat16)}
    layers["a.1"].weight.data = torch.arange(1.0, 7.0).view(2, 3)
    return layers


def test_weights_are_zero_within_and_back_afterwards(layers):
    before = {name: layer.weight.detach().clone() for name, layer in layers.items()}
    parameters = [layer.weight for layer in layers.values()]
    saved = lab.SavedWeights(layers)
    for _ in range(2):
        with saved.pruned({"a.1": torch.tensor([[True, False, True], [False, False, True]])}):
            assert layers["a.1"].weight.tolist() == [[1, 0, 3], [0, 0, 6]]
            assert torch.equal(layers["b"].weight, before["b"])
        assert all(torch.equal(layer.weight, before[name]) for name, layer in layers.items())
    assert all(layer.weight is parameter for layer, parameter in zip(layers.values(), parameters, strict=True))


def test_they_are_back_after_an_error_and_after_any_other_change(layers):
    saved = lab.SavedWeights(layers)
    before = layers["b"].weight.tolist()
    with pytest.raises(ZeroDivisionError), saved.pruned({}):
        nn.init.zeros_(layers["b"].weight)
        _ = 1 / 0
    assert layers["b"].weight.tolist() == before
    with pytest.raises(KeyError, match="c"), saved.pruned({"c": torch.ones(1, 1, dtype=torch.bool)}):
        pass
    with pytest.raises(RuntimeError), saved.pruned({"b": torch.ones(3, 1, dtype=torch.bool)}):
        pass


def test_its_files_go_with_it(layers):
    saved = lab.SavedWeights(layers)
    folder = Path(saved._folder.name)
    assert len(list(folder.iterdir())) == 2
    del saved
    assert not folder.exists()
