"""What is to be cut out of a model."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import index

from torch import nn

from pruning_course.models import find_layout, measure_blocks


@dataclass(frozen=True)
class Removal:
    """The neurons, heads and layers to cut out of a model; all numbers count from 0 in the model as it is now.

    Args:
        neurons: block to the neurons of its FFN that go.
        heads: block to the heads that go; under grouped-query attention a key-value head, with all its queries.
        layers: blocks that go as a whole.

    Sorted, and plain ints, whatever integers were given; a block that loses nothing is left out. Raises ValueError for
    a number that comes twice, TypeError for one that is no integer.
    """

    neurons: Mapping[int, Iterable[int]] = field(default_factory=dict)
    heads: Mapping[int, Iterable[int]] = field(default_factory=dict)
    layers: Iterable[int] = ()

    def __post_init__(self):
        for what in ("neurons", "heads"):
            given = {index(block): _numbers(what, gone, block) for block, gone in dict(getattr(self, what)).items()}
            object.__setattr__(self, what, {block: given[block] for block in sorted(given) if given[block]})
        object.__setattr__(self, "layers", _numbers("layers", self.layers))

    def check(self, model: nn.Module) -> None:
        """ValueError unless all of it is in `model`, and at least one block would be left."""
        sizes = measure_blocks(find_layout(model))
        _check_range("layers", self.layers, len(sizes), type(model).__name__)
        for what in ("neurons", "heads"):
            _check_range("layers", getattr(self, what), len(sizes), type(model).__name__)
            for block, gone in getattr(self, what).items():
                _check_range(what, gone, getattr(sizes[block], what), f"Block {block}")
        if len(self.layers) == len(sizes):
            raise ValueError(f"All {len(sizes)} layers are to be removed; at least one must be left.")


def _numbers(what: str, given: Iterable[int], block: int | None = None) -> tuple[int, ...]:
    numbers = sorted(map(index, given))
    twice = [number for number, times in Counter(numbers).items() if times > 1]
    if twice:
        where = "" if block is None else f" of block {block}"
        raise ValueError(f"The {what}{where} to remove name {', '.join(map(str, twice))} more than once.")
    return tuple(numbers)


def _check_range(what: str, numbers: Iterable[int], count: int, owner: str) -> None:
    outside = [number for number in numbers if not 0 <= number < count]
    if outside:
        has = f"{count} {what}, numbered 0 to {count - 1}" if count else f"no {what}"
        raise ValueError(f"{owner} has {has}; there is no {', '.join(map(str, outside))} to remove.")
