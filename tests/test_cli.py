import json
import shutil

import matplotlib.image
import pandas as pd
import pytest
import torch
from helpers.classifier import save_classifier, save_csv
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from typer.testing import CliRunner

from pruning_course import experiments, lab
from pruning_course.checkpoint import load_pruned
from pruning_course.experiments import save, verify
from pruning_course.experiments.commands import app
from pruning_course.experiments.verify import Claim
from pruning_course.lab.encoder import MeanPooledClassifier


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    return [f"--model={save_classifier(folder / 'model')}", f"--data={save_csv(folder / 'texts.csv')}"]


def call(*arguments):
    """The result of a command; an error is one sentence on stderr and no traceback."""
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    if result.exit_code == 2 and not result.stderr.startswith("Usage"):
        assert result.stderr.count("\n") == 1 and result.stdout == ""
    return result


def test_run_saves_the_pruned_classifier_with_its_result(own, tmp_path):
    folder = tmp_path / "out"
    command = ["run", "--prune-method", "structured", "--fine-tune-epochs", 1, *own, "--output-dir", folder]
    result = call(*command)
    assert result.exit_code == 0
    count, score = result.stdout.splitlines()
    assert count == ("60 texts were read: 42 to train on, 6 to choose the best epoch on, and 12 to score on.")
    assert score.startswith("Micro-F1 on the validation texts is 0.")
    found = json.loads((folder / "result.json").read_text())
    assert found["status"] == "done" and found["settings"]["prune_method"] == "structured"
    assert found["bytes"] == (folder / "model" / "model.safetensors").stat().st_size
    assert found["seconds"]["pruned_forward"] > 0 < found["seconds"]["dense_forward"]
    assert sorted(path.name for path in folder.iterdir()) == ["model", "result.json"]
    model = load_pruned(folder / "model")
    assert model.bert.encoder.layer[1].intermediate.dense.out_features == 12
    assert AutoTokenizer.from_pretrained(folder / "model")("red eye")["input_ids"] == [2, 5, 6, 3]

    written = (folder / "result.json").stat().st_mtime_ns
    again = call(*command)
    assert again.exit_code == 0 and again.stdout.startswith(f"Nothing to do: {folder} holds this run already.")
    assert (folder / "result.json").stat().st_mtime_ns == written
    other = call(*command, "--seed", 1)
    assert other.exit_code == 2 and "holds another run" in other.stderr


