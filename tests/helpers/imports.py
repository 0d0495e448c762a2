"""Import the package anew, as in a Python where something is missing, without the seconds that torch would take."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def imported_anew(*missing: str) -> Iterator[None]:
    """Inside the block nothing of the package has been imported yet, and the packages `missing` cannot be."""

    def concerned() -> list[str]:
        return [name for name in sys.modules if name.partition(".")[0] in ("pruning_course", *missing)]

    before = {name: sys.modules.pop(name) for name in concerned()}
    sys.modules.update(dict.fromkeys(missing))
    try:
        yield
    finally:
        for name in concerned():
            del sys.modules[name]
        sys.modules.update(before)
