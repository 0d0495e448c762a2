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
        os.replace(target, path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
