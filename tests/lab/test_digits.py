import pytest
import torch
from torch import nn

from pruning_course import lab
from pruning_course.lab.digits import accuracy, digit_batches, load_digits, make_mlp


def test_the_parts_are_disjoint_and_have_every_digit_in_proportion():
    digits = load_digits()
    assert [len(part[1]) for part in (digits.train, digits.validation, digits.test)] == [1000, 297, 500]
    images = torch.cat([part[0] for part in (digits.train, digits.validation, digits.test)])
    assert len(images.unique(dim=0)) == 1797  # no two of scikit-learn's images are equal, so none is in two parts
    assert images.dtype == torch.float32 and images.min() == 0 and images.max() == 1
    for _, labels in (digits.train, digits.validation, digits.test):
        share = torch.bincount(labels, minlength=10) / len(labels)
        assert labels.dtype == torch.int64 and share.min() > 0.09 and share.max() < 0.11


def test_the_split_is_always_the_same():
    first = load_digits().test[1][:12].tolist()
    load_digits.cache_clear()
    assert load_digits().test[1][:12].tolist() == first
    assert lab.load_digits is load_digits


def test_a_seed_is_a_network_and_leaves_the_random_state_alone():
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    one, two, other = make_mlp(0), make_mlp(0), make_mlp(1)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert [tuple(layer.weight.shape) for layer in one[::2]] == [(300, 64), (100, 300), (10, 100)]
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not torch.equal(one[0].weight, other[0].weight)
    assert isinstance(one[-1], nn.Linear)


def test_batches_go_through_all_images_in_a_new_order_each_epoch():
    one, two = digit_batches(0), digit_batches(0)
    first, second = ([next(one) for _ in range(17)] for _ in range(2))
    assert [len(labels) for _, labels in first] == [60] * 16 + [40]
    for epoch in (first, second):
        rows = torch.cat([images for images, _ in epoch])
        assert len(rows.unique(dim=0)) == 1000
    assert not torch.equal(first[0][0], second[0][0])
    assert all(torch.equal(next(two)[0], images) for images, _ in first)


def test_accuracy_counts_the_highest_output():
    images, labels = torch.eye(4), torch.tensor([0, 1, 2, 0])
    assert accuracy(nn.Identity(), images, labels) == pytest.approx(0.75)
