"""The lecture's claims about choosing a method that are wrong; see test_lecture_defects.py."""

import pytest
import torch
from helpers.models import make
from torch import nn

from pruning_course import MagnitudePruner, WandaPruner, get_pruner
from pruning_course.experiments import read_grid, read_results


def error_of(pruner, inputs: torch.Tensor) -> float:
    """How far the output of the pruned layer is from that of the dense one."""
    with torch.no_grad():
        dense = pruner.model(inputs)
        pruner.prune()
        return float((pruner.model(inputs) - dense).abs().max())


def layer_of(weights: list[float]) -> nn.Linear:
    layer = nn.Linear(len(weights), 1, bias=False)
    layer.weight.data = torch.tensor([weights])
    return layer


def test_S17_no_method_is_best_by_rule():
    # Where all inputs are equally loud, "the best" is the same as "good".
    inputs = torch.tensor([[1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0]])
    weights = [0.1, -0.4, 0.3, 0.2]
    wanda = WandaPruner(layer_of(weights), 0.5).calibrate([inputs], 2).prune()
    assert torch.equal(wanda[""], MagnitudePruner(layer_of(weights), 0.5).prune()[""])

    # Two loud channels that cancel: Wanda keeps them, and magnitude is exact.
    inputs = torch.tensor([[10.0, -10.0, 1.0, 2.0], [8.0, -8.0, -1.0, 1.0]])
    weights = [0.1, 0.1, 0.5, 0.5]
    assert error_of(MagnitudePruner(layer_of(weights), 0.5), inputs) == pytest.approx(0, abs=1e-6)
    assert error_of(WandaPruner(layer_of(weights), 0.5).calibrate([inputs], 2), inputs) > 1

    # One loud channel: the other way round.
    inputs = torch.tensor([[10.0, 0.1, 0.1, 0.1], [-9.0, 0.1, -0.1, 0.1]])
    weights = [0.1, 0.2, 0.5, 0.5]
    assert error_of(MagnitudePruner(layer_of(weights), 0.5), inputs) > 0.9
    assert error_of(WandaPruner(layer_of(weights), 0.5).calibrate([inputs], 2), inputs) < 0.1


def test_S17_the_lectures_table_does_not_hold_in_the_runs_that_come_with_the_course():
    results, grid = read_results(), read_grid()

    def f1(experiment: str, method: str, sparsity: float):
        runs = results[results["run"].isin([run.name for run in grid[experiment]])]
        return runs[(runs["prune_method"] == method) & (runs["prune_sparsity"] == sparsity)]["micro_f1"]

    for sparsity in (0.3, 0.5, 0.7):  # gradual is said to be 2-5% better
        assert f1("method", "gradual", sparsity).mean() < f1("method", "magnitude", sparsity).mean() + 0.01
    for sparsity in (0.3, 0.5):  # Wanda is said to be 3-7% better
        assert abs(f1("method", "wanda", sparsity).mean() - f1("method", "magnitude", sparsity).mean()) < 0.01
        assert f1("method", "wanda", sparsity).mean() > f1("method", "magnitude", 0).mean() - 0.01  # the dense control
    for experiment in ("method", "untrained"):  # where much is removed, it is
        assert f1(experiment, "wanda", 0.7).min() > f1(experiment, "magnitude", 0.7).max() + 0.03


def test_S29_an_option_that_a_method_does_not_have_is_refused():
    model = make("plain")
    with pytest.raises(TypeError, match="unexpected keyword argument 'schedule'"):  # the lecture's: passed on as it is
        MagnitudePruner(model, 0.5, schedule="cubic")
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    with pytest.raises(ValueError, match="magnitude has no option schedule; its options are prune_layers"):
        get_pruner(model, "magnitude", 0.5, schedule="cubic")
    with pytest.raises(ValueError, match="wanda has no option gruop"):
        get_pruner(model, "wanda", 0.5, gruop="row")
    with pytest.raises(ValueError, match="the methods are magnitude, gradual, wanda"):
        get_pruner(model, "movement", 0.5)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert isinstance(get_pruner(model, "wanda", 0.5, group="row"), WandaPruner)