def test_run_names_the_folder_after_the_run_and_takes_an_empty_one(own, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("run", "--prune-sparsity", 0.3, *own).exit_code == 0
    [folder] = (tmp_path / "results").iterdir()
    assert folder.name.startswith("magnitude-0.3-all-0epochs-seed0-")
    weights = AutoModelForSequenceClassification.from_pretrained(folder / "model").state_dict()
    dense = AutoModelForSequenceClassification.from_pretrained(own[0].partition("=")[2]).state_dict()
    assert all(torch.equal(weights[name], dense[name]) | (weights[name] == 0).any() for name in dense)
    (tmp_path / "empty").mkdir()
    assert call("run", *own, "--output-dir", tmp_path / "empty").exit_code == 0
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("x")
    refused = call("run", *own, "--output-dir", tmp_path / "full")
    assert refused.exit_code == 2 and "holds something that is not a run" in refused.stderr


def test_run_on_a_full_disk_leaves_nothing(own, tmp_path, monkeypatch):
    def full(model, folder):
        folder.mkdir()
        raise OSError(28, "No space left on device", str(folder / "model.safetensors"))

    monkeypatch.setattr(save, "save_pruned", full)
    result = call("run", *own, "--output-dir", tmp_path / "out")
    assert result.exit_code == 1 and result.stderr.endswith("model.safetensors: No space left on device.\n")
    assert list(tmp_path.iterdir()) == []


def test_fine_tuning_after_pruning_is_three_epochs_unless_said_otherwise(monkeypatch):
    asked = []
    monkeypatch.setattr(experiments, "find_run", lambda folder, settings, source: asked.append(settings) or 1 / 0)
    for options in ([], ["--fine-tune-after-prune"], ["--fine-tune-after-prune", "--fine-tune-epochs", "1"]):
        assert call("run", *options).exit_code == 1
    assert call("run", "--local", "--fine-tune-epochs", 5, "--learning-rate", 1e-4, "--train-texts", 9).exit_code == 1
    assert [settings.fine_tune_epochs for settings in asked] == [0, 3, 1, 5]
    assert [settings.global_pruning for settings in asked] == [True, True, True, False]
    assert (asked[-1].learning_rate, asked[-1].train_texts) == (1e-4, 9)


def test_control_c_ends_a_run(monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(experiments, "find_run", stopped)
    result = call("run")
    assert (result.exit_code, result.stderr) == (130, "Stopped.\n")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["run", "--prune-method", "random"], "prune_method is 'random'"),
        (["run", "--prune-sparsity", "2"], "prune_sparsity is 2.0"),
        (["run", "--prune-method", "gradual"], "fine_tune_epochs is 0; it must be at least 1"),
        (["run", "--model", "somewhere"], "Only one of model and data is given"),
        (["sweep", "--prune-sparsity", "0.5", "--prune-sparsity", "5"], "prune_sparsity is 5.0"),
        (["sweep", "--grid", "grid.toml"], "'sparsity' is not a setting"),
        (["sweep", "--grid", "grid.toml", "--prune-layers", "ffn"], "grid.toml says how to prune"),
        (["sweep", "--jobs", "0"], "jobs is 0"),
        (["sweep", "--backend", "ray"], "backend is 'ray'; it must be local or dask"),
        (["sweep", "--backend", "dask"], "must be given together"),
        (["sweep", "--scheduler", "tcp://127.0.0.1:1"], "must be given together"),
        (["sweep", "--prune-layers", "ffn", "--model", "m", "--data", "one.csv"], "has 1 label; a classifier"),
        (["report", "."], ". holds no result.json"),
    ],
)
def test_bad_input_is_told_in_one_sentence(tmp_path, monkeypatch, options, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "grid.toml").write_text("[[experiment]]\nname = 'a'\nsparsity = 0.5")
    save_csv(tmp_path / "one.csv", [("red", "eye"), ("bone", "eye")])
    result = call(*options)
    assert result.exit_code == 2 and says in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["grid.toml", "one.csv"]


def test_a_file_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for options in (["sweep", "--grid", "no.toml"], ["run", "--model", "m", "--data", "no.csv"]):
        result = call(*options)
        assert result.exit_code == 1 and result.stderr.endswith(": No such file or directory.\n")


def test_report_writes_tables_and_figures(own, tmp_path):
    folder = tmp_path / "sweep"
    (tmp_path / "grid.toml").write_text(
        'seed = [0, 1]\nfine_tune_epochs = 1\n[[experiment]]\nname = "sparsity"\nprune_sparsity = [0.3, 0.6]\n'
        '[[experiment]]\nname = "method"\nprune_method = ["magnitude", "gradual"]\n'
        '[[experiment]]\nname = "one"\n[[experiment]]\nname = "mixed"\n'
        '[[experiment]]\nname = "mixed"\nprune_method = "structured"\nimportance = ["norm", "gradient"]\n'
    )
    assert call("sweep", "--grid", tmp_path / "grid.toml", *own, "--output-dir", folder).exit_code == 0
    result = call("report", folder)
    assert result.exit_code == 0 and max(map(len, result.stdout.splitlines())) <= 80
    runs = pd.read_csv(folder / "results.csv")
    assert len(runs) == 12 and set(runs["status"]) == {"done"} and runs["micro_f1"].between(0, 1).all()
    text = (folder / "report.md").read_text()
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert tables[0].split("|")[1].strip() == "sparsity" and tables[0].endswith("| seeds |")
    assert [line.split("|")[1].strip() for line in tables[2:4]] == ["0.3", "0.6"]
    assert [line.split("|")[1].strip() for line in tables[6:8]] == ["magnitude", "gradual"]
    # An option that a method does not have is left empty, and sets no method apart.
    mixed = [[cell.strip() for cell in line.split("|")[1:3]] for line in tables[-3:]]
    assert mixed == [["magnitude", ""], ["structured", "norm"], ["structured", "gradient"]]
    f1 = runs.set_index("prune_sparsity")["micro_f1"][0.3]
    spread = f"{f1.mean():.3f} ({f1.min():.3f}-{f1.max():.3f})"
    assert spread in tables[2] and spread in result.stdout and tables[2].split("|")[-2].strip() == "2"
    for name in ("sparsity", "method", "one", "mixed"):
        assert f"({name}.png)" in text and matplotlib.image.imread(folder / f"{name}.png").shape[:2] == (400, 700)


