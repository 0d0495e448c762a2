"""The course's task: from the definition of a clinical sign to the organ systems that it belongs to."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import networkx
import numpy as np
import obonet
import torch
from numpy.typing import NDArray
from sklearn.model_selection import GroupShuffleSplit
from torch import Tensor

from pruning_course.lab.wheels import ontology_file

ROOT = "HP:0000118"  # Phenotypic abnormality; its children are the organ systems
MIN_TERMS = 400  # a rarer organ system does not become a label
SIZES = {"test": 2048, "validation": 1024, "train": 6144}  # texts, in the order in which the parts are drawn
SELECT = 1024  # texts to choose epochs, rates and methods on, drawn last, so that the other parts do not depend on it
SEED = 0

Rows = NDArray[np.int64]

_SYSTEM = re.compile(r"^Abnormality of (the )?")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Phenotypes:
    """Texts with their labels, and the split.

    texts: n definitions; labels: float32 (n, labels) of 0 and 1; label_names: one for each column; groups: n ids, the
    direct parent of each term; split: "train" | "select" | "validation" | "test" -> row numbers, rising; release: of
    the ontology.
    """

    texts: list[str]
    labels: Tensor
    label_names: tuple[str, ...]
    groups: list[str]
    split: dict[str, list[int]]
    release: str

    def subset(self, name: str) -> tuple[list[str], Tensor]:
        """Texts (k) and labels (k, labels) of one part of the split. Raises `ValueError` for an unknown name."""
        if name not in self.split:
            raise ValueError(f"The split has no part {name!r}, only {', '.join(sorted(self.split))}.")
        rows = self.split[name]
        return [self.texts[row] for row in rows], self.labels[rows]


@lru_cache(maxsize=1)
def load_phenotypes() -> Phenotypes:
    """The task from the installed ontology, split by direct parent with the course's seed.

    Raises `WheelError` if the ontology's wheel is missing or damaged.
    """
    texts, labels, names, groups, release = read_ontology(ontology_file())
    split = split_by_group(groups)
    split["select"] = draw_new_groups(groups, split, SELECT)
    return Phenotypes(texts, labels, names, groups, split, release)


def read_ontology(
    path: str | os.PathLike[str], root: str = ROOT, min_terms: int = MIN_TERMS
) -> tuple[list[str], Tensor, tuple[str, ...], list[str], str]:
    """Read an obo file into texts (n), labels float32 (n, k), k label names, groups (n) and the release.

    A text is the definition of a term below `root` (obsolete terms are left out). A term carries the label of every
    child of `root` that it is or descends from; a child with fewer than `min_terms` definitions does not become a
    label. A term that then has no label stays, as a row of zeros, because "none of these" is a right answer too. The
    group of a term is its direct parent; if it has several parents, the one with the lowest id. Rows are sorted by id.
    Raises `ValueError` if the file has no `root`, or no child of `root` has enough definitions.
    """
    graph = obonet.read_obo(path, ignore_obsolete=True)  # its edges go from child to parent
    if root not in graph:
        raise ValueError(f"The ontology has no term {root}.")
    terms = sorted(term for term in networkx.ancestors(graph, root) if "def" in graph.nodes[term])
    systems = {system: networkx.ancestors(graph, system) | {system} for system in sorted(graph.predecessors(root))}
    systems = {name: below for name, below in systems.items() if len(below.intersection(terms)) >= min_terms}
    if not systems:
        raise ValueError(f"No child of {root} has {min_terms} definitions.")
    texts = [_definition(graph.nodes[term]["def"]) for term in terms]
    labels = torch.tensor([[term in below for below in systems.values()] for term in terms], dtype=torch.float32)
    names = tuple(_SYSTEM.sub("", graph.nodes[system]["name"]) for system in systems)
    groups = [min(graph.successors(term)) for term in terms]
    release = graph.graph.get("data-version", "unknown").rpartition("/")[2]
    return texts, labels, names, groups, release


def _definition(field: str) -> str:
    """The text of an obo `def`, which is in quotes before its sources in brackets; \\" is a quote inside the text."""
    match = _QUOTED.match(field)
    return re.sub(r"\\(.)", r"\1", match[1] if match else field).strip()


def split_by_group(groups: Sequence[str], sizes: dict[str, int] = SIZES, seed: int = SEED) -> dict[str, list[int]]:
    """Split rows so that no group is in two parts. The same arguments always make the same split.

    Each part draws whole groups (scikit-learn's GroupShuffleSplit) for about its share of the rows that are left,
    with a tenth in reserve, and is then cut to its exact size; the last part is cut from all remaining rows.
    Raises `ValueError` if there are too few rows.
    """
    ids, left = np.asarray(groups), np.arange(len(groups))
    split: dict[str, Rows] = {}
    *drawn, last = sizes
    for name in drawn:
        share = min(1.1 * sizes[name] / max(len(left), 1), 0.9)
        shuffle = GroupShuffleSplit(n_splits=1, test_size=share, random_state=seed)
        rest, part = next(shuffle.split(left, groups=ids[left]))
        split[name], left = left[part], left[rest]
    split[last] = left
    return _cut(split, sizes, seed)


def draw_new_groups(
    groups: Sequence[str], split: Mapping[str, Sequence[int]], size: int, seed: int = SEED
) -> list[int]:
    """Draw `size` rows whose group is in no part of `split`. The same arguments always draw the same rows.

    Raises `ValueError` if there are too few such rows.
    """
    taken = {groups[row] for rows in split.values() for row in rows}
    left = np.asarray([row for row, group in enumerate(groups) if group not in taken], dtype=np.int64)
    return _cut({"select": left}, {"select": size}, seed)["select"]


def split_at_random(count: int, sizes: dict[str, int] = SIZES, seed: int = SEED) -> dict[str, list[int]]:
    """Split `count` rows without looking at groups, which makes scores too good: siblings have nearly the same text.

    Raises `ValueError` if there are too few rows.
    """
    rows = np.random.RandomState(seed).permutation(count)
    ends = np.cumsum(list(sizes.values()))
    return _cut(dict(zip(sizes, np.split(rows, ends)[: len(sizes)], strict=True)), sizes, seed)


def _cut(split: dict[str, Rows], sizes: dict[str, int], seed: int) -> dict[str, list[int]]:
    cut = {}
    for name, rows in split.items():
        if len(rows) < sizes[name]:
            raise ValueError(f"The part {name!r} needs {sizes[name]} texts, but only {len(rows)} are left for it.")
        chosen = np.random.RandomState(seed).permutation(np.sort(rows))[: sizes[name]]
        cut[name] = sorted(chosen.tolist())
    return cut
