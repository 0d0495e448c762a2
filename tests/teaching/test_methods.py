import matplotlib.pyplot as plt
import pandas as pd
import pytest

from pruning_course.teaching.methods import (
    CONTROL,
    LOOKS,
    choose_models,
    draw_cheapest,
    draw_costs,
    draw_methods,
    find_front,
    name_methods,
    pair_runs,
)

COLUMNS = ("prune_method", "prune_sparsity", "structure", "importance", "group", "seed", "learning_rate", "micro_f1")
RUNS = pd.DataFrame(
    [
        ("magnitude", 0.5, None, None, None, 0, 1e-4, 0.80),
        ("magnitude", 0.5, None, None, None, 1, 1e-4, 0.82),
        ("wanda", 0.5, None, None, "row", 0, 1e-4, 0.81),
        ("wanda", 0.5, None, None, "row", 1, 1e-4, 0.85),
        ("wanda", 0.5, None, None, "row", 2, 1e-4, 0.10),
        ("structured", 0.5, "neuron", "gradient", None, 0, 1e-4, 0.84),
        ("structured", 0.5, "head+neuron", "gradient", None, 0, 1e-4, 0.79),
        ("structured", 0.5, "layer", "influence", None, 0, 1e-4, 0.70),
        ("magnitude", 0.0, None, None, None, 0, 1e-4, 0.88),
        ("magnitude", 0.0, None, None, None, 0, 2e-4, 0.20),
        ("magnitude", 0.5, None, None, "row", 0, 1e-4, 0.83),
    ],
    columns=COLUMNS,
).assign(select_micro_f1=lambda runs: 1 - runs["micro_f1"])
SHAPES = pd.DataFrame(
    [
        ("dense", "float32", 10.0, 80.0, 90.0, 80.0, 1.0, 0.88),
        ("dense", "bfloat16", 5.0, 20.0, 45.0, 40.0, 1.0, 0.87),
        ("masked 50%", "float32", None, None, 90.0, 60.0, 1.0, None),
        ("neurons 50%", "float32", 7.0, 50.0, 75.0, 70.0, 0.7, None),
        ("heads and neurons 50%", "float32", 6.0, 40.0, 70.0, 65.0, 0.5, None),
        ("blocks 50%", "float32", 5.0, 41.0, 70.0, 65.0, 0.5, None),
    ],
    columns=("shape", "dtype", "ms_1", "ms_8", "mb", "mb_zipped", "work", "micro_f1"),
)


def test_each_run_has_the_name_of_its_method():
    names = name_methods(RUNS)["method"].unique().tolist()
    assert names == [
        "magnitude",
        "Wanda, row",
        "neurons, gradient",
        "heads and neurons",
        "three blocks",
        CONTROL,
        "magnitude, row",
    ]
    assert set(names) - {CONTROL} <= set(LOOKS)


def test_runs_are_paired_by_their_seed_and_the_control_by_its_rate():
    runs = name_methods(RUNS)
    assert pair_runs(runs, "Wanda, row", "magnitude", 0.5).round(6).to_dict() == {
        0: 0.01,
        1: 0.03,
    }  # seed 2 has no partner
    assert pair_runs(runs, "magnitude", CONTROL, 0.5).round(6).to_dict() == {0: -0.08}


def test_the_front_holds_what_nothing_beats():
    assert find_front([1, 2, 2, 3], [0.5, 0.7, 0.6, 0.7]) == [0, 1]
    assert find_front([1, 1], [0.5, 0.5]) == [0, 1]


def test_a_shape_is_represented_by_the_method_that_the_select_part_prefers():
    models = choose_models(name_methods(RUNS), SHAPES).set_index("name")
    assert list(models.index) == [
        "dense, float32",
        "dense, bfloat16",
        "Wanda, row, 50%",  # the worst on validation: the choice is made elsewhere
        "neurons, gradient, 50%",
        "heads and neurons, 50%",
        "three blocks",
    ]
    assert models.loc["Wanda, row, 50%", "micro_f1"] == pytest.approx((0.81 + 0.85 + 0.10) / 3)
    assert models.loc["Wanda, row, 50%", ["ms_8", "mb", "mb_zipped"]].tolist() == [80.0, 90.0, 60.0]
    assert models.loc["neurons, gradient, 50%", "ms_8"] == 50.0


def test_the_figures_say_what_they_show():
    runs = name_methods(RUNS)
    models = choose_models(runs, SHAPES)
    figures = [
        draw_methods(runs, 0.88, "A finding", lowest=0.7),
        draw_costs(models, "ms_8", "milliseconds", "A finding", lowest=0.6),
        draw_cheapest(models, 0.88, "ms_8", 0.05),
    ]
    assert [axes.get_title() for axes in figures[0].axes] == ["50% removed"]
    assert {text.get_text() for text in figures[1].axes[0].texts} == set(models.query("micro_f1 >= 0.6")["name"])
    assert figures[2].axes[0].get_title() == "A loss of 0.05 is allowed: dense, bfloat16"
    assert draw_cheapest(models, 0.88, "ms_8", -0.1).axes[0].get_title().endswith("no model")
    for figure in figures:
        plt.close(figure)