def test_report_gathers_runs_that_were_made_one_by_one(own, tmp_path):
    for sparsity in (0.3, 0.5):
        assert call("run", "--prune-sparsity", sparsity, *own, "--output-dir", tmp_path / str(sparsity)).exit_code == 0
    assert call("report", tmp_path).exit_code == 0
    assert "## runs" in (tmp_path / "report.md").read_text() and (tmp_path / "runs.png").exists()


def test_without_a_model_the_courses_own_is_pruned(own, tmp_path, monkeypatch):
    """On a small stand-in: the real one takes a minute."""
    texts, labels = ["red eye", "left ear", "bone pain"] * 8, torch.eye(3).repeat(8, 1)
    config = AutoModelForSequenceClassification.from_pretrained(own[0].partition("=")[2]).config
    torch.manual_seed(0)
    dense = MeanPooledClassifier(config)
    data = type("Data", (), {"subset": lambda self, part: (texts, labels)})()
    monkeypatch.setattr(lab, "load_phenotypes", lambda: data, raising=False)
    monkeypatch.setattr(lab, "load_dense", lambda: MeanPooledClassifier(config).eval(), raising=False)
    monkeypatch.setattr(
        lab, "load_tokenizer", lambda: AutoTokenizer.from_pretrained(own[0].partition("=")[2]), raising=False
    )
    experiments.load_task.cache_clear()
    try:
        result = call("run", "--fine-tune-epochs", 1, "--output-dir", tmp_path / "out")
        assert result.exit_code == 0, result.stderr
        saved = load_pruned(tmp_path / "out" / "model", MeanPooledClassifier)
        assert saved.num_parameters() == dense.num_parameters()
        found = json.loads((tmp_path / "out" / "result.json").read_text())
        assert found["source"] == {"model": None, "data": None}
    finally:
        experiments.load_task.cache_clear()
        shutil.rmtree(tmp_path / "out", ignore_errors=True)


@pytest.mark.parametrize(("measured", "code", "mark"), [(0.885, 0, "ok"), (0.85, 1, "NO")])
def test_verify_puts_the_numbers_of_this_machine_next_to_ours(monkeypatch, measured, code, mark):
    claims = (Claim("F1, dense", "00", 0.88, 0.01), Claim("perplexity", "05", 27.0, 1.0))
    monkeypatch.setattr(verify, "CLAIMS", claims)
    monkeypatch.setattr(verify, "_measure", lambda: iter([measured, 26.5]))
    result = call("verify")
    assert result.exit_code == code
    rows = result.stdout.splitlines()
    assert rows[1].split() == [mark, f"{measured}", "0.88", "0.01", "F1,", "dense", "(00)"]
    assert rows[2].startswith("ok ") and rows[2].endswith("perplexity (05)")
    last = {0: "All 2 numbers are what the course says.", 1: "1 of 2 numbers differ from the course; please report all"}
    assert rows[-1].startswith(last[code])
