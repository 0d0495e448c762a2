import math
from collections import defaultdict
from dataclasses import asdict, dataclass
from functools import cache

import pandas as pd
import pytest
import torch
from accelerate import Accelerator
from helpers.classifier import LABELS, save_classifier, save_csv, texts

from pruning_course import StructuredPruner
from pruning_course.experiments import (
    Settings,
    Source,
    combinations,
    execute,
    load_task,
    prune,
    prune_and_score,
    read_grid,
    read_results,
    shapes,
)
from pruning_course.experiments.data import read_csv, split
from pruning_course.experiments.metrics import average_precision, score
from pruning_course.experiments.prune import WhilePruning
from pruning_course.finetune import History
from pruning_course.finetune.batches import order_epoch
from pruning_course.finetune.predictions import predict_rows


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
        ({"structure": "row"}, "structure is 'row'; it must be one of neuron, head, layer, head+neuron"),
        ({"structure": "head"}, "structure is 'head', but magnitude has no such option"),
        ({"group": "tensor"}, "group is 'tensor'; it must be one of row."),
        ({"prune_method": "gradual", "fine_tune_epochs": 1, "group": "row"}, "group is 'row', but gradual has no such"),
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
    assert (structured.structure, structured.importance, structured.global_pruning) == ("neuron", "norm", False)
    wanda, row = Settings(prune_method="wanda"), Settings(group="row")
    assert (wanda.group, wanda.global_pruning, row.group, row.global_pruning) == ("row", None, "row", False)
    assert Settings().name.startswith("magnitude-0.5-all-0epochs-seed0-")
    assert len({Settings().name, Settings(learning_rate=1e-5).name, Settings(train_texts=1).name, row.name}) == 4


def test_a_new_setting_leaves_the_names_of_finished_runs_alone():
    @dataclass(frozen=True)
    class Later(Settings):
        repair: str = "none"

    old = {"prune_sparsity": 0.3, "seed": 2}
    assert Later(**old).name == Settings(**old).name == "magnitude-0.3-all-0epochs-seed2-bf9f37d8"
    assert Later(**old, repair="admm").name != Settings(**old).name


def test_the_lectures_four_experiments_and_their_controls():
    experiments = read_grid()
    assert list(experiments) == ["rates", "method", "untrained", "sparsity", "layers", "epochs"]
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
        "method": ["magnitude", "gradual", "wanda", "structured"],
        "layers": ["all", "attention", "ffn", "encoder"],
        "epochs": [1, 3, 5, 10],
    }
    assert {run.prune_sparsity for run in experiments["layers"] + experiments["epochs"]} == {0.5}
    assert {run.seed for runs in read_grid(seed=[7]).values() for run in runs} == {7}
    # At each sparsity all methods, and the dense control, have the same seeds, texts, epochs and rate.
    rates, methods = {0.3: 2e-5, 0.5: 6e-5, 0.7: 2e-4}, defaultdict(set)
    for run in experiments["method"]:
        assert (run.prune_layers, run.fine_tune_epochs, run.train_texts) == ("encoder", 2, 1024)
        methods[run.learning_rate, run.seed].add(run.name.split("-0")[0] + f" {run.prune_sparsity}")
    seeds = {0.3: 3, 0.5: 5, 0.7: 5}
    for share, rate in rates.items():
        alike = [methods[rate, seed] for seed in range(seeds[share])]
        assert all(one == alike[0] for one in alike) and len(alike[0]) == (10 if share == 0.5 else 9)
    assert len(methods) == sum(seeds.values())
    assert {run.fine_tune_epochs for run in experiments["untrained"]} == {0}


def test_the_rates_are_those_that_were_best_on_the_texts_for_choices():
    results = read_results()
    tried = results[results["run"].isin([run.name for run in read_grid()["rates"]])]
    best = tried.loc[tried.groupby("prune_sparsity")["select_micro_f1"].idxmax()]
    used = {run.prune_sparsity: run.learning_rate for run in read_grid()["method"] if run.prune_sparsity}
    assert dict(zip(best["prune_sparsity"], best["learning_rate"], strict=True)) == used


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


