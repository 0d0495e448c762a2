"""What only an extra of the package installs."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Around imports that need the extra called `name`. Raises ImportError, in one sentence, if something is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{error.name} is not installed; it comes with the extra {name!r}: run `pip install 'pruning-course[{name}]'`."
        ) from error
