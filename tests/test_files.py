import pytest

from pruning_course.files import written_beside


def test_a_file_appears_whole(tmp_path):
    with written_beside(tmp_path / "new" / "a.txt") as target:
        target.write_text("all of it")
        assert not (tmp_path / "new" / "a.txt").exists()
    assert (tmp_path / "new" / "a.txt").read_text() == "all of it"
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.txt"]


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
