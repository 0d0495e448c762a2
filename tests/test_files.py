import os

import pytest

from pruning_course.files import written_beside


def test_a_file_appears_whole(tmp_path):
    with written_beside(tmp_path / "new" / "a.txt") as target:
        target.write_text("all of it")
        assert not (tmp_path / "new" / "a.txt").exists()
    assert (tmp_path / "new" / "a.txt").read_text() == "all of it"
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.txt"]


def test_what_a_killed_process_leaves_is_named_after_the_file(tmp_path):
    with written_beside(tmp_path / "a.txt"):
        [folder] = tmp_path.iterdir()
        assert folder.name.startswith(".a.txt.")  # by which a sweep and a report know it
        (folder / "a.txt").touch()


def test_a_full_disk_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(OSError, match="No space"), written_beside(path) as target:
        target.write_text("ne")
        raise OSError(28, "No space left on device")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_never_overwritten(tmp_path):
    (tmp_path / "f").mkdir()
    with (
        pytest.raises(FileExistsError, match="never overwritten"),
        written_beside(tmp_path / "f", folder=True) as target,
    ):
        (target / "x").write_text("x")
    assert list(tmp_path.iterdir()) == [tmp_path / "f"]


@pytest.fixture
def events(monkeypatch):
    """What is flushed to the disk, by name, and `->` where something gets its name."""
    seen, names, opened, replace = [], {}, os.open, os.replace

    def remember(path, flags, *more, **options):
        descriptor = opened(path, flags, *more, **options)
        names[descriptor] = os.path.basename(path)
        return descriptor

    monkeypatch.setattr(os, "open", remember)
    monkeypatch.setattr(os, "fsync", lambda descriptor: seen.append(names[descriptor]))
    monkeypatch.setattr(os, "replace", lambda *paths: seen.append("->") or replace(*paths))
    return seen


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot flush a folder")
def test_a_file_is_on_the_disk_before_it_gets_its_name(tmp_path, events):
    with written_beside(tmp_path / "a.txt") as target:
        target.write_text("all of it")
    assert events == ["a.txt", "->", tmp_path.name]


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot flush a folder")
def test_so_is_all_of_a_folder(tmp_path, events):
    with written_beside(tmp_path / "f", folder=True) as target:
        (target / "sub").mkdir()
        (target / "sub/x").write_text("x")
        (target / "y").write_text("y")
    assert sorted(events[:4]) == ["f", "sub", "x", "y"] and events[4:] == ["->", tmp_path.name]


def test_a_path_can_be_text(tmp_path):
    with written_beside(str(tmp_path / "a.txt")) as target:
        target.write_text("x")
    assert (tmp_path / "a.txt").read_text() == "x"
