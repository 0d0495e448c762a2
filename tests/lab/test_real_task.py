"""The real wheels: what the course says about its task. Nothing is trained here."""

import hashlib
import json

import networkx
import obonet
import pytest

from pruning_course.lab.cache import dense_folder, read_facts
from pruning_course.lab.encoder import MAX_LENGTH, load_batches
from pruning_course.lab.phenotypes import ROOT, load_phenotypes, ontology_file
from pruning_course.lab.recipe import Recipe

pytestmark = pytest.mark.laboratory


def test_the_task_is_the_one_that_the_course_describes():
    data = load_phenotypes()
    assert (len(data.texts), tuple(data.labels.shape), data.release) == (15817, (15817, 15), "2025-01-16")
    assert data.labels.sum(dim=0).min() >= 400
    assert [int((data.labels.sum(dim=1) == count).sum()) for count in range(6)] == [611, 10231, 4430, 505, 39, 1]
    sizes = {"test": 2048, "validation": 1024, "train": 6144, "select": 1024}
    assert {name: len(rows) for name, rows in data.split.items()} == sizes
    seen = [{data.groups[row] for row in rows} for rows in data.split.values()]
    assert sum(map(len, seen)) == len(set.union(*seen))
    assert data is load_phenotypes()


def test_the_split_sees_the_first_parent_only():
    """Lesson 00: 18% of the terms have several parents; a quarter of the validation texts share one with training."""
    data, graph = load_phenotypes(), obonet.read_obo(ontology_file(), ignore_obsolete=True)
    terms = sorted(term for term in networkx.ancestors(graph, ROOT) if "def" in graph.nodes[term])
    parents = [set(graph.successors(term)) for term in terms]
    assert data.groups == [min(several) for several in parents]
    assert sum(len(several) > 1 for several in parents) / len(parents) == pytest.approx(0.18, abs=0.005)
    in_training = set().union(*(parents[row] for row in data.split["train"]))
    share = sum(bool(parents[row] & in_training) for row in data.split["validation"]) / 1024
    assert share == pytest.approx(0.25, abs=0.01)


def test_every_machine_has_the_same_split():
    split = load_phenotypes().split
    drawn_first = {name: rows for name, rows in split.items() if name != "select"}
    assert _digest(drawn_first) == "5c7def6ae73bc1e8"
    assert _digest(split["select"]) == "711a3d34a57d1218"


def _digest(data) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def test_the_batches_of_the_task():
    batches = load_batches("validation")
    assert sum(len(batch["labels"]) for batch in batches) == 1024
    assert max(batch["input_ids"].shape[1] for batch in batches) <= MAX_LENGTH == Recipe().max_length
    real = sum(int(batch["attention_mask"].sum()) for batch in batches)
    assert real > 0.9 * sum(batch["input_ids"].numel() for batch in batches)
    assert load_batches("validation")[0]["labels"] is batches[0]["labels"]


def test_fine_tuning_pays():
    facts = read_facts(dense_folder())
    f1 = {name: facts["f1"][name]["micro_f1"] for name in ("logistic", "dense")}
    assert f1["dense"] > f1["logistic"] + 0.04
