import matplotlib.pyplot as plt
import pytest
import torch

from pruning_course.teaching import repair
from pruning_course.teaching.figures import COLOURS


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def test_a_pair_of_bars_for_each_sparsity():
    [axes] = repair.before_and_after([0.5, 0.9], [0.7, 0.1], [0.8, 0.3]).axes
    assert [bar.get_height() for bar in axes.patches] == [0.7, 0.1, 0.8, 0.3]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["50%", "90%"]


def test_rates_are_shown_in_units_of_a_tenthousandth():
    [axes] = repair.rates_by_step({"flat": [2e-4] * 3}).axes
    assert list(axes.lines[0].get_ydata()) == pytest.approx([2, 2, 2])


def test_a_rate_keeps_its_colour():
    rates = repair.rates_by_step({"low": [1e-5], "high": [1e-4]}).axes[0].lines
    points = repair.scores_by_rate({"low": [0.6, 0.7], "high": [0.8, 0.9]}, dense=0.95, pruned=0.5).axes[0].lines
    runs = {"low": [[0.6, 0.7]], "high": [[0.8, 0.9]]}
    left, right = repair.scores_by_epoch(runs, runs, dense=0.95).axes
    for lines in (rates, points, left.lines, right.lines):
        assert [line.get_color() for line in lines[:2]] == list(COLOURS[:2])


def test_one_name_for_all_runs_of_a_rate():
    runs = {"low": [[0.6, 0.7], [0.5, 0.6]]}
    right = repair.scores_by_epoch(runs, runs, dense=0.95).axes[1]
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["low"]


def test_changes_are_counted_up_to_five_per_cent():
    [axes] = repair.relative_changes(torch.tensor([0.0005, 0.0006, 0.0405, 0.2])).axes
    counts = [bar.get_height() for bar in axes.patches]
    assert counts[0] == 2 and counts[40] == 1 and sum(counts) == 3
