from functools import lru_cache
from unittest.mock import patch

import pytest
import torch
from helpers.selection import by_sorting, keep, shares, tensors
from hypothesis import given, settings
from hypothesis import strategies as st

from pruning_course.scores import Scores
from pruning_course.selection import keep_globally, keep_n_of_m, keep_per_row, keep_per_tensor, threshold
from pruning_course.selection.rows import CHUNK, THREAD_CHUNK, keep_by_sorting, keep_highest


@pytest.mark.parametrize(
    ("scores", "sparsity", "expected"),
    [
        ([0.5, 0.02, 0.3, 0.01, 0.4], 0.4, [1, 0, 1, 0, 1]),
        ([1, 1, 1, 1, 1, 1, 1, 1], 0.5, [1, 1, 1, 1, 0, 0, 0, 0]),  # all tied: the first are kept
        ([0, 0, 0, 2], 0.5, [1, 0, 0, 1]),
        ([3, 1, 1, 2], 0.25, [1, 1, 0, 1]),
        ([3, 1, 1, 2], 0.0, [1, 1, 1, 1]),
        ([3, 1, 1, 2], 1.0, [0, 0, 0, 0]),
        ([float("inf"), 1, float("inf"), 2], 0.5, [1, 0, 1, 0]),
        ([-0.0, 0.0, 0.0], 1 / 3, [1, 1, 0]),  # -0.0 counts as 0.0
        ([1, 2, 3], 0.5, [0, 0, 1]),  # round(1.5) = 2: half to even, as in torch
        ([1, 2, 3, 4, 5], 0.5, [0, 0, 1, 1, 1]),  # round(2.5) = 2
    ],
)
def test_one_tensor(scores, sparsity, expected):
    assert torch.equal(keep_globally({"a": torch.tensor(scores, dtype=torch.float32)}, sparsity)["a"], keep(expected))


def test_ties_across_tensors_run_in_mapping_order():
    scores = {"second": torch.ones(2, 2), "first": torch.ones(3)}
    chosen = keep_globally(scores, 3 / 7)
    assert torch.equal(chosen["second"], keep([[1, 1], [1, 1]]))
    assert torch.equal(chosen["first"], keep([0, 0, 0]))


def test_globally_compares_across_dtypes():
    scores = {"half": torch.tensor([0.5, 0.25]).bfloat16(), "double": torch.tensor([0.3, 0.7]).double()}
    chosen = keep_globally(scores, 0.5)
    assert chosen["half"].tolist() == [True, False] and chosen["double"].tolist() == [False, True]


def test_float64_is_not_rounded():
    scores = torch.tensor([1 + 1e-12, 1.0, 1 + 2e-12], dtype=torch.float64)
    assert keep_globally({"a": scores}, 1 / 3)["a"].tolist() == [True, False, True]


def test_per_tensor_and_per_row():
    scores = {"a": torch.tensor([[5.0, 4, 3, 2], [1, 9, 8, 7]]), "b": torch.tensor([[0.1, 0.2]])}
    per_tensor = keep_per_tensor(scores, 0.5)
    assert torch.equal(per_tensor["a"], keep([[1, 0, 0, 0], [0, 1, 1, 1]]))
    assert torch.equal(per_tensor["b"], keep([[0, 1]]))
    per_row = keep_per_row(scores, 0.5)
    assert torch.equal(per_row["a"], keep([[1, 1, 0, 0], [0, 1, 1, 0]]))


def test_n_is_the_number_kept():
    scores = {"a": torch.tensor([[1.0, 4, 3, 2, 5, 5, 5, 5]])}
    assert torch.equal(keep_n_of_m(scores, 2, 4)["a"], keep([[0, 1, 1, 0, 1, 1, 0, 0]]))
    assert torch.equal(keep_n_of_m(scores, 1, 4)["a"], keep([[0, 1, 0, 0, 1, 0, 0, 0]]))
    assert torch.equal(keep_n_of_m(scores, 4, 8)["a"], keep([[0, 0, 0, 0, 1, 1, 1, 1]]))


