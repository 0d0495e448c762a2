import warnings

import pytest
import torch
from torch import nn

from pruning_course import MagnitudePruner, sparsity_report
from pruning_course.lab.storage import count_bytes, csr, storage_costs

MATRIX = torch.tensor([[1.0, 0, 0, 2], [0, 0, 3, 0]])  # three of eight are not 0


@pytest.mark.parametrize(("index", "size"), [(torch.int32, 3 * 8 + 3 * 4), (torch.int64, 3 * 12 + 3 * 8)])
def test_the_index_decides_the_bytes_and_not_the_product(index, size):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stored = csr(MATRIX, index)
    assert stored.col_indices().dtype == stored.crow_indices().dtype == index
    assert count_bytes(stored) == size
    assert count_bytes(MATRIX) == 8 * 4
    assert torch.equal(stored @ torch.eye(4), MATRIX)


def test_the_report_counts_int32_and_torch_makes_int64():
    layer = nn.Linear(16, 8, bias=False)
    report = sparsity_report(layer, MagnitudePruner(layer, 0.5).prune())
    weight = layer.weight.detach()
    assert report.bytes_csr == count_bytes(csr(weight)) < count_bytes(csr(weight, torch.int64))
    assert weight.to_sparse_csr().col_indices().dtype == torch.int64


def test_what_is_timed_is_what_is_weighed():
    layer = nn.Linear(32, 64)
    before = layer.weight.detach().clone()
    time, size = storage_costs(layer, torch.randn(4, 32), [0.5, 0.75], rounds=1)
    assert list(time.index) == list(size.index) == [0.5, 0.75]
    assert list(time) == list(size) == ["with zeros", "CSR, int64", "CSR, int32", "fewer neurons"]
    assert (time > 0).all(axis=None) and torch.equal(layer.weight, before)
    assert size["with zeros"].tolist() == [1, 1] and size["fewer neurons"].tolist() == [0.5, 0.25]
    starts, dense = 65, 32 * 64 * 4
    assert size["CSR, int32"].tolist() == [(1024 * 8 + starts * 4) / dense, (512 * 8 + starts * 4) / dense]
    assert size["CSR, int64"].tolist() == [(1024 * 12 + starts * 8) / dense, (512 * 12 + starts * 8) / dense]
