import math
from dataclasses import asdict
from functools import cache

import pandas as pd
import pytest
import torch
from helpers.classifier import LABELS, save_classifier, save_csv, texts

from pruning_course import StructuredPruner
from pruning_course.experiments import (
    Settings,
    Source,
    combinations,
    execute,
    load_task,
    prune_and_score,
    read_grid,
    read_results,
)
from pruning_course.experiments import run as one_run
from pruning_course.experiments.data import read_csv, split


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    return Source(save_classifier(folder / "model"), save_csv(folder / "texts.csv"))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            {"prune_method": "random"},
            "prune_method is 'random'; it must be one of magnitude, gradual, wanda, structured",
        ),
        ({"prune_sparsity": 1.1}, "prune_sparsity is 1.1; it must be a number from 0 to 1"),
        ({"prune_sparsity": math.nan}, "prune_sparsity is nan"),
        ({"prune_sparsity": "0.5"}, "prune_sparsity is '0.5'"),
        ({"prune_layers": "heads"}, "prune_layers is 'heads'; it must be one of all, attention, ffn, encoder"),
        ({"prune_method": "gradual", "fine_tune_epochs": 1, "schedule": "step"}, "schedule is 'step'"),
        ({"schedule": "cubic"}, "schedule is 'cubic', but magnitude has no such option"),
        ({"prune_method": "wanda", "global_pruning": True}, "global_pruning is True, but wanda has no such option"),
        (
            {"prune_method": "structured", "importance": "influence"},
            "importance is 'influence'; it must be one of norm, gr",
        ),
        ({"importance": "norm"}, "importance is 'norm', but magnitude has no such option"),
        ({"global_pruning": 1}, "global_pruning is 1; it must be true or false"),
        ({"fine_tune_epochs": 1.5}, "fine_tune_epochs is 1.5; it must be a whole number"),
        ({"prune_method": "gradual"}, "fine_tune_epochs is 0; it must be at least 1, because"),
        ({"learning_rate": 0}, "learning_rate is 0; it must be a number above 0"),
        ({"train_texts": 0}, "train_texts is 0"),
        ({"seed": True}, "seed is True"),
    ],
)
def test_a_setting_out_of_range_is_refused(given, says):
    with pytest.raises(ValueError) as caught:
        Settings(**given)
    assert str(caught.value).startswith(says)


def test_defaults_are_filled_in_so_that_one_run_has_one_name():
    assert Settings() == Settings(global_pruning=True, prune_sparsity=0.5)
    assert Settings(prune_sparsity=1).name == Settings(prune_sparsity=1.0).name
    gradual = Settings(prune_method="gradual", fine_tune_epochs=2)
    assert (gradual.schedule, gradual.global_pruning) == ("cubic", True)
    structured = Settings(prune_method="structured")
    assert (structured.importance, structured.global_pruning) == ("norm", False)
    assert Settings(prune_method="wanda").global_pruning is None
    assert Settings().name.startswith("magnitude-0.5-all-0epochs-seed0-")
    assert len({Settings().name, Settings(learning_rate=1e-5).name, Settings(train_texts=1).name}) == 3


def test_the_lectures_four_experiments():
    experiments = read_grid()
    assert list(experiments) == ["sparsity", "method", "layers", "epochs", "untrained"]
    found = {
        name: list(dict.fromkeys(getattr(run, field) for run in experiments[name]))
        for name, field in [
            ("sparsity", "prune_sparsity"),
            ("method", "prune_method"),
            ("layers", "prune_layers"),
            ("epochs", "fine_tune_epochs"),
        ]
    }
    assert found == {
        "sparsity": [0.3, 0.4, 0.5, 0.6, 0.7],
        "method": ["magnitude", "wanda", "gradual", "structured"],
        "layers": ["all", "attention", "ffn", "encoder"],
        "epochs": [1, 3, 5, 10],
    }
    assert {run.prune_sparsity for run in experiments["layers"] + experiments["epochs"]} == {0.5}
    assert {run.prune_sparsity for run in experiments["method"]} == {0, 0.3, 0.5, 0.7}
    assert all({run.seed for run in runs} == {0, 1, 2} for runs in experiments.values())
    # What is compared with each other got the same training, on the same layers.
    for name in ("method", "untrained"):
        alike = ("prune_layers", "fine_tune_epochs", "train_texts", "learning_rate")
        assert len({tuple(getattr(run, setting) for setting in alike) for run in experiments[name]}) == 1
    assert {run.fine_tune_epochs for run in experiments["untrained"]} == {0}
    assert {run.seed for runs in read_grid(seed=[7]).values() for run in runs} == {7}


