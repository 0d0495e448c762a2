import json

import pytest
import torch

from pruning_course.lab import cache, training
from pruning_course.lab.cache import AGAIN, CacheError, dense_folder, load_dense, prepare_dense, read_facts, save_dense
from pruning_course.lab.recipe import Recipe

FACTS = {"f1": {"dense": {"micro_f1": 0.5}}}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The place of the dense model, in an empty cache."""
    monkeypatch.setenv("PRUNING_COURSE_CACHE", str(tmp_path / "cache"))
    return dense_folder()


@pytest.fixture
def cached(folder, tiny_model, tiny_tokenizer):
    save_dense(folder, tiny_model, tiny_tokenizer, FACTS)
    return folder


def test_the_cache_can_be_moved_and_has_a_default(folder, tmp_path, monkeypatch):
    assert folder.parent == tmp_path / "cache" and folder.name.startswith("dense-")
    monkeypatch.delenv("PRUNING_COURSE_CACHE")
    assert "pruning_course" in dense_folder().parent.parts


def test_the_key_knows_what_made_the_model(monkeypatch):
    assert Recipe().key() == Recipe().key()
    assert Recipe(seed=1).key() != Recipe().key() != Recipe(lr=1e-4).key()
    before = Recipe().key()
    monkeypatch.setattr("pruning_course.lab.recipe.VERSION", -1)
    assert Recipe().key() != before


def test_what_was_saved_is_loaded_in_silence(cached, tiny_model, capfd):
    model = load_dense()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), tiny_model.parameters(), strict=True))
    assert not model.training
    assert load_dense() is not model
    assert capfd.readouterr() == ("", "")
    facts = read_facts(cached)
    assert facts["f1"] == FACTS["f1"] and "model.safetensors" in facts["files"]


def test_nothing_cached_trains_once(folder, tiny_model, tiny_tokenizer, monkeypatch, capfd):
    calls = []
    monkeypatch.setattr(training, "train_dense", lambda recipe: calls.append(recipe) or (tiny_model, dict(FACTS)))
    monkeypatch.setattr("pruning_course.lab.encoder.load_tokenizer", lambda: tiny_tokenizer)
    assert read_facts(folder) is None
    assert prepare_dense()[1] == prepare_dense()[1]
    assert calls == [Recipe()]
    out, err = capfd.readouterr()
    assert out.count("\n") == 1 and "training it once" in out and err == ""
    prepare_dense(again=True)
    assert len(calls) == 2


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("model.safetensors", truncate),
        ("model.safetensors", flip),
        ("model.safetensors", lambda path: path.unlink()),
        ("config.json", lambda path: path.write_text("{}")),
        ("tokenizer.json", lambda path: path.unlink()),
        ("facts.json", lambda path: path.write_text('{"f1": ')),
        ("facts.json", lambda path: path.write_text("[]")),
        ("facts.json", lambda path: path.write_text('{"f1": {}, "files": {}}')),
        ("facts.json", lambda path: path.write_bytes(b"\xff\xfe")),
        ("facts.json", lambda path: path.unlink()),
    ],
)
def test_a_damaged_cache_is_one_sentence_with_the_command(cached, name, damage):
    damage(cached / name)
    with pytest.raises(CacheError) as error:
        load_dense()
    assert str(error.value) == f"The file {name} of the cached dense model is missing or damaged; run `{AGAIN}`."


def test_a_full_disk_while_caching_leaves_nothing(folder, tiny_model, tiny_tokenizer, monkeypatch):
    def full(target):
        (target / "half").write_text("half")
        raise OSError(28, "No space left on device")

    folder.parent.mkdir()
    old = folder.parent / "dense-of-another-recipe"
    old.mkdir()
    monkeypatch.setattr(tiny_model, "save_pretrained", full)
    with pytest.raises(OSError, match="No space"):
        save_dense(folder, tiny_model, tiny_tokenizer, FACTS)
    assert list(folder.parent.iterdir()) == [old]


def test_a_full_disk_after_the_training_is_one_sentence(folder, tiny_model, monkeypatch):
    def full(target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tiny_model, "save_pretrained", full)
    monkeypatch.setattr(training, "train_dense", lambda recipe: (tiny_model, dict(FACTS)))
    monkeypatch.setattr("pruning_course.lab.encoder.load_tokenizer", lambda: None)
    with pytest.raises(CacheError, match=r"could not be cached \(.*No space.*\); set PRUNING_COURSE_CACHE"):
        prepare_dense()
    assert list(folder.parent.iterdir()) == []


def test_someone_else_was_faster(cached, tiny_model, tiny_tokenizer):
    theirs = read_facts(cached)
    ours = save_dense(cached, tiny_model, tiny_tokenizer, {"f1": "ours"})
    assert ours == theirs == read_facts(cached)
    assert list(cached.parent.iterdir()) == [cached]


def test_a_cache_that_cannot_be_written_is_found_before_the_training(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PRUNING_COURSE_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(training, "train_dense", lambda recipe: pytest.fail("trained"))
    with pytest.raises(CacheError, match=r"cannot be written \(.*\); set PRUNING_COURSE_CACHE"):
        prepare_dense()


def test_a_complete_cache_that_cannot_be_written_is_read(cached, tiny_model, monkeypatch):
    """A class shares one that belongs to the teacher."""
    before = {path: path.stat().st_mtime_ns for path in [cached.parent, *cached.rglob("*")]}
    for name in ("written_beside", "check_room", "save_dense"):
        monkeypatch.setattr(cache, name, lambda *_, **__: pytest.fail("it was to be written"))
    for path in [*cached.rglob("*"), cached, cached.parent]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert load_dense().num_labels == tiny_model.num_labels
    finally:
        for path in [cached.parent, cached]:
            path.chmod(0o755)
    assert before == {path: path.stat().st_mtime_ns for path in [cached.parent, *cached.rglob("*")]}


def test_a_disk_without_room_is_found_before_the_training(folder, monkeypatch):
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 5_000_000}))
    monkeypatch.setattr(training, "train_dense", lambda recipe: pytest.fail("trained"))
    with pytest.raises(CacheError, match="5 MB left and 200 MB are needed"):
        prepare_dense()
    assert list(folder.parent.iterdir()) == []


def test_facts_are_json_with_a_newline(cached):
    text = (cached / "facts.json").read_text()
    assert json.loads(text) and text.endswith("}\n")


def test_every_public_name_is_there():
    import pruning_course.lab as lab

    assert all(callable(getattr(lab, name)) for name in lab.__all__)
    assert set(lab.__all__) <= set(dir(lab))
    with pytest.raises(AttributeError, match="no 'loud_dense', only"):
        _ = lab.loud_dense
