"""Pruning again: the selections with earlier masks."""

import pytest
import torch
from helpers.selection import DTYPES, by_sorting, keep, shares, tensors
from hypothesis import given, settings
from hypothesis import strategies as st

from pruning_course.selection import keep_globally, keep_n_of_m, keep_per_row, keep_per_tensor


def random_masks(shapes, share, seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(shape, generator=generator) < share for shape in shapes]


earlier_masks = st.tuples(st.floats(0, 1), st.integers(0, 2**31))


@settings(max_examples=200, deadline=None)
@given(st.lists(tensors, min_size=1, max_size=4), shares, earlier_masks)
def test_pruning_again_globally_is_the_definition(list_of_scores, sparsity, drawn):
    masks = random_masks([tensor.shape for tensor in list_of_scores], *drawn)
    masks[0] = torch.ones_like(masks[0])  # for which there is no earlier mask
    flat = torch.cat([tensor.double().flatten() for tensor in list_of_scores])
    expected = by_sorting(flat, round(sparsity * len(flat)), torch.cat([mask.flatten() for mask in masks]))
    scores = {str(i): tensor for i, tensor in enumerate(list_of_scores)}
    earlier = {str(i): mask for i, mask in enumerate(masks) if i} | {"of a layer without scores": torch.ones(1)}
    chosen = keep_globally(scores, sparsity, earlier)
    assert torch.equal(torch.cat([mask.flatten() for mask in chosen.values()]), expected)


@settings(max_examples=200, deadline=None)
@given(tensors, shares, earlier_masks, st.data())
def test_pruning_again_in_groups_is_the_definition(scores, sparsity, drawn, data):
    [mask] = random_masks([scores.shape], *drawn)
    width, earlier = scores.shape[1], {"a": mask}
    n = data.draw(st.integers(0, width))

    def by_rows(removed):
        return torch.stack([by_sorting(row, removed, kept) for row, kept in zip(scores, mask, strict=True)])

    per_tensor = keep_per_tensor({"a": scores}, sparsity, earlier)["a"]
    assert torch.equal(per_tensor, by_sorting(scores, round(sparsity * scores.numel()), mask))
    assert torch.equal(keep_per_row({"a": scores}, sparsity, earlier)["a"], by_rows(round(sparsity * width)))
    assert torch.equal(keep_n_of_m({"a": scores}, n, width, earlier)["a"], by_rows(width - n))


@settings(max_examples=50, deadline=None)
@given(tensors, shares, shares)
def test_each_pruning_contains_the_one_before(scores, a, b):
    for select in (keep_globally, keep_per_row):
        first = select({"a": scores}, min(a, b))
        again = select({"a": torch.zeros_like(scores)}, max(a, b), first)["a"]  # scores may change between the two
        assert not (again & ~first["a"]).any()
        assert torch.equal(select({"a": scores}, min(a, b), {"a": again})["a"], again)  # nothing comes back


@pytest.mark.parametrize("dtype", DTYPES)
def test_pruning_again_orders_the_smallest_scores_of_every_dtype(dtype):
    smallest = torch.finfo(dtype).smallest_normal * torch.tensor([0.25, 4.0, 0.5, 0.0, 2.0, 1.0], dtype=torch.float64)
    scores = {"a": smallest.to(dtype)[None]}
    earlier = {"a": keep([[1, 0, 1, 1, 1, 1]])}
    for select in (keep_globally, keep_per_tensor, keep_per_row):
        kept = [select(scores, removed / 6, earlier)["a"][0].tolist() for removed in range(1, 6)]
        assert kept[0] == earlier["a"][0].tolist()
        assert [sum(mask) for mask in kept] == [5, 4, 3, 2, 1]
        assert [[mask[i] for mask in kept].count(True) for i in range(6)] == [2, 0, 3, 1, 5, 4]


@pytest.mark.parametrize("select", [keep_globally, keep_per_tensor, keep_per_row])
def test_an_earlier_mask_must_fit(select):
    scores = {"a": torch.ones(2, 4)}
    with pytest.raises(TypeError, match=r"The earlier mask of a is torch\.float32; masks are torch\.bool"):
        select(scores, 0.5, {"a": torch.ones(2, 4)})
    with pytest.raises(ValueError, match=r"The earlier mask of a is \(4, 2\), its scores are \(2, 4\)."):
        select(scores, 0.5, {"a": keep([[1, 1]] * 4)})


@pytest.mark.parametrize("share", [0.2, 0.5, 0.97])
def test_large_tensors_are_exact_again(share):
    count = 3 * 2**17 + 5  # several chunks
    scores = torch.randn(count, generator=torch.Generator().manual_seed(0)).abs()
    [earlier] = random_masks([scores.shape], 0.6, seed=1)
    chosen = keep_globally({"a": scores}, share, {"a": earlier})["a"]
    lowest = scores.masked_fill(~earlier, -1).sort().values[round(share * count)]
    assert torch.equal(chosen, (scores >= lowest) & earlier)