def test_the_results_that_come_with_the_course_are_those_of_its_grid():
    results = read_results()
    planned = {run.name: run for runs in read_grid().values() for run in runs}
    assert sorted(results["run"]) == sorted(planned), "the grid has changed: run `make sweep`, see CONTRIBUTING.md"
    assert set(results["status"]) == {"done"} and not results["error"].any()
    assert results["torch"].nunique() == results["transformers"].nunique() == results["dense_micro_f1"].nunique() == 1
    for row in results.to_dict("records"):
        settings = {name: None if pd.isna(row[name]) else row[name] for name in asdict(planned[row["run"]])}
        assert settings == asdict(planned[row["run"]])


def test_a_grid_is_every_combination_once():
    runs = combinations({"prune_sparsity": [0.3, 0.5, 0.3], "seed": [0, 1]})
    assert [(run.prune_sparsity, run.seed) for run in runs] == [(0.3, 0), (0.3, 1), (0.5, 0), (0.5, 1)]


def test_tables_of_one_name_are_one_experiment(tmp_path):
    path = tmp_path / "grid.toml"
    path.write_text(
        'seed = 3\n[[experiment]]\nname = "a"\nprune_method = "magnitude"\n'
        '[[experiment]]\nname = "a"\nprune_method = ["magnitude", "wanda"]\n[[experiment]]\nname = "b"\nseed = 4\n'
    )
    experiments = read_grid(path)
    assert experiments == {
        "a": [Settings(seed=3), Settings(prune_method="wanda", seed=3)],
        "b": [Settings(seed=4)],
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "[[experiment]]\nname = 'a'\nsparsity = 0.5",
            "'sparsity' is not a setting; the settings are prune_method,",
        ),
        ("prune = 1\n[[experiment]]\nname = 'a'", "'prune' is not a setting"),
        ("[[experiment]]\nname = 'a'\nseed = []", "seed is an empty list"),
        ("[[experiment]]\nname = 'a'\nseed = [[1]]", "seed is [1]; it must be a whole number"),
        ("[[experiment]]\nname = 'a'\nprune_method = [['wanda']]", "prune_method is ['wanda']"),
        ("[[experiment]]\nname = 'a/b'", "The experiment name 'a/b' in"),
        ("[[experiment]]\nseed = 1", "The experiment name None in"),
        ("seed = 1", "has no [[experiment]] table"),
        ("experiment = 'a'", "has no [[experiment]] table"),
        ("seed = ", "is not a valid TOML file"),
    ],
)
def test_a_grid_that_cannot_be_run_is_refused(tmp_path, text, says):
    path = tmp_path / "grid.toml"
    path.write_text(text)
    with pytest.raises(ValueError) as caught:
        read_grid(path)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "source", "says"),
    [
        ("text,label\nred eye,eye\nleft eye,eye\n", {}, "has 1 label; a classifier needs at least two"),
        ("text,label\nred,eye;eye\n", {"separator": ";"}, "has 1 label"),
        ("text,label\nred,\n", {"separator": ";"}, "has 0 labels"),
        ("text,label\nred,eye\n", {"text_column": "words"}, "has no column 'words'"),
    ],
)
def test_a_file_without_what_is_needed_is_refused(tmp_path, text, source, says):
    path = tmp_path / "texts.csv"
    path.write_text(text)
    with pytest.raises(ValueError) as caught:
        read_csv(Source("x", str(path), **source))
    assert says in str(caught.value)


def test_a_fifth_is_kept_and_equal_texts_stay_together():
    doubled = [text for text, _ in texts(40)] * 2
    train, validation = split(doubled, torch.arange(80))
    assert not set(train[0]) & set(validation[0])
    assert len(validation[0]) == 16 and [doubled[row] for row in validation[1]] == validation[0]
    with pytest.raises(ValueError, match="There are 9 different texts; at least 10"):
        split([str(n) for n in range(9)] * 2, torch.arange(18))


def test_model_and_data_come_together():
    with pytest.raises(ValueError, match="Only one of model and data is given"):
        Source(model="x")
    with pytest.raises(ValueError, match="The separator of labels is empty"):
        Source("x", "y.csv", separator="")


def without_seconds(result: dict) -> dict:
    return {name: value for name, value in result.items() if name != "seconds"}


