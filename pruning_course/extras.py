"""What only an extra of the package installs."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Around imports that need the extra called `name`; if something is missing, one sentence says so (ImportError)."""
    try:
        yield
    except ModuleNotFoundError as error:
        says = f"{error.name} is not installed; it comes with the extra {name!r}"
        raise ImportError(f"{says}: run `pip install 'pruning-course[{name}]'`.") from error


def load_lazily(package: str, home: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a `__getattr__` for `package` that loads each name from its file (`home`) when it is first used.

    It raises AttributeError for another name, and ImportError, naming the extra "course", if a package is missing.
    """

    def load(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"{package} has no {name!r}, only {', '.join(home)}.")
        with extra("course"):
            return getattr(import_module(f"{package}.{home[name]}"), name)

    return load
