import pytest
import torch
from helpers.models import make

from pruning_course import prunable_layers
from pruning_course.scores import Scores, magnitude, normalised, protect, random


def test_magnitude_is_the_absolute_weight():
    layers = prunable_layers(make("plain"))
    scores = magnitude(layers)
    assert list(scores) == ["0", "2"] and len(scores) == 2
    assert torch.equal(scores["2"], layers["2"].weight.abs()) and not scores["2"].requires_grad


def test_random_scores_depend_on_the_seed_and_the_name_alone():
    layers = prunable_layers(make("plain"))
    scores = random(layers, seed=1)
    state = torch.get_rng_state()
    assert torch.equal(scores["0"], scores["0"]) and scores["0"].shape == layers["0"].weight.shape
    assert torch.equal(random({"0": layers["0"]}, seed=1)["0"], scores["0"])
    assert not torch.equal(random(layers, seed=2)["0"], scores["0"])
    assert not torch.equal(scores["0"].flatten()[:5], scores["2"].flatten()[:5])
    assert scores["0"].min() >= 0 and scores["0"].max() < 1 and 0.4 < scores["0"].mean() < 0.6
    assert torch.equal(state, torch.get_rng_state())


def test_scores_are_computed_on_demand():
    asked = []
    scores = Scores(["a", "b"], lambda name: asked.append(name) or torch.ones(1))
    assert asked == [] and scores["b"].item() == 1 and asked == ["b"]
    with pytest.raises(KeyError):
        scores["c"]


def test_normalised_scores_have_length_one():
    scores = normalised({"a": torch.tensor([3.0, 4.0]), "zero": torch.zeros(2)})
    assert scores["a"].tolist() == pytest.approx([0.6, 0.8])
    assert scores["zero"].tolist() == [0, 0]


def test_protected_scores_go_last():
    scores, mask = {"a": torch.tensor([0.0, 1.0, 2.0])}, {"a": torch.tensor([True, False, True])}
    assert protect(scores, mask)["a"].tolist() == [torch.inf, 1, torch.inf]
