"""Which outputs of a model the labels of a file are."""

import warnings

import pytest

from pruning_course.experiments.data import label_tensor

STARS = {place: f"{place + 1} stars" for place in range(5)}
NUMBERED = {place: str(place + 1) for place in range(3)}


def unnamed(count: int) -> dict[int, str]:
    return {place: f"LABEL_{place}" for place in range(count)}


def places(labels: list[str], names: dict) -> list[int]:
    return label_tensor([[label] for label in labels], names, many=False).tolist()


@pytest.mark.parametrize(
    ("labels", "names", "expected"),
    [
        (["2 stars", "1 stars"], STARS, [1, 0]),
        (["0", "4", "2"], STARS, [0, 4, 2]),
        (["0.0", "4.0", "1."], STARS, [0, 4, 1]),
        (["00", "3"], STARS, [0, 3]),
        (["3", "1"], NUMBERED, [2, 0]),  # the model's names
        (["3.0", "1.0"], NUMBERED, [2, 0]),
        (["0", "2"], NUMBERED, [0, 2]),
        (["1", "0", "1"], {0: "1", 1: "0"}, [0, 1, 0]),  # names come before numbers
        ([str(number) for number in range(12)], unnamed(12), list(range(12))),
    ],
)
def test_names_and_numbers_from_0(labels, names, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert places(labels, names) == expected


@pytest.mark.parametrize(
    ("labels", "names", "expected", "says"),
    [
        ([str(n) for n in range(1, 13)], unnamed(12), list(range(12)), "from 1: 1 is LABEL_0, and 12 is LABEL_11"),
        (
            ["5", "1", "2"],
            STARS,
            [4, 0, 1],
            "without 0, so the model's 5 labels are counted from 1: 1 is 1 stars",
        ),
        (["1.0", "2.0"], {0: "no", 1: "yes"}, [0, 1], "from 1: 1 is no, and 2 is yes"),
        (["eye", "ear"], unnamed(2), [1, 0], "in this order, ear, eye"),
        (["10.5", "2.5", "1"], unnamed(3), [2, 1, 0], "in this order, 1, 2.5, 10.5"),
    ],
)
def test_what_is_guessed_is_said(labels, names, expected, says):
    with pytest.warns(UserWarning, match=says):
        assert places(labels, names) == expected


@pytest.mark.parametrize(
    ("labels", "names", "says"),
    [
        (
            ["1", "2", "3", "4"],
            STARS,
            "from 1 to 4, and the model's 5 labels could be counted from 0 or from 1",
        ),
        (["2", "3"], STARS, "numbers from 2 to 3"),
        (["0", "5"], STARS, "have the label 5; the model's 5 labels .* have the numbers 0 to 4"),
        (["1", "2", "9"], STARS, "have the label 9; the model's 5 labels"),
        (
            ["-1", "1"],
            {0: "no", 1: "yes"},
            r"have the label -1; the model's 2 labels \(no, yes\) have the numbers 0 to 1",
        ),
        (["eye", "nose"], {0: "eye", 1: "ear"}, "such as 'nose'; they must be eye, ear, or the numbers of these"),
        (["eye", "1"], {0: "eye", 1: "ear"}, "such as '1'"),
        (["", "neg", "pos"], unnamed(3), "Text 1 has an empty label; it must be one of LABEL_0, LABEL_1, LABEL_2"),
        (["neg", ""], {0: "", 1: "neg"}, "Text 2 has an empty label"),
        (
            ["no", "0.5"],
            {place: f"name {place}" for place in range(99)},
            "name 11 and 87 more, or the numbers of",
        ),
    ],
)
def test_what_is_no_label_of_the_model_is_refused(labels, names, says):
    with pytest.raises(ValueError, match=says):
        places(labels, names)


def test_texts_with_several_labels_or_none():
    names = {0: "eye", 1: "ear", 2: "bone"}
    assert label_tensor([["bone", "eye"], []], names, many=True).tolist() == [[1, 0, 1], [0, 0, 0]]
    assert label_tensor([["0", "2"], [], ["1"]], names, many=True).tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    with pytest.raises(ValueError, match="numbers from 1 to 2, and the model's 3 labels could be counted"):
        label_tensor([["1", "2"], []], names, many=True)
    with pytest.raises(ValueError, match="Text 2 has an empty label"):
        label_tensor([["eye"], []], names, many=False)
