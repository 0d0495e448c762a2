"""Batches with labels: checked, in the order of an epoch, and cut into parts."""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

NEEDED = "a dict of tensors: what the model takes, such as input_ids and attention_mask, and labels"

Batch = dict[str, Tensor]


def check_batch(raw: object) -> Batch:
    """Return the tensors of a batch.

    Raises TypeError if it is not a mapping, and ValueError if it has no labels, or none for any row.
    """
    if not isinstance(raw, Mapping):
        raise TypeError(f"A batch is {type(raw).__name__}; it must be {NEEDED}.")
    batch = {name: value for name, value in raw.items() if isinstance(value, Tensor)}
    for name, value in raw.items():
        is_text = isinstance(value, str) or (isinstance(value, Sequence) and all(isinstance(one, str) for one in value))
        if name not in batch and value is not None and not is_text:
            raise TypeError(f"{name} in a batch is a {type(value).__name__}; it must be a tensor.")
    if "labels" not in batch:
        raise ValueError(f"A batch has only {', '.join(raw) or 'nothing'}; it must be {NEEDED}.")
    labels = batch["labels"]
    if not labels.dim() or not len(labels):
        raise ValueError(f"The labels are {labels.dtype} {tuple(labels.shape)}; a batch needs at least one row.")
    return batch


def can_read_ahead(loader: Iterable[object]) -> bool:
    """Return whether `loader` can be read once more: it is no stream, and its type is known."""
    is_known = type(loader) is DataLoader or isinstance(loader, Sequence)
    return is_known and not isinstance(getattr(loader, "dataset", None), IterableDataset)


def order_epoch(loader: Iterable[object], seed: int, epoch: int, process: int = 0) -> Iterator[Batch]:
    """Yield the batches of an epoch, in an order that depends only on `seed` and `epoch`.

    A sequence of batches is shuffled; any other loader orders itself, after torch's random state and its own generators
    are set. All processes get the same batches, but each has its own dropout.
    """
    dice = random.Random(f"{seed}, {epoch}")
    if isinstance(loader, Sequence):
        loader = dice.sample(loader, len(loader))
    order, dropout = dice.getrandbits(62), dice.getrandbits(62)
    torch.manual_seed(order)
    for owner in (loader, getattr(loader, "sampler", None)):
        if isinstance(generator := getattr(owner, "generator", None), torch.Generator):
            generator.manual_seed(order)
    for number, raw in enumerate(loader):
        if number == 0:
            torch.manual_seed(dropout + process)
        yield check_batch(raw)


def split_batch(
    batch: Mapping[str, Tensor], micro_tokens: int | None = None, process: int = 0, processes: int = 1
) -> list[tuple[Batch, float]]:
    """Return this process's rows of `batch`, in parts of about `micro_tokens` tokens, each with its share of all rows.

    The shares of all processes add up to 1. Every process gets the same number of parts, because all of them take part
    in each backward pass. If there are too few rows, a part is a row of another process, with the share 0.
    """
    rows = len(batch["labels"])
    tokens = max((t.shape[1] for name, t in batch.items() if name != "labels" and t.dim() > 1), default=1)
    each = ceil(rows / processes)
    count = min(each, ceil(each * tokens / micro_tokens)) if micro_tokens else 1
    cuts = {name: value.tensor_split(count * processes) for name, value in batch.items()}
    parts = []
    for number in range(process * count, (process + 1) * count):
        part = {name: cut[number] for name, cut in cuts.items()}
        share = len(part["labels"]) / rows
        parts.append((part if share else {name: value[:1] for name, value in batch.items()}, share))
    return parts
