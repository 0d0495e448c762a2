"""What pruning does to a model, in numbers: two shares, four sizes, and the work of a forward pass."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from pruning_course.calibration import as_batch, calibration_mode, run_batch
from pruning_course.masks import find_owners
from pruning_course.models import linear_layers, out_in, tied_layers

INDEX_BYTES = 4  # torch can index a CSR tensor with int32


@dataclass(frozen=True)
class SparsityReport:
    """Shares are from 0 to 1; sizes are bytes of all tensors of the model, a shared one counted once."""

    selected: float  # pruned share of the masked weights
    of_all: float  # pruned share of all parameters of the model
    pruned: int
    masked: int
    parameters: int
    per_layer: dict[str, float]
    bytes_dense: int  # zeros are stored like any number
    bytes_csr: int  # masked matrices as values + int32 columns + row starts
    bytes_shrunk: int  # rows and columns that are pruned as a whole are cut out
    left_out: dict[str, str]  # linear layers without a mask, and why

    def to_dict(self) -> dict:
        """Plain data, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"{self.selected:.1%} of the {self.masked:,} masked weights are pruned, {self.of_all:.1%} of all "
            f"{self.parameters:,} parameters; {len(self.left_out)} linear layers were left out\n"
            f"MB: dense {self.bytes_dense / 1e6:.1f}, CSR {self.bytes_csr / 1e6:.1f}, "
            f"shrunk {self.bytes_shrunk / 1e6:.1f}"
        )


def sparsity_report(model: nn.Module, masks: Mapping[str, Tensor]) -> SparsityReport:
    """Count what `masks` (name to bool tensor, True = kept) prune in `model`.

    Counts come from the masks, not from zeros in the weights: a weight may be 0 without being pruned.
    Raises ValueError for masks that do not fit the model.
    """
    parameters = {name: getattr(*owner) for name, owner in find_owners(model, masks).items()}
    for name, keep in masks.items():
        if keep.shape != parameters[name].shape:
            raise ValueError(
                f"The mask of {name} is {tuple(keep.shape)}, its weight is {tuple(parameters[name].shape)}."
            )
    pruned = {name: keep.numel() - int(keep.count_nonzero()) for name, keep in masks.items()}
    masked = sum(keep.numel() for keep in masks.values())
    every = sum(parameter.numel() for parameter in model.parameters())
    dense = sum(tensor.nbytes for tensor in {id(t): t for t in model.state_dict(keep_vars=True).values()}.values())
    csr = shrunk = dense
    for name, keep in masks.items():
        if keep.dim() == 2:
            csr += _csr_bytes(keep, parameters[name].itemsize) - parameters[name].nbytes
        shrunk -= _cut(model, name, masks) * parameters[name].itemsize
    tied = tied_layers(model)
    return SparsityReport(
        selected=sum(pruned.values()) / max(1, masked),
        of_all=sum(pruned.values()) / every,
        pruned=sum(pruned.values()),
        masked=masked,
        parameters=every,
        per_layer={name: count / masks[name].numel() for name, count in pruned.items()},
        bytes_dense=dense,
        bytes_csr=csr,
        bytes_shrunk=shrunk,
        left_out={
            name: f"shares its weight with {tied[name]}" if name in tied else "not selected"
            for name in linear_layers(model)
            if name not in masks
        },
    )


def multiply_adds(model: nn.Module, batch) -> int:
    """The multiplications, each with its addition, of all matrix products in one forward pass over `batch`.

    Counted by torch's FlopCounterMode, which calls them two operations. Padding and masked weights count as any number
    does: a processor multiplies by them too. What a batch can be, and what is raised, as `input_norms`.
    """
    # The fused attention of the CPU is a product that the counter does not know; spelled out, it is two that it knows.
    with calibration_mode(model), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        run_batch(model, as_batch(batch))
    return counter.get_total_flops() // 2


def _csr_bytes(keep: Tensor, itemsize: int) -> int:
    return int(keep.count_nonzero()) * (itemsize + INDEX_BYTES) + (len(keep) + 1) * INDEX_BYTES


def _cut(model: nn.Module, name: str, masks: Mapping[str, Tensor]) -> int:
    """How many of the masked numbers lie in rows or columns that can be cut out."""
    keep = masks[name]
    if keep.dim() != 2:
        return keep.numel() - int(keep.count_nonzero())
    layer = model.get_submodule(name)
    rows, columns = out_in(layer, keep).any(1), out_in(layer, keep).any(0)
    if layer.bias is not None:
        # A row without weights still gives out its bias, unless that is masked too.
        rows = rows | masks.get(f"{name}.bias", rows.new_ones(()))
    return keep.numel() - int(rows.sum()) * int(columns.sum())