@settings(max_examples=200, deadline=None)
@given(st.lists(tensors, min_size=1, max_size=4), shares, st.sampled_from([threshold.FEW, 0]))
def test_globally_is_the_definition_for_any_ties_shapes_and_dtypes(list_of_scores, sparsity, few):
    scores = {str(i): tensor for i, tensor in enumerate(list_of_scores)}
    flat = torch.cat([tensor.double().flatten() for tensor in list_of_scores])
    expected = by_sorting(flat, round(sparsity * len(flat)))
    with patch.object(threshold, "FEW", few):
        chosen = keep_globally(scores, sparsity)
    assert torch.equal(torch.cat([mask.flatten() for mask in chosen.values()]), expected)
    assert [mask.shape for mask in chosen.values()] == [tensor.shape for tensor in list_of_scores]


@settings(max_examples=200, deadline=None)
@given(tensors, shares)
def test_rows_and_tensors_lose_the_exact_count(scores, sparsity):
    width = scores.shape[1]
    chosen = keep_per_row({"a": scores}, sparsity)["a"]
    expected = torch.stack([by_sorting(row, round(sparsity * width)) for row in scores])
    assert torch.equal(chosen, expected)
    assert torch.equal(
        keep_per_tensor({"a": scores}, sparsity)["a"], by_sorting(scores, round(sparsity * scores.numel()))
    )


@settings(max_examples=100, deadline=None)
@given(tensors, st.integers(1, 4), st.data())
def test_n_of_m_keeps_n_of_every_m(scores, groups, data):
    m = scores.shape[1]
    n = data.draw(st.integers(0, m))
    wide = scores.double().repeat(1, groups).to(scores.dtype)
    chosen = keep_n_of_m({"a": wide}, n, m)["a"].view(-1, m)
    assert torch.equal(chosen, torch.stack([by_sorting(row, m - n) for row in wide.reshape(-1, m)]))


@settings(max_examples=50, deadline=None)
@given(tensors, shares, shares)
def test_a_higher_sparsity_contains_the_lower(scores, a, b):
    low, high = (keep_globally({"a": scores}, share)["a"] for share in sorted((a, b)))
    assert not (high & ~low).any()


MANY = 3 * 2**18 + 5  # several chunks


@lru_cache
def large_scores(kind):
    """MANY scores, and their places from the lowest to the highest, among equals the later ones first."""
    scores = torch.randn(MANY, generator=torch.Generator().manual_seed(0)).abs()
    if kind == "few values":
        scores = (scores * 2).floor()
    if kind == "outliers":
        scores[::16] = 1000.0
    return scores, MANY - 1 - torch.sort(scores.flip(0), stable=True).indices


