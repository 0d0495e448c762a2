"""Prune a checkpoint on disk, tensor by tensor, without loading the model."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from pruning_course.checkpoint.description import read_json
from pruning_course.checkpoint.stored import Stored, read_header
from pruning_course.checkpoint.tensors import WEIGHTS
from pruning_course.files import written_beside
from pruning_course.models import as_patterns, shorten
from pruning_course.report import SparsityReport, count_csr_bytes, count_cut, make_report
from pruning_course.scores import Scores
from pruning_course.selection import keep_globally, keep_per_row, keep_per_tensor

INDEX = "model.safetensors.index.json"
OTHER_WEIGHTS = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack", "*.gguf", "*.onnx")  # dense ones, not copied
EMBEDDINGS = ("*embed*", "*wte*", "*wpe*", "shared.weight", "*relative_attention_bias*")
HEADS = (
    *("*lm_head*", "*classifier*", "score.weight", "*.score.weight", "*embed_out*", "output.weight", "*qa_outputs*"),
    "*predictions.decoder*",
)
QUANTISED = ("*qweight*", "*qzeros*", "*weight_scale*", "*.scales", "*.absmax")
SELECT = {"tensor": keep_per_tensor, "row": keep_per_row, "model": keep_globally}


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
    prune_layers, exclude = as_patterns("prune_layers", prune_layers), as_patterns("exclude", exclude)
    if target.is_dir() or (source.is_dir() and target.exists()):
        raise FileExistsError(f"{target} exists already; a folder is never overwritten.")
    if source.is_dir() and target.resolve().is_relative_to(source.resolve()):
        raise ValueError(f"The target {target} is inside the source {source}; it must be next to it or elsewhere.")
    if group not in SELECT:
        raise ValueError(f"group is {group!r}; it can be {', '.join(map(repr, SELECT))}.")
    if not 0 <= target_sparsity <= 1:
        raise ValueError(f"target_sparsity is {target_sparsity}; it must be between 0 and 1.")
    files = _find_files(source)
    names = {name for file in files for name in read_header(file)}
    if quantised := sorted(name for name in names if any(fnmatchcase(name, pattern) for pattern in QUANTISED)):
        raise ValueError(f"{source} holds quantised weights ({shorten(quantised)}); prune it before it is quantised.")
    reasons = _choose(names, prune_layers, exclude)
    with written_beside(target, folder=source.is_dir()) as place:
        _copy(source, place, files)
        copies = [place / file.relative_to(source) if source.is_dir() else place for file in files]
        stored = {name: tensor for file in copies for name, tensor in read_header(file).items()}
        for name, tensor in stored.items():
            if len(tensor.shape) < 2 or tensor.dtype is None or not tensor.nbytes or not name.endswith("weight"):
                reasons[name] = "not a layer that is known"
        chosen = [name for name in stored if name not in reasons]
        if not chosen:
            raise ValueError(f"{source} has no tensor to prune; its tensors: {shorten(stored)}.")
        keep = _select(stored, chosen, target_sparsity, SELECT[group], at_once=group == "model")
        return _apply(stored, keep, len(chosen), reasons)


def _find_files(source: Path) -> list[Path]:
    if not source.is_dir():
        return [source]
    if (source / INDEX).is_file() and (source / WEIGHTS).is_file():
        raise ValueError(f"{source} has {WEIGHTS} and {INDEX}; it must have one of them.")
    if (source / INDEX).is_file():
        return [source / name for name in sorted(set(read_json(source / INDEX).get("weight_map", {}).values()))]
    if (source / WEIGHTS).is_file():
        return [source / WEIGHTS]
    raise ValueError(f"{source} has neither {WEIGHTS} nor {INDEX}.")


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


def _copy(source: Path, target: Path, files: Sequence[Path]) -> None:
    if source.is_dir():

        def ignore(folder: str, names: list[str]) -> set[str]:
            others = shutil.ignore_patterns(*OTHER_WEIGHTS)(folder, names)
            return others | {
                name for name in names if name.endswith(".safetensors") and Path(folder, name) not in files
            }

        shutil.copytree(source, target, dirs_exist_ok=True, ignore=ignore)
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
    total = sum(sizes.values())
    copied = {name: reason for name, reason in reasons.items() if len(stored[name].shape) > 1}
    return make_report(
        pruned=pruned,
        sizes={name: sizes[name] for name in pruned},
        parameters=total,
        revived=0,
        bytes_dense=dense,
        bytes_csr=csr,
        bytes_shrunk=shrunk,
        left_out={name: (sizes[name] / total, reason) for name, reason in copied.items()},
    )
