"""A pruned matrix stored in several ways: the bytes that each takes, and the time of a product with it."""

import copy
import warnings
from collections.abc import Callable, Sequence
from statistics import median

import pandas as pd
import torch
from torch import Tensor, nn

from pruning_course.lab.timing import milliseconds
from pruning_course.pruners import MagnitudePruner


def csr(matrix: Tensor, index: torch.dtype = torch.int32) -> Tensor:
    """Store a matrix as compressed sparse rows, with columns and row starts of dtype `index` (int32 or int64).

    `Tensor.to_sparse_csr()` always makes int64. torch's warning that such tensors are in beta is not shown.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR")
        wide = matrix.to_sparse_csr()
        starts, columns = (part.to(index) for part in (wide.crow_indices(), wide.col_indices()))
        return torch.sparse_csr_tensor(starts, columns, wide.values(), size=matrix.shape, check_invariants=True)


def count_bytes(matrix: Tensor) -> int:
    """Count the bytes of the numbers that a dense or a CSR tensor consists of."""
    if matrix.layout is torch.sparse_csr:
        return sum(part.nbytes for part in (matrix.crow_indices(), matrix.col_indices(), matrix.values()))
    return matrix.nbytes


def storage_costs(
    layer: nn.Linear, inputs: Tensor, sparsities: Sequence[float], rounds: int = 9
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Prune copies of `layer` by magnitude; measure the time and the bytes of four ways to store what is left.

    Args:
        layer: with a weight float32 (out, in); it is not changed.
        inputs: (tokens, in), multiplied on one thread.
        sparsities: the shares of the weights to prune.
        rounds: as in `milliseconds`; the median counts.

    Returns:
        The time and the bytes of the weight, each as a share of the dense layer's. Rows are the sparsities; columns are
        "with zeros", "CSR, int64", "CSR, int32" (the indices), and "fewer neurons", an nn.Linear with a share of the
        rows. In each column it is the same tensor that is timed and weighed.
    """
    weights: dict[tuple[float, str], Tensor] = {}
    for share in sparsities:
        zeros = copy.deepcopy(layer).requires_grad_(False)
        MagnitudePruner(zeros, share).prune()
        weights[share, "with zeros"] = zeros.weight.detach()
        weights[share, "CSR, int64"] = csr(zeros.weight.detach(), torch.int64)
        weights[share, "CSR, int32"] = csr(zeros.weight.detach(), torch.int32)
        weights[share, "fewer neurons"] = layer.weight.detach()[: round(len(layer.weight) * (1 - share))].clone()
    calls = {f"{share} {way}": _product(weight, inputs) for (share, way), weight in weights.items()}
    times = milliseconds({"dense": _product(layer.weight.detach(), inputs)} | calls, rounds)
    dense = median(times["dense"])
    return (
        _table({key: median(times[f"{key[0]} {key[1]}"]) / dense for key in weights}),
        _table({key: count_bytes(weight) / layer.weight.nbytes for key, weight in weights.items()}),
    )


def _product(weight: Tensor, inputs: Tensor) -> Callable[[], Tensor]:
    """The fast product of each layout: a sparse weight has to be on the left."""
    if weight.layout is torch.sparse_csr:
        return lambda: (weight @ inputs.t()).t()
    return lambda: nn.functional.linear(inputs, weight)


def _table(values: dict[tuple[float, str], float]) -> pd.DataFrame:
    table: dict[str, dict[float, float]] = {}
    for (share, way), value in values.items():
        table.setdefault(way, {})[share] = value
    return pd.DataFrame(table).rename_axis("sparsity")
