"""Write a file or a folder completely or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_beside(path: str | os.PathLike[str], folder: bool = False) -> Iterator[Path]:
    """Yield a temporary path next to `path`, and rename it to `path` if the block ends without an exception.

    If the block raises (because the disk is full, or on Ctrl-C), whatever was at `path` is still there, and the
    temporary file is removed. All data are flushed to the disk before the rename, so after a power failure `path` is
    the old version or the new one, never a part. A file replaces an older file.

    Raises FileExistsError if `folder` is True and `path` exists, because a folder is never overwritten.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    workspace = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    target = workspace / path.name
    try:
        if folder:
            target.mkdir()
        yield target
        if folder and path.exists():
            raise FileExistsError(f"{path} exists already; a folder is never overwritten.")
        for written in [*target.rglob("*"), target]:
            _flush(written)
        os.replace(target, path)
        _flush(path.parent)
    finally:
        shutil.rmtree(workspace, ignore_errors=True)


def _flush(path: Path) -> None:
    """Wait until a file, or the list of names that makes up a folder, is on the disk."""
    on_windows = os.name == "nt"
    if path.is_dir() and on_windows:  # Windows cannot flush a folder
        return
    descriptor = os.open(path, os.O_RDWR if on_windows else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
