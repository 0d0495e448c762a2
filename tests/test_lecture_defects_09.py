"""The lecture's claims about choosing a method that are wrong; see test_lecture_defects.py."""

import pytest
import torch
from helpers.models import make
from torch import nn

from pruning_course import MagnitudePruner, WandaPruner, get_pruner
from pruning_course.experiments import read_grid, read_results
from pruning_course.teaching.methods import name_methods, pair_runs
from pruning_course.teaching.paired import smallest_seen


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
    results, grid = name_methods(read_results()), read_grid()
    trained, untrained = (
        results[results["run"].isin([run.name for run in grid[name]])] for name in ("method", "untrained")
    )

    def lead(one: str, other: str, sparsity: float) -> tuple[float, float]:
        """The mean difference, and the smallest one that could have been seen."""
        differences = pair_runs(trained, one, other, sparsity).tolist()
        return sum(differences) / len(differences), smallest_seen(differences)

    for sparsity in (0.5, 0.7):  # gradual is said to be 2-5% better
        mean, seen = lead("gradual", "magnitude", sparsity)
        assert abs(mean) < seen < 0.015
    mean, seen = lead("Wanda, row", "magnitude, row", 0.5)  # Wanda is said to be 3-7% better
    assert abs(mean) < seen < 0.01
    for other, least in (("magnitude", 0.04), ("magnitude, row", 0.025)):  # at 70% it is
        mean, seen = lead("Wanda, row", other, 0.7)
        assert mean > max(least, seen)
    mean, seen = lead("neurons, gradient", "Wanda, row", 0.5)  # structured is said to be 2-5% worse
    assert abs(mean) < seen < 0.015
    mean, seen = lead("neurons, norm", "neurons, random", 0.5)  # but the norm knows nothing
    assert abs(mean) < seen < 0.01
    at_once = untrained.groupby(["method", "prune_sparsity"])["micro_f1"].mean()
    assert at_once["Wanda, row", 0.5] > at_once["magnitude, row", 0.5] + 0.03 > at_once["magnitude", 0.5] + 0.05


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
