"""Prune a checkpoint on disk, tensor by tensor, without loading the model."""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from tqdm.auto import tqdm

from pruning_course.checkpoint.description import read_json
from pruning_course.checkpoint.tensors import WEIGHTS
from pruning_course.files import written_beside
from pruning_course.masks.bits import zero_unless
from pruning_course.models import shorten
from pruning_course.report import SparsityReport, count_csr_bytes, count_cut
from pruning_course.scores import Scores
from pruning_course.selection import keep_globally, keep_per_row, keep_per_tensor

INDEX = "model.safetensors.index.json"
OTHER_WEIGHTS = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack", "*.gguf", "*.onnx")  # dense ones, not copied
EMBEDDINGS = ("*embed*", "*wte*", "*wpe*", "shared.weight")
HEADS = ("*lm_head*", "*classifier*", "score.weight", "*.score.weight", "*embed_out*", "output.weight")
SELECT = {"tensor": keep_per_tensor, "row": keep_per_row, "model": keep_globally}
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}


@dataclass(frozen=True)
class Stored:
    """A tensor in a safetensors file: where its bytes are, and what they mean."""

    file: Path
    offset: int  # bytes from the beginning of the file
    shape: tuple[int, ...]
    dtype: torch.dtype | None  # None: not a float
    nbytes: int

    def read(self) -> Tensor:
        """Return the tensor in memory of its own, because what is mapped counts as memory while the file is open."""
        raw = np.fromfile(self.file, dtype=np.uint8, count=self.nbytes, offset=self.offset)
        assert self.dtype is not None
        return torch.from_numpy(raw).view(self.dtype).view(self.shape)

    def prune(self, keep: Tensor) -> None:
        """Set the stored numbers to 0 where `keep` is False."""
        tensor = self.read()
        zero_unless(tensor, keep)
        with open(self.file, "r+b") as file:
            file.seek(self.offset)
            file.write(tensor.view(-1).view(torch.uint8).numpy().data)


def prune_file(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    target_sparsity: float,
    prune_layers: Sequence[str] = ("*",),
    exclude: Sequence[str] = (),
    group: str = "tensor",
) -> SparsityReport:
    """Prune the weights of smallest abs(w) in a checkpoint on disk; return what was pruned.

    Memory holds two tensors at a time, with `group="model"` also a bool for each weight. The target is written next to
    its place and renamed. It has the same tensors, metadata and index as the source, and the other files of a folder
    (config, tokenizer), but no weights in other formats.

    Args:
        source: a safetensors file, or a folder with model.safetensors or an index of several.
        target: a file, which may be replaced, or a new folder.
        target_sparsity: the share of the chosen weights to remove, from 0 to 1.
        prune_layers: patterns for names of tensors, such as ["*.q_proj.weight"]. Of those that match, floating-point
            tensors of two or more dimensions are pruned; embeddings and the output layer are always copied.
        exclude: patterns for names of tensors that are copied.
        group: where weights are compared: "tensor", "model" (all with each other) or "row" (the first dimension).

    Raises ValueError if the source has no safetensors or is damaged, the sparsity is outside [0, 1], the group is
    unknown, a pattern matches nothing, nothing is left to prune, or a weight is NaN; FileExistsError if the target is a
    folder that exists; OSError if the source cannot be read.
    """
    source, target = Path(source), Path(target)
    if group not in SELECT:
        raise ValueError(f"group is {group!r}; it can be {', '.join(map(repr, SELECT))}.")
    if not 0 <= target_sparsity <= 1:
        raise ValueError(f"target_sparsity is {target_sparsity}; it must be between 0 and 1.")
    files = _find_files(source)
    reasons = _choose({name for file in files for name in _read_header(file)}, prune_layers, exclude)
    with written_beside(target, folder=source.is_dir()) as place:
        _copy(source, place)
        copies = [place / file.relative_to(source) if source.is_dir() else place for file in files]
        stored = {name: tensor for file in copies for name, tensor in _read_header(file).items()}
        for name, tensor in stored.items():
            if len(tensor.shape) < 2 or tensor.dtype is None:
                reasons[name] = "not a layer that is known"
        chosen = [name for name in stored if name not in reasons]
        if not chosen:
            raise ValueError(f"{source} has no tensor to prune; its tensors: {shorten(stored)}.")
        keep = _select(stored, chosen, target_sparsity, SELECT[group], at_once=group == "model")
        return _apply(stored, keep, len(chosen), reasons)