@pytest.mark.parametrize("share", [0.001, 0.5, 0.97])
@pytest.mark.parametrize("kind", ["normal", "few values", "outliers"])
@pytest.mark.parametrize("few", [threshold.FEW, 5])
def test_large_tensors_are_exact_however_few_scores_may_be_set_aside(monkeypatch, few, kind, share):
    monkeypatch.setattr(threshold, "FEW", few)
    scores, order = large_scores(kind)
    keep = keep_globally({"a": scores[: MANY // 2], "b": scores[MANY // 2 :]}, share)
    keep = torch.cat([keep["a"], keep["b"]])
    expected = torch.ones(MANY, dtype=torch.bool)
    expected[order[: round(share * MANY)]] = False
    assert torch.equal(keep, expected)


def test_any_number_of_dimensions():
    scores = torch.arange(24.0).view(2, 3, 2, 2)
    assert int(keep_globally({"a": scores}, 0.25)["a"].sum()) == 18
    assert keep_per_row({"a": scores}, 0.25)["a"].flatten(1).sum(1).tolist() == [9, 9]


def test_a_tensor_that_is_not_contiguous():
    scores = torch.rand(5, 7).t()
    assert torch.equal(keep_globally({"a": scores}, 0.3)["a"], by_sorting(scores, round(0.3 * 35)))
    assert torch.equal(keep_per_row({"a": scores}, 0.4)["a"], keep_per_row({"a": scores.contiguous()}, 0.4)["a"])


def test_scores_may_be_lazy_and_exist_one_at_a_time():
    alive, most = 0, 0

    class Counted(torch.Tensor):
        pass

    def score(name):
        nonlocal alive, most
        import weakref

        tensor = torch.full((4, 4), float(name) + 1).as_subclass(Counted)
        alive += 1
        most = max(most, alive)

        def gone(_):
            nonlocal alive
            alive -= 1

        references.append(weakref.ref(tensor, gone))
        return tensor

    references = []
    chosen = keep_globally(Scores("0123456789", score), 0.5)
    assert [bool(mask.any()) for mask in chosen.values()] == [False] * 5 + [True] * 5
    assert most <= 2  # the one in use, and the next one as it is made


BAD = [
    ({"a": torch.ones(4)}, 1.2, "sparsity is 1.2"),
    ({"a": torch.ones(4)}, -0.1, "between 0 and 1"),
    ({"a": torch.ones(4)}, float("nan"), "sparsity is nan"),
    ({}, 0.5, "scores is empty"),
    ({"a": torch.tensor([1.0, float("nan")])}, 0.5, "a hold a NaN"),
    ({"a": torch.tensor([1.0, -0.5])}, 0.5, "never negative"),
]


@pytest.mark.parametrize(("scores", "sparsity", "message"), BAD)
def test_bad_input_is_refused(scores, sparsity, message):
    for select in (keep_globally, keep_per_tensor):
        with pytest.raises(ValueError, match=message):
            select(scores, sparsity)
    with pytest.raises(ValueError, match=message):
        keep_per_row({name: tensor.view(2, -1) for name, tensor in scores.items()}, sparsity)


def test_refusals_of_shapes_and_dtypes():
    with pytest.raises(TypeError, match="must be floats"):
        keep_globally({"a": torch.tensor([1, 2])}, 0.5)
    with pytest.raises(ValueError, match="two dimensions"):
        keep_per_row({"a": torch.ones(4)}, 0.5)
    with pytest.raises(ValueError, match="rows of 6 weights, which groups of 4 do not divide"):
        keep_n_of_m({"a": torch.ones(2, 6)})
    for n, m in ((5, 4), (-1, 4), (1, 0), (1.5, 4)):
        with pytest.raises(ValueError, match="n weights of every m"):
            keep_n_of_m({"a": torch.ones(2, 4)}, n, m)


def test_empty_tensors_are_no_trouble():
    chosen = keep_globally({"a": torch.ones(0, 3), "b": torch.ones(2, 2)}, 0.5)
    assert chosen["a"].shape == (0, 3) and int(chosen["b"].sum()) == 2


@pytest.mark.parametrize("select", [keep_globally, keep_per_tensor, keep_per_row])
def test_scores_may_come_from_parameters_that_are_trained(select):
    weight = torch.tensor([[1.0, 3.0], [2.0, 4.0]], requires_grad=True)
    assert int(select({"a": weight.abs()}, 0.5)["a"].sum()) == 2


def test_a_row_longer_than_a_part_is_compared_as_a_whole():
    row = torch.arange(3 * THREAD_CHUNK).flip(0)[None].float()
    keep = keep_per_row({"a": row}, 0.5)["a"]
    assert keep[0, : 3 * THREAD_CHUNK // 2].all() and not keep[0, 3 * THREAD_CHUNK // 2 :].any()


@pytest.mark.parametrize("width", [4, 8, 96])
def test_many_rows_and_the_sort_of_an_accelerator(width):
    rows = torch.randint(0, 9, (CHUNK // width + 5, width), generator=torch.Generator().manual_seed(0))
    assert torch.equal(keep_highest(rows.float(), width // 2), keep_by_sorting(rows, width // 2))
