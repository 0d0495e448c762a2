"""What only an extra of the package installs."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Around imports that need the extra called `name`; if something is missing, one sentence says so (ImportError)."""
    try:
        yield
    except ModuleNotFoundError as error:
        says = f"{error.name} is not installed; it comes with the extra {name!r}"
        raise ImportError(f"{says}: run `pip install 'pruning-course[{name}]'`.") from error