def test_three_parts_are_kept_apart_and_equal_texts_stay_together():
    doubled = [text for text, _ in texts(40)] * 2
    parts = split(doubled, torch.arange(80))
    assert {name: len(texts) for name, (texts, _) in parts.items()} == {"train": 56, "select": 8, "validation": 16}
    assert len({text for texts, _ in parts.values() for text in set(texts)}) == 40
    assert all([doubled[row] for row in rows] == texts for texts, rows in parts.values())
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
    assert result["texts"] == {"train": 32, "calibration": 32 if method == "wanda" else 0, "validation": 12}
    assert 0 <= result["metrics"]["macro_f1"] <= 1 and result["metrics"]["micro_f1"] > 0
    assert result["sparsity"]["selected"] == pytest.approx(0.5, abs=0.01)
    assert 0 < result["sparsity"]["of_all"] < result["sparsity"]["selected"]
    assert set(result["seconds"]) == {"loading", "pruning", "training", "scoring", "total"}
    assert set(result["versions"]) >= {"python", "torch"} and result["machine"]["threads"] == 1
    # The epoch is chosen on one part and reported on another; gradual pruning can choose from all of its epochs, too.
    history = History(**result["history"])
    best = history.best_epoch
    assert len(history.micro_f1) == len(history.select_f1) == 3 and len(set(history.sparsity)) <= 1
    assert result["metrics"]["micro_f1"] == history.micro_f1[best]
    assert result["metrics"]["select_micro_f1"] == history.select_f1[best] == max(history.select_f1)
    accelerator, task = Accelerator(), load_task(own)
    for part, key in (("validation", "micro_f1"), ("select", "select_micro_f1")):
        scores = score(*predict_rows(model, task.batches(part), accelerator))
        assert scores["micro_f1"] == pytest.approx(result["metrics"][key], abs=1e-6)
    assert not model.training and not model.bert.embeddings.word_embeddings.weight.requires_grad
    zeros = sum(int((layer.weight == 0).sum()) for layer in model.modules() if isinstance(layer, torch.nn.Linear))
    work = result["multiply_adds"]
    assert work["pruned"] < work["dense"] if method == "structured" else work["pruned"] == work["dense"] > 0
    if method == "structured":
        assert zeros == 0 and model.bert.encoder.layer[0].intermediate.dense.out_features == 12
    else:
        assert zeros == result["sparsity"]["pruned"]
    assert 0 < result["bytes"] - model.num_parameters() * 4 < 20_000  # the weights, and a header with their names
    assert without_seconds(execute(settings, own)) == without_seconds(result)


def test_the_pruner_is_told_the_number_of_finished_steps():
    steps = []

    class Pruner:
        def step(self, done):
            steps.append(done)

    batches = [{"x": torch.tensor(place), "labels": torch.zeros(1)} for place in range(3)]
    loader, seen = WhilePruning(batches, 4, Pruner()), []
    for epoch in range(2):
        for batch in loader:
            assert list(range(1, len(seen) + 1)) == steps  # not before the step on the last batch
            seen.append(int(batch["x"]))
        # The same order as without pruning, so that runs with one seed are pairs.
        assert seen[3 * epoch :] == [int(batch["x"]) for batch in order_epoch(batches, 4, epoch)]
    assert steps == [1, 2, 3, 4, 5, 6] and len(loader) == 3


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
    monkeypatch.setattr(prune, "MICRO_TOKENS", 50)
    chosen = {"prune_method": "structured", "global_pruning": True, "train_texts": 40}
    by_norm, by_gradient = (
        prune_and_score(Settings(**chosen, importance=importance), own) for importance in ("norm", "gradient")
    )
    assert by_norm[0]["texts"]["calibration"] == 0 and by_gradient[0]["texts"]["calibration"] == 40
    task = load_task(own)
    pruner = StructuredPruner(task.make_model(), importance="gradient", global_pruning=True)
    pruner.calibrate(task.draw_batches(40, seed=0), num_samples=40).prune()
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
    assert task.parts["train"][1].shape == (21, 3) and task.parts["train"][1].sum(1).max() == 2
    assert execute(Settings(fine_tune_epochs=1), source)["status"] == "done"


