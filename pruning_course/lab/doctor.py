"""Can the course run here? One row for each question, with the command that helps."""

import os
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pruning_course.lab.cache import AGAIN, CacheError, check_room, dense_folder, read_facts
from pruning_course.lab.wheels import WHEELS, Wheel, WheelError, wheel_folder

if TYPE_CHECKING:
    from packaging.requirements import Requirement

GIB = 2**30
ENOUGH_MEMORY = 1.5  # GiB that a notebook may take


class Row(NamedTuple):
    """A question, its answer, whether the course can run with that answer, and what to do ("" for nothing)."""

    name: str
    value: str
    ok: bool
    advice: str


def check_environment() -> list[Row]:
    """Check Python, packages, threads, memory, network setting, wheels, the cached dense model and its folder.

    The course cannot run if a row is not ok; a row that is ok may still have advice. No value contains a path. The
    function needs only Python itself: a missing package becomes a row and is not an error.
    """
    return [
        _python(),
        *_packages(),
        _threads(),
        *_memory(),
        _network(),
        *(_wheel(wheel) for wheel in WHEELS),
        *_dense(),
    ]


def _python() -> Row:
    ok = sys.version_info >= (3, 11)
    return Row("Python", ".".join(map(str, sys.version_info[:3])), ok, "" if ok else "install Python 3.11 or newer")


def _packages() -> list[Row]:
    """One row for each requirement of the course, which is read from the metadata of the installed package."""
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return [Row("packaging", "not installed", False, "pip install packaging")]
    try:
        wanted = [Requirement(text) for text in requires("pruning-course") or []]
    except PackageNotFoundError:
        return [Row("pruning-course", "not installed", False, "pip install --no-deps -e .")]
    wanted = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": "course"})]
    first = ("torch", "transformers")
    return [_package(one) for one in sorted(wanted, key=lambda one: (one.name not in first, one.name))]


def _package(wanted: "Requirement") -> Row:
    try:
        have = version(wanted.name)
    except PackageNotFoundError:
        return Row(wanted.name, "not installed", False, f'pip install "{wanted.name}{wanted.specifier}"')
    ok = wanted.specifier.contains(have, prereleases=True)
    return Row(wanted.name, have, ok, "" if ok else f'pip install "{wanted.name}{wanted.specifier}"')


def _threads() -> Row:
    try:
        import torch
    except ImportError as error:  # torch is missing, or installed but broken
        return Row("threads", f"torch cannot be imported ({type(error).__name__})", False, 'pip install "torch"')
    return Row("threads", f"{torch.get_num_threads()} of {os.cpu_count()} cores", True, "")


def _memory() -> list[Row]:
    try:
        import psutil
    except ImportError:
        return []  # its own row already says that it is missing
    memory = psutil.virtual_memory()
    little = memory.available < ENOUGH_MEMORY * GIB
    advice = f"a notebook may need {ENOUGH_MEMORY} GiB: close other programs or notebooks" if little else ""
    return [
        Row("memory", f"{memory.total / GIB:.1f} GiB", True, ""),
        Row("memory available", f"{memory.available / GIB:.1f} GiB", True, advice),
    ]


def _network() -> Row:
    off = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
    return Row("Hugging Face Hub", "offline (HF_HUB_OFFLINE)" if off else "allowed, not needed", True, "")


def _wheel(wheel: Wheel) -> Row:
    try:
        wheel_folder(wheel)
    except WheelError as error:
        command = str(error).rpartition("run ")[2].strip("`.")
        return Row(wheel.name, "not installed" if "not installed" in str(error) else "damaged", False, command)
    return Row(wheel.name, f"{wheel.version}, whole", True, "")


def _dense() -> list[Row]:
    """The row of the dense model, and a row of its folder if the model, or its repair, has yet to be written."""
    try:
        folder = dense_folder()
    except ImportError:
        return []  # the row of platformdirs already says that it is missing
    try:
        facts = read_facts(folder)
    except CacheError:
        return [Row("dense model", "damaged", False, AGAIN), *_cache(folder.parent)]
    if facts is None:  # the first notebook that needs it trains it
        advice = "python -m pruning_course.lab  (about five minutes)"
        return [Row("dense model", "not cached yet", True, advice), *_cache(folder.parent)]
    return [Row("dense model", f"cached, validation micro-F1 {facts['f1']['dense']['micro_f1']:.3f}", True, "")]


def _cache(folder: Path) -> list[Row]:
    try:
        check_room(folder)
    except CacheError as error:
        said, _, advice = str(error).rstrip(".").partition("; ")
        return [Row("cache folder", said.removeprefix("The cache folder "), False, advice)]
    return [Row("cache folder", "can be written", True, "")]
