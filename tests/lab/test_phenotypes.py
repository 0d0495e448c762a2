import numpy as np
import pytest
import torch

from pruning_course.lab.phenotypes import Phenotypes, draw_new_groups, read_ontology, split_at_random, split_by_group


def test_texts_labels_and_groups_of_a_tiny_ontology(tiny_obo):
    texts, labels, names, groups, release = read_ontology(tiny_obo, min_terms=2)
    assert texts == [
        "Any abnormality of the eye.",
        'A "tumour" [of any kind].',
        "Any abnormality of the voice.",  # too rare to be a label: a row of zeros
        "A tumour in the eye.",
        "A small one.",
    ]
    assert names == ("eye", "Neoplasm")
    assert labels.dtype == torch.float32
    assert labels.tolist() == [[1, 0], [0, 1], [0, 0], [1, 1], [1, 1]]
    assert groups == ["HP:0000118", "HP:0000118", "HP:0000118", "HP:1", "HP:4"]  # of two parents, the lowest id
    assert release == "2025-01-16"


def test_errors_say_what_is_missing(tiny_obo):
    with pytest.raises(ValueError, match="no term HP:9"):
        read_ontology(tiny_obo, root="HP:9")
    with pytest.raises(ValueError, match="No child of HP:0000118 has 400"):
        read_ontology(tiny_obo)


@pytest.fixture
def groups():
    return [f"g{number}" for number in np.random.RandomState(3).randint(0, 120, size=600)]


SIZES = {"test": 100, "validation": 60, "train": 300}


def test_the_split_is_grouped_disjoint_and_exact(groups):
    split = split_by_group(groups, SIZES, seed=0)
    assert {name: len(rows) for name, rows in split.items()} == SIZES
    seen = {name: {groups[row] for row in rows} for name, rows in split.items()}
    for one, other in (("test", "validation"), ("test", "train"), ("validation", "train")):
        assert not seen[one] & seen[other]
        assert not set(split[one]) & set(split[other])
    assert all(rows == sorted(set(rows)) for rows in split.values())


def test_the_split_is_a_pure_function(groups):
    np.random.seed(1)
    first = split_by_group(groups, SIZES, seed=0)
    np.random.seed(2)
    assert split_by_group(groups, SIZES, seed=0) == first
    assert split_by_group(groups, SIZES, seed=1) != first


def test_a_part_that_is_drawn_later_has_new_groups_and_leaves_the_others_alone(groups):
    small = {name: size // 4 for name, size in SIZES.items()}
    split = split_by_group(groups, small, seed=0)
    drawn = draw_new_groups(groups, split, 20, seed=0)
    taken = {groups[row] for rows in split.values() for row in rows}
    assert len(set(drawn)) == 20 and drawn == sorted(drawn) and not {groups[row] for row in drawn} & taken
    assert drawn == draw_new_groups(groups, split, 20, seed=0) != draw_new_groups(groups, split, 20, seed=1)
    assert split == split_by_group(groups, small, seed=0)
    with pytest.raises(ValueError, match="'select' needs 600 texts, but only"):
        draw_new_groups(groups, split, 600)


def test_too_few_rows():
    with pytest.raises(ValueError, match="needs 300 texts, but only"):
        split_by_group([str(number // 2) for number in range(400)], SIZES)
    with pytest.raises(ValueError, match="needs 300 texts, but only 40"):
        split_at_random(200, SIZES)


def test_the_random_split_is_disjoint_but_not_grouped(groups):
    split = split_at_random(len(groups), SIZES)
    assert {name: len(rows) for name, rows in split.items()} == SIZES
    assert len(set(split["test"]) | set(split["validation"]) | set(split["train"])) == sum(SIZES.values())
    assert {groups[row] for row in split["test"]} & {groups[row] for row in split["train"]}


def test_subset():
    data = Phenotypes(list("abc"), torch.eye(3), ("x", "y", "z"), list("ggg"), {"train": [0, 2]}, "now")
    texts, labels = data.subset("train")
    assert texts == ["a", "c"]
    assert labels.tolist() == [[1, 0, 0], [0, 0, 1]]
    with pytest.raises(ValueError, match="no part 'dev', only train"):
        data.subset("dev")
