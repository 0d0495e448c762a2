"""Write a file or a folder whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_beside(path: str | os.PathLike, folder: bool = False) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it to `path` when the block ends well.

    If the block raises (a full disk, Ctrl-C), what stood at `path` is still there, and nothing is left beside it.
    Everything is on the disk before it gets its name, so that a power cut leaves the old or the new, never half of it.
    A file replaces an older file. A folder never replaces a folder: `FileExistsError`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    target = beside / path.name
    try:
        if folder:
            target.mkdir()
        yield target
        if folder and path.exists():
            raise FileExistsError(f"{path} exists already; a folder is never overwritten.")
        for inside in [*target.rglob("*"), target]:
            _flush(inside)
        os.replace(target, path)
        _flush(path.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _flush(path: Path) -> None:
    """Wait until the file, or the list of names that a folder is, stands on the disk."""
    on_windows = os.name == "nt"
    if path.is_dir() and on_windows:  # it has no such call
        return
    descriptor = os.open(path, os.O_RDWR if on_windows else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