@pytest.mark.parametrize("method", ["magnitude", "wanda", "gradual", "structured"])
def test_a_run_of_each_method(own, method):
    settings = Settings(prune_method=method, fine_tune_epochs=3, learning_rate=1e-2, train_texts=32, seed=1)
    result, model = prune_and_score(settings, own)
    assert (result["status"], result["settings"], result["seed"]) == ("done", asdict(settings), 1)
    assert result["texts"] == {"train": 32, "validation": 12}
    assert 0 <= result["metrics"]["macro_f1"] <= 1 and result["metrics"]["micro_f1"] > 0
    assert result["sparsity"]["selected"] == pytest.approx(0.5, abs=0.01)
    assert 0 < result["sparsity"]["of_all"] < result["sparsity"]["selected"]
    steps = {"loading", "pruning", "training", "scoring", "timing", "total"}
    assert set(result["seconds"]) == {*steps, "dense_forward", "pruned_forward"}
    assert result["seconds"]["pruned_forward"] > 0
    assert set(result["versions"]) >= {"python", "torch"} and result["machine"]["threads"] == 1
    # Gradual pruning takes two of its three epochs for the schedule, and they are one entry.
    assert len(result["history"]["micro_f1"]) == (2 if method == "gradual" else 3)
    assert not model.training and not model.bert.embeddings.word_embeddings.weight.requires_grad
    zeros = sum(int((layer.weight == 0).sum()) for layer in model.modules() if isinstance(layer, torch.nn.Linear))
    work = result["multiply_adds"]
    assert work["pruned"] < work["dense"] if method == "structured" else work["pruned"] == work["dense"] > 0
    if method == "structured":
        assert zeros == 0 and model.bert.encoder.layer[0].intermediate.dense.out_features == 12
        assert model.num_parameters() * 4 == result["bytes"]["shrunk"]
    else:
        assert zeros == result["sparsity"]["pruned"]
    assert without_seconds(execute(settings, own)) == without_seconds(result)


def test_the_pruner_is_told_the_number_of_finished_steps():
    steps = []

    class Pruner:
        def step(self, done):
            steps.append(done)

    batches = [{"x": torch.tensor(place)} for place in range(3)]
    loader, seen = one_run.WhilePruning(batches, 2, Pruner()), []
    for batch in loader:
        assert list(range(1, len(seen) + 1)) == steps  # not before the step on the last batch
        seen.append(int(batch["x"]))
    assert steps == [1, 2, 3, 4, 5, 6] and len(loader) == 6
    assert sorted(seen[:3]) == sorted(seen[3:]) == [0, 1, 2]


@cache
def train_loss(own, **change) -> list[float]:
    base = {"prune_method": "gradual", "fine_tune_epochs": 4, "learning_rate": 1e-2, "train_texts": 48}
    return execute(Settings(**base | change), own)["history"]["train_loss"]


@pytest.mark.parametrize(
    "change",
    [
        {"prune_sparsity": 0.6},
        {"prune_layers": "ffn"},
        {"schedule": "linear"},
        {"global_pruning": False},
        {"fine_tune_epochs": 5},
        {"learning_rate": 1e-3},
        {"train_texts": 40},
        {"seed": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_setting_has_an_effect(own, change):
    assert train_loss(own) != train_loss(own, **change)


def test_structured_runs_choose_by_the_norm_or_by_the_gradient(own, monkeypatch):
    """The gradient is that of the training texts, each counted once, however they are cut into parts."""
    monkeypatch.setattr(one_run, "MICRO_TOKENS", 50)
    chosen = {"prune_method": "structured", "global_pruning": True, "train_texts": 40}
    by_norm, by_gradient = (
        prune_and_score(Settings(**chosen, importance=importance), own) for importance in ("norm", "gradient")
    )
    assert by_norm[0]["texts"]["train"] == 0 and by_gradient[0]["texts"]["train"] == 40
    task = load_task(own)
    pruner = StructuredPruner(task.make_model(), importance="gradient", global_pruning=True)
    pruner.calibrate(task.train_batches(40, seed=0), num_samples=40).prune()
    expected = pruner.shrink().state_dict()
    found = by_gradient[1].state_dict()
    assert all(torch.equal(found[name], weight) for name, weight in expected.items())
    widths = [[b.intermediate.dense.out_features for b in m.bert.encoder.layer] for _, m in (by_norm, by_gradient)]
    assert widths[0] != widths[1] and sum(widths[0]) == sum(widths[1]) == 24


def test_a_run_that_cannot_be_made_says_why(own):
    settings = Settings(prune_method="structured", prune_layers="attention")
    result = execute(settings, own)
    assert result["status"] == "failed" and result["settings"] == asdict(settings)
    assert result["error"].startswith("ValueError: prune_layers for neurons is 'attention'")


def test_the_model_stays_dense_at_zero_percent(own):
    result, _ = prune_and_score(Settings(prune_sparsity=0.0), own)
    assert result["metrics"] == result["dense_metrics"] and result["sparsity"]["pruned"] == 0
    assert result["texts"]["train"] == 0


def test_texts_with_several_labels(tmp_path, own):
    rows = [(text, f"{label}; {LABELS[(place + 1) % 3]}") for place, (text, label) in enumerate(texts(30))]
    source = Source(own.model, save_csv(tmp_path / "many.csv", rows), separator=";")
    task = load_task(source)
    assert task.train[1].shape == (24, 3) and task.train[1].sum(1).max() == 2
    assert execute(Settings(fine_tune_epochs=1), source)["status"] == "done"
