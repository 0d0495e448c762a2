"""What pruning does to a model, in numbers: two shares, three sizes in bytes, and the work of a forward pass."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from pruning_course.calibration import as_batch, calibration_mode, run_batch
from pruning_course.masks import Fit, Masks, find_owners, find_parameters, warn_unless
from pruning_course.models import find_left_out, out_in

INDEX_BYTES = 4  # int32, which torch can use in a CSR tensor; its to_sparse_csr() makes int64, 8 bytes


@dataclass(frozen=True)
class SparsityReport:
    """Shares from 0 to 1, counts of weights, and sizes in bytes of all tensors of a model, shared ones counted once."""

    selected: float  # the pruned share of the masked weights
    of_all: float  # the pruned share of all parameters of the model
    pruned: int
    revived: int  # pruned weights that are no longer 0; they are not counted as pruned
    masked: int
    parameters: int
    per_layer: dict[str, float]  # the pruned share of each mask
    bytes_dense: int  # if zeros are stored like any other number
    bytes_csr: int  # if masked matrices are stored as values, int32 columns and int32 row starts: 8 bytes a float32
    bytes_shrunk: int  # if rows and columns that are pruned completely are cut out
    left_out: dict[str, tuple[float, str]]  # what has no mask: its share of all parameters, and the reason

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        left_out = sum(share for share, _ in self.left_out.values())
        return (
            f"{self.selected:.1%} of the {self.masked:,} masked weights are pruned, {self.of_all:.1%} of all "
            f"{self.parameters:,} parameters; {len(self.left_out)} matrices ({left_out:.1%}) have no mask\n"
            f"MB: dense {self.bytes_dense / 1e6:.1f}, CSR {self.bytes_csr / 1e6:.1f}, "
            f"shrunk {self.bytes_shrunk / 1e6:.1f}"
        )


def sparsity_report(model: nn.Module, masks: Mapping[str, Tensor]) -> SparsityReport:
    """Report what `masks` (name to bool tensor, True = kept) prune in `model`.

    Pruned weights are counted in the masks and not as zeros, because a weight may be 0 without being pruned.

    Warns if `masks` are `Masks` that no longer fit the model: weights that are not 0 any more do not count as pruned,
    and layers that were replaced are left out.

    Raises ValueError if the masks belong to another model, or a mask names something that `model` lacks, or does not
    have the shape of its weight.
    """
    fit = masks.check() if isinstance(masks, Masks) else Fit({}, ())
    warn_unless(fit, model)
    parameters = masks.parameters if isinstance(masks, Masks) else find_parameters(model, masks)
    owners = find_owners(model, parameters)
    if parameters and not owners:
        raise ValueError(f"masks are those of another model than this {type(model).__name__}.")
    masks = {name: masks[name] for name in owners}
    for name, keep in masks.items():
        if keep.shape != parameters[name].shape:
            raise ValueError(
                f"The mask of {name} is {tuple(keep.shape)}, its weight is {tuple(parameters[name].shape)}."
            )
    pruned = {name: keep.numel() - int(keep.count_nonzero()) - fit.revived.get(name, 0) for name, keep in masks.items()}
    total = sum(parameter.numel() for parameter in model.parameters())
    dense = sum(tensor.nbytes for tensor in {id(t): t for t in model.state_dict(keep_vars=True).values()}.values())
    csr = shrunk = dense
    for name, keep in masks.items():
        if keep.dim() >= 2:
            csr += count_csr_bytes(keep, parameters[name].itemsize) - parameters[name].nbytes
        layer, _ = owners[name]
        bias = None if getattr(layer, "bias", None) is None else masks.get(f"{name}.bias", keep.new_ones(()))
        shrunk -= count_cut(out_in(layer, keep), bias) * parameters[name].itemsize
    return make_report(
        pruned=pruned,
        sizes={name: keep.numel() for name, keep in masks.items()},
        parameters=total,
        revived=sum(fit.revived.values()),
        bytes_dense=dense,
        bytes_csr=csr,
        bytes_shrunk=shrunk,
        left_out=find_left_out(model, (parameters[name] for name in owners)),
    )


def make_report(pruned: Mapping[str, int], sizes: Mapping[str, int], parameters: int, **others: Any) -> SparsityReport:
    """Return the report of the numbers of pruned weights and of all weights by name; `others` are its other fields."""
    removed, masked = sum(pruned.values()), sum(sizes.values())
    return SparsityReport(
        selected=removed / max(1, masked),
        of_all=removed / max(1, parameters),
        pruned=removed,
        masked=masked,
        parameters=parameters,
        per_layer={name: count / max(1, sizes[name]) for name, count in pruned.items()},
        **others,
    )


def multiply_adds(model: nn.Module, batch: object) -> int:
    """Count the multiplications, each with its addition, of all matrix products in one forward pass over `batch`.

    torch's FlopCounterMode counts them, as two operations each. Padding and masked weights are included, because a
    processor multiplies by them, too. `batch` is a dict of tensors, a tensor, or a pair (inputs, targets).

    Raises TypeError if `batch` is something else, and ValueError if its attention_mask is not (batch, tokens).
    """
    # The counter does not know the fused attention of the CPU, but the two products that this consists of.
    with calibration_mode(model), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        run_batch(model, as_batch(batch))
    return int(counter.get_total_flops()) // 2


def count_csr_bytes(keep: Tensor, itemsize: int) -> int:
    """Count the bytes of the numbers in `keep` (out, ...) as values, columns and row starts; a filter is a row."""
    return int(keep.count_nonzero()) * (itemsize + INDEX_BYTES) + (len(keep) + 1) * INDEX_BYTES


def count_cut(keep: Tensor, bias: Tensor | None) -> int:
    """Count the numbers in rows or columns (of a convolution: filters or channels) that can be cut out.

    Args:
        keep: bool (out, in, ...), or a vector, whose pruned numbers can all be cut out.
        bias: which biases are kept, bool (out,); None if there are none. The output of a row without weights is its
            bias, so the row is needed for as long as that is kept.
    """
    if keep.dim() < 2:
        return keep.numel() - int(keep.count_nonzero())
    matrix = keep.flatten(2).any(2) if keep.dim() > 2 else keep
    rows, columns = matrix.any(1), matrix.any(0)
    if bias is not None:
        rows = rows | bias
    return keep.numel() - int(rows.sum()) * int(columns.sum()) * (keep.numel() // matrix.numel())