def _find_files(source: Path) -> list[Path]:
    if not source.is_dir():
        return [source]
    if (source / INDEX).is_file():
        return [source / name for name in sorted(set(read_json(source / INDEX).get("weight_map", {}).values()))]
    if (source / WEIGHTS).is_file():
        return [source / WEIGHTS]
    raise ValueError(f"{source} has neither {WEIGHTS} nor {INDEX}.")


def _read_header(file: Path) -> dict[str, Stored]:
    """Return the tensors of a file by name. It begins with the length of a JSON object, which says where they are."""
    try:
        with safe_open(file, framework="pt"):  # checks the header and the length of the file
            pass
    except SafetensorError as error:
        raise ValueError(f"{file} is not a valid safetensors file: it is truncated or damaged ({error}).") from error
    with open(file, "rb") as opened:
        size = int.from_bytes(opened.read(8), "little")
        header = json.loads(opened.read(size))
    header.pop("__metadata__", None)
    return {
        name: Stored(file, 8 + size + start, tuple(about["shape"]), DTYPES.get(about["dtype"]), end - start)
        for name, about in header.items()
        for start, end in [about["data_offsets"]]
    }


def _choose(names: set[str], prune_layers: Sequence[str], exclude: Sequence[str]) -> dict[str, str]:
    """Return the names of tensors that are copied whatever they are, with the reason."""
    for option, patterns in {"prune_layers": prune_layers, "exclude": exclude}.items():
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise ValueError(f"The pattern {pattern!r} in {option} matches no tensor; there are {shorten(names)}.")

    def match(name: str, patterns: Sequence[str]) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in patterns)

    reasons = {name: "excluded" for name in names if match(name, exclude) or not match(name, prune_layers)}
    reasons |= {name: "output layer" for name in names if match(name, HEADS)}
    return reasons | {name: "embedding" for name in names if match(name, EMBEDDINGS)}


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*OTHER_WEIGHTS))
    else:
        shutil.copyfile(source, target)


def _select(
    stored: Mapping[str, Stored],
    names: Sequence[str],
    sparsity: float,
    select: Callable[[Mapping[str, Tensor], float], dict[str, Tensor]],
    at_once: bool,
) -> Iterator[tuple[str, Tensor]]:
    """Yield the name and the mask of each tensor; unless all are compared `at_once`, one tensor is read at a time."""
    scores = Scores(names, lambda name: stored[name].read().abs())
    if at_once:
        yield from select(scores, sparsity).items()
    else:
        for name in names:
            yield from select({name: scores[name]}, sparsity).items()


def _apply(
    stored: Mapping[str, Stored], masks: Iterator[tuple[str, Tensor]], count: int, reasons: Mapping[str, str]
) -> SparsityReport:
    sizes = {name: int(np.prod(tensor.shape)) for name, tensor in stored.items()}
    dense = csr = shrunk = sum(tensor.nbytes for tensor in stored.values())
    pruned = {}
    for name, keep in tqdm(masks, desc="Pruning", unit=" tensors", total=count):
        stored[name].prune(keep)
        pruned[name] = keep.numel() - int(keep.count_nonzero())
        itemsize = stored[name].nbytes // keep.numel()
        csr += count_csr_bytes(keep, itemsize) - stored[name].nbytes
        has_bias = name.removesuffix("weight") + "bias" in stored
        shrunk -= count_cut(keep, torch.ones(len(keep), dtype=torch.bool) if has_bias else None) * itemsize
    total, masked = sum(sizes.values()), sum(sizes[name] for name in pruned)
    return SparsityReport(
        selected=sum(pruned.values()) / masked,
        of_all=sum(pruned.values()) / total,
        pruned=sum(pruned.values()),
        revived=0,
        masked=masked,
        parameters=total,
        per_layer={name: removed / sizes[name] for name, removed in pruned.items()},
        bytes_dense=dense,
        bytes_csr=csr,
        bytes_shrunk=shrunk,
        left_out={
            name: (sizes[name] / total, reason) for name, reason in reasons.items() if len(stored[name].shape) > 1
        },
    )
