import copy

import pytest
import torch
from helpers.models import FAMILIES, make
from torch import nn

from pruning_course import MagnitudePruner, PruningManager, get_pruner
from pruning_course.models import out_in


@pytest.mark.parametrize("family", [*FAMILIES, "plain"])
@pytest.mark.parametrize("global_pruning", [True, False])
def test_every_family_reaches_its_target_and_comes_back(family, global_pruning):
    model = make(family)
    original = copy.deepcopy(model.state_dict())
    pruner = MagnitudePruner(model, 0.5, global_pruning=global_pruning)
    assert pruner.get_sparsity()["overall"] == 0
    masks = pruner.prune()
    assert masks is pruner.masks
    sparsity = pruner.get_sparsity()
    total = sum(layer.weight.numel() for layer in pruner.layers.values())
    assert sparsity["total_params"] == total == sparsity["zero_params"] + sparsity["nonzero_params"]
    if global_pruning:
        assert sparsity["zero_params"] == round(0.5 * total)
    else:
        assert all(share == pytest.approx(0.5, abs=0.03) for share in sparsity["per_layer"].values())
    pruner.undo()
    assert pruner.get_sparsity()["overall"] == 0
    assert all(torch.equal(original[name], tensor) for name, tensor in model.state_dict().items())


def test_magnitude_removes_the_smallest():
    model = nn.Linear(5, 1, bias=False)
    model.weight.data = torch.tensor([[0.5, -0.02, 0.3, 0.01, -0.4]])
    MagnitudePruner(model, 0.4).prune()
    assert torch.equal(model.weight.data, torch.tensor([[0.5, 0, 0.3, 0, -0.4]]))


@pytest.mark.parametrize("family", [*FAMILIES, "plain"])
def test_in_a_row_each_output_loses_its_smallest_weights(family):
    model = make(family)
    dense = copy.deepcopy(model)
    pruner = MagnitudePruner(model, 0.5, group="row")
    masks = pruner.prune()
    for name, layer in pruner.layers.items():
        weight, keep = (out_in(layer, tensor) for tensor in (dense.get_submodule(name).weight.abs(), masks[name]))
        removed = (~keep).sum(dim=1)
        assert (removed == round(0.5 * weight.shape[1])).all()
        smallest_left = weight.masked_fill(~keep, torch.inf).amin(dim=1)
        assert (weight.masked_fill(keep, 0).amax(dim=1) <= smallest_left).all()


def test_pruning_again_to_a_higher_target_is_exact_even_with_zeros_that_are_kept():
    model = nn.Linear(10, 1, bias=False)
    model.weight.data = torch.tensor([[0.0, 0, 0, 0, 0, 5, 1, 2, 3, 4]])
    pruner = PruningManager(model, 0.2)
    first = pruner.prune()[""].clone()
    assert (~first).sum() == 2
    pruner.target_sparsity = 0.4
    second = pruner.prune()[""]
    assert (~second).sum() == 4 and not (second & ~first).any()
    pruner.prune()
    assert (~pruner.masks[""]).sum() == 4


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("limit", [1.0, 0.9])
def test_two_prunings_of_small_halves_remove_what_one_removes(dtype, limit):
    model = nn.Linear(64, 8, bias=False)
    model.weight.data = (model.weight.data * 5e-4).to(dtype)  # most are below the smallest normal number of float16
    at_once = MagnitudePruner(copy.deepcopy(model), 0.5, max_layer_sparsity=limit).prune()[""]
    pruner = MagnitudePruner(model, 0.2, max_layer_sparsity=limit)
    pruner.prune()
    pruner.target_sparsity = 0.5
    assert torch.equal(pruner.prune()[""], at_once)


def test_pruning_permanently():
    model = make("plain")
    pruner = get_pruner(model, "magnitude", 0.5)
    with pytest.raises(RuntimeError, match="Nothing is pruned yet"):
        pruner.make_pruning_permanent()
    pruner.prune()
    pruner.make_pruning_permanent()
    assert pruner.get_sparsity()["overall"] == 0.5
    with pytest.raises(RuntimeError, match="forgotten"):
        pruner.undo()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.randn(4, 8)).sum().backward()
    optimizer.step()  # an ordinary module: training goes on


def two_scales():
    """A layer of small weights between two of large ones: what global magnitude pruning removes as a whole."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 20), nn.Linear(20, 20), nn.Linear(20, 20))
    model[1].weight.data /= 100
    return model


def test_layer_collapse_and_its_guard():
    pruner = MagnitudePruner(two_scales(), 0.6)
    pruner.prune()
    assert pruner.get_sparsity()["per_layer"]["1"] == 1.0
    guarded = MagnitudePruner(two_scales(), 0.6, max_layer_sparsity=0.8)
    guarded.prune()
    sparsity = guarded.get_sparsity()
    assert sparsity["per_layer"]["1"] == 0.8
    assert sparsity["zero_params"] == round(0.6 * 1200)


def test_a_bare_manager_prunes_by_magnitude_globally():
    a, b = make("plain"), make("plain")
    PruningManager(a, 0.3).prune()
    MagnitudePruner(b, 0.3).prune()
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


def test_bad_requests_are_refused_before_anything_happens():
    model = make("plain")
    for call, message in [
        (lambda: PruningManager(model, 1.2), "target_sparsity is 1.2"),
        (lambda: MagnitudePruner(model, 0.5, max_layer_sparsity=0.4), "between the target 0.5 and 1"),
        (lambda: MagnitudePruner(model, 0.5, group="column"), "group is 'column'; it can be None or 'row'"),
        (lambda: MagnitudePruner(model, 0.5, global_pruning=True, group="row"), "group is 'row', so global_pruning"),
        (lambda: MagnitudePruner(nn.Conv2d(2, 2, 1), group="row"), "group='row' cannot prune convolutions: "),
        (lambda: get_pruner(model, "movement", 0.5), "method is 'movement'; the methods are magnitude"),
        (lambda: get_pruner(model, "magnitude", 0.5, schedule="cubic"), "magnitude has no option schedule"),
        (lambda: get_pruner(model, "magnitude", 0.5, prune_layers="ffn"), "not belong to a known family"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
    model[0].weight.data[0, 0] = float("nan")
    with pytest.raises(ValueError, match="0 hold a NaN"):
        MagnitudePruner(model, 0.5).prune()
    assert (model[0].weight != 0).all()
