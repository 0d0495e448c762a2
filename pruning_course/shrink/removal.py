"""Which neurons, attention heads and blocks to cut out of a model."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import index

from pruning_course.models import STRUCTURES, Layout, measure_blocks

LABELS = {f"{structure}s": label for structure, label in STRUCTURES.items()}  # in error messages


@dataclass(frozen=True)
class Removal:
    """The neurons, attention heads and blocks to cut out; all numbers count from 0 in the model as it is now.

    The numbers are stored sorted, as plain ints, whatever integers they were; blocks that lose nothing are left out.

    Args:
        neurons: block to the numbers of its neurons to remove.
        heads: block to the numbers of its attention heads to remove; with grouped-query attention, of key-value heads,
            each with all its queries.
        layers: the numbers of whole blocks to remove.

    Raises ValueError if a number comes twice, TypeError if one is not an integer.

    >>> Removal(neurons={1: range(2, 0, -1), 0: []})
    Removal(neurons={1: (1, 2)}, heads={}, layers=())
    """

    neurons: Mapping[int, Sequence[int]] = field(default_factory=dict)
    heads: Mapping[int, Sequence[int]] = field(default_factory=dict)
    layers: Sequence[int] = ()

    def __post_init__(self) -> None:
        for what in ("neurons", "heads"):
            numbers = {index(block): _sort(what, units, block) for block, units in dict(getattr(self, what)).items()}
            object.__setattr__(self, what, {block: numbers[block] for block in sorted(numbers) if numbers[block]})
        object.__setattr__(self, "layers", _sort("layers", self.layers))

    def check(self, layout: Layout) -> None:
        """Raise ValueError if the family or the blocks lack anything of this, or if no block would be left."""
        for structure in STRUCTURES:
            if getattr(self, f"{structure}s"):
                layout.check_cut(structure)
        sizes = measure_blocks(layout)
        _check_range("layers", self.layers, len(sizes), "The model")
        for what in ("neurons", "heads"):
            _check_range("layers", getattr(self, what), len(sizes), "The model")
            for block, numbers in getattr(self, what).items():
                _check_range(what, numbers, getattr(sizes[block], what), f"Block {block}")
        if len(self.layers) == len(sizes):
            raise ValueError(f"All {len(sizes)} layers are to be removed; at least one must be left.")


def _sort(what: str, integers: Iterable[int], block: int | None = None) -> tuple[int, ...]:
    numbers = sorted(map(index, integers))
    twice = [number for number, times in Counter(numbers).items() if times > 1]
    if twice:
        where = "" if block is None else f" of block {block}"
        raise ValueError(f"The {LABELS[what]}{where} to remove name {', '.join(map(str, twice))} more than once.")
    return tuple(numbers)


def _check_range(what: str, numbers: Iterable[int], count: int, owner: str) -> None:
    outside = [number for number in numbers if not 0 <= number < count]
    if outside:
        has = f"{count} {LABELS[what]}, numbered 0 to {count - 1}" if count else f"no {LABELS[what]}"
        raise ValueError(f"{owner} has {has}; there is no {', '.join(map(str, outside))} to remove.")
