"""`run` saves what it pruned, whatever the family, or says before any work that it cannot."""

import json

import pytest
import torch
from helpers.classifier import LABELS, WORDS, save_classifier, save_csv, save_gpt2
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerBase
from typer.testing import CliRunner

from pruning_course.checkpoint import load_pruned
from pruning_course.experiments import run as one_run
from pruning_course.experiments import save
from pruning_course.experiments.commands import app

FAMILIES = ("XLMRoberta", "Camembert", "Electra", "DebertaV2", "Albert", "MPNet", "RoFormer")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return save_csv(tmp_path_factory.mktemp("data") / "texts.csv")


@pytest.fixture
def work(monkeypatch):
    """What a run has begun: it scores, prunes and trains through these."""
    begun = []
    for module, name in ((one_run, "score_parts"), (one_run, "_train"), (save, "milliseconds")):
        before = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, n=name, f=before, **k: begun.append(n) or f(*a, **k))
    return begun


def run(model, data, folder, *options):
    arguments = ["run", "--model", model, "--data", data, "--output-dir", folder, *options]
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("family", FAMILIES)
def test_a_pruned_classifier_of_any_family_is_saved(tmp_path, data, family):
    model = save_classifier(tmp_path / "model", family)
    result = run(model, data, tmp_path / "out", "--fine-tune-epochs", 1)
    assert result.exit_code == 0, result.stderr
    found = json.loads((tmp_path / "out" / "result.json").read_text())
    assert found["status"] == "done" and found["sparsity"]["selected"] == pytest.approx(0.5, abs=0.01)
    ours = load_pruned(tmp_path / "out" / "model")
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out" / "model").eval()
    ids = torch.arange(5, 13).view(2, 4)
    assert type(ours).__name__ == f"{family}ForSequenceClassification"
    assert torch.equal(ours(ids).logits, theirs(ids).logits)
    zeros = sum(int((weight == 0).sum()) for weight in ours.parameters())
    assert zeros >= found["sparsity"]["pruned"] > 0
    assert AutoTokenizer.from_pretrained(tmp_path / "out" / "model")("red eye")["input_ids"] == [2, 5, 6, 3]


@pytest.mark.parametrize("options", [("--prune-method", "structured"), ("--prune-layers", "ffn")])
def test_what_a_family_does_not_have_is_refused_before_any_work(tmp_path, data, work, options):
    model = save_classifier(tmp_path / "model", "RoFormer")
    result = run(model, data, tmp_path / "out", "--fine-tune-epochs", 1, *options)
    assert result.exit_code == 2 and "RoFormerForSequenceClassification" in result.stderr
    assert result.stderr.count("\n") == 1 and result.stdout == "" and work == []
    assert not (tmp_path / "out").exists()
    # In a sweep it is one run of many; it fails as early.
    folder = tmp_path / "sweep"
    swept = ["sweep", "--model", model, "--data", data, *options, "--output-dir", str(folder)]
    assert CliRunner().invoke(app, swept).exit_code == 1 and work == []


def test_what_cannot_be_saved_is_refused_before_any_work(tmp_path, data, work, monkeypatch):
    model = save_classifier(tmp_path / "model")

    def unsavable(*_, **__):
        raise ValueError("This tokenizer has no file of its own.")

    monkeypatch.setattr(PreTrainedTokenizerBase, "save_pretrained", unsavable)
    result = run(model, data, tmp_path / "out")
    assert result.exit_code == 2 and result.stderr == "This tokenizer has no file of its own.\n" and work == []
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_place_that_cannot_be_written_is_found_before_any_work(tmp_path, data, work, monkeypatch):
    model = save_classifier(tmp_path / "model")
    (tmp_path / "file").write_text("x")
    result = run(model, data, tmp_path / "file" / "out")
    assert result.exit_code == 1 and "file" in result.stderr and result.stderr.count("\n") == 1 and work == []
    result = run(model, data, tmp_path / "file")
    assert result.exit_code == 2 and "holds something that is not a run" in result.stderr and work == []
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("x")
    assert run(model, data, tmp_path / "full").exit_code == 2 and work == []


def test_a_disk_that_is_full_after_the_work_leaves_nothing(tmp_path, data, monkeypatch):
    model, calls, real = save_classifier(tmp_path / "model"), [], save.save_pruned

    def full(model, folder):
        real(model, folder)
        calls.append(folder)
        if len(calls) == 2:
            raise OSError(28, "No space left on device", str(folder))

    monkeypatch.setattr(save, "save_pruned", full)
    result = run(model, data, tmp_path / "out")
    assert result.exit_code == 1 and result.stderr.endswith("No space left on device.\n")
    assert len(calls) == 2 and [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_bad_table_or_tokenizer_is_refused_before_any_work(tmp_path, data, work):
    model = save_classifier(tmp_path / "model")
    bad = tmp_path / "bad.csv"
    for text in ("text,label\nred, eye,eye\n", "text;label\nred;eye\n", 'text,label\n"red,eye\n', ""):
        bad.write_text(text)
        result = run(model, bad, tmp_path / "out")
        assert (result.exit_code, result.stderr.count("\n"), result.stdout) == (2, 1, ""), result.stderr
    save_classifier(tmp_path / "small", vocab_size=len(WORDS) - 1)
    result = run(tmp_path / "small", data, tmp_path / "out")
    assert result.exit_code == 2 and "has 14 tokens, but the model has embeddings for 13" in result.stderr
    assert work == [] and not (tmp_path / "out").exists()


def test_the_count_of_texts_and_what_was_guessed_are_told(tmp_path):
    numbers = [(f"red {WORDS[5 + n % 9]} " * (n + 1), str(n % 3 + 1)) for n in range(20)]
    data = save_csv(tmp_path / "texts.csv", numbers)
    model = save_classifier(tmp_path / "model")
    result = run(model, data, tmp_path / "out")
    assert result.stdout.splitlines()[0] == (
        "20 texts were read: 14 to train on, 2 to choose the best epoch on, and 4 to score on."
    )
    assert f"from 1: 1 is {LABELS[0]}, and 3 is {LABELS[2]}." in result.stderr
    assert result.stderr.startswith("Warning: ") and ".py" not in result.stderr
    swept = ["sweep", "--prune-sparsity", "0.5", "--model", model, "--data", data]
    result = CliRunner().invoke(app, [*swept, "--output-dir", str(tmp_path / "sweep")])
    assert result.stdout.splitlines()[0] == (
        "20 texts were read: 14 to train on, 2 to choose the best epoch on, and 4 to score on."
    )


def test_a_decoder_of_a_known_family_is_saved_too(tmp_path, data):
    model = save_gpt2(tmp_path / "model", eos_token="[SEP]")
    result = run(model, data, tmp_path / "out", "--prune-method", "structured")
    assert result.exit_code == 0, result.stderr
    assert load_pruned(tmp_path / "out" / "model").transformer.h[0].mlp.c_fc.weight.shape == (16, 12)