def test_heads_and_neurons_go_together_and_chance_is_a_control(own):
    chosen = {"prune_method": "structured", "prune_sparsity": 0.5, "train_texts": 40}
    _, both = prune_and_score(Settings(**chosen, structure="head+neuron", importance="gradient"), own)
    block = both.bert.encoder.layer[0]
    assert block.intermediate.dense.out_features == 12 and block.attention.self.query.out_features == 8
    drawn = [prune_and_score(Settings(**chosen, importance="random", seed=seed), own)[1] for seed in (0, 0, 1)]
    weights = [model.bert.encoder.layer[0].intermediate.dense.weight for model in drawn]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    _, blocks = prune_and_score(Settings(**chosen, structure="layer", importance="influence"), own)
    assert len(blocks.bert.encoder.layer) == 1


def test_a_row_is_the_group_of_wanda_and_of_magnitude(own):
    for method in ("magnitude", "wanda"):
        settings = Settings(prune_method=method, group="row", prune_layers="encoder", train_texts=40)
        _, model = prune_and_score(settings, own)
        weight = model.bert.encoder.layer[0].intermediate.dense.weight
        assert ((weight == 0).sum(dim=1) == weight.shape[1] // 2).all()


def test_average_precision_depends_on_the_order_alone():
    labels = torch.tensor([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]])
    logits = torch.tensor([[2.0, -5.0, 0.0], [-1.0, -6.0, 0.0], [-2.0, -4.0, 0.0], [-3.0, -7.0, 0.0]])
    # First label: texts 1, 2, 3 by logit, of which 1 and 3 have it: (1/1 + 2/3) / 2. Second: texts 3, 1, 2: the same.
    assert average_precision(logits, labels) == pytest.approx(5 / 6)
    assert average_precision(3 * logits - 8, labels) == pytest.approx(5 / 6)
    classes = torch.tensor([0, 1, 1, 0])
    assert average_precision(torch.eye(3)[classes], classes) == 1
    assert score(logits, labels).keys() == {"micro_f1", "macro_f1", "average_precision"}


def test_each_shape_is_weighed_and_timed_once(own, monkeypatch):
    monkeypatch.setattr(shapes, "ROUNDS", 1)
    table = shapes.measure_shapes(own).set_index(["shape", "dtype"]).sort_index()
    assert len(table) == 2 * (1 + 3 * 3 + 1)
    dense, masked = table.loc[("dense", "float32")], table.loc[("masked 70%", "float32")]
    assert dense["mb"] == masked["mb"] > 1.8 * table.loc[("dense", "bfloat16"), "mb"] * 0.9
    assert masked["mb_zipped"] < dense["mb_zipped"] < dense["mb"] and math.isnan(masked["ms_1"])
    assert dense["work"] == masked["work"] == 1 > table.loc[("neurons 30%", "float32"), "work"]
    cut = table.loc[[(f"neurons {share}%", "float32") for share in (30, 50, 70)]]
    assert cut["mb"].is_monotonic_decreasing and cut["parameters"].is_monotonic_decreasing
    assert (table.drop([(f"masked {share}%",) for share in (30, 50, 70)])[["ms_1", "ms_8"]] > 0).all(axis=None)
    assert table["micro_f1"].notna().sum() == 2 and table["processor"].str.contains("bfloat16 products").all()


def test_the_shapes_that_come_with_the_course_are_those_that_are_measured():
    table = shapes.read_shapes()
    assert list(dict.fromkeys(table["shape"])) == list(shapes.list_shapes())
    assert table["processor"].nunique() == 1 and set(table["dtype"]) == {"float32", "bfloat16"}
