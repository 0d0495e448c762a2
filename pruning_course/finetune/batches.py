"""Batches with labels: checked, in the order of an epoch, and cut into parts."""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

NEEDED = "a dict of tensors: what the model takes, such as input_ids and attention_mask, and labels"


def checked(raw) -> dict[str, Tensor]:
    """The tensors of a batch, if it is a mapping with labels for at least one row.

    TypeError if it is not a mapping, ValueError if it has no labels.
    """
    if not isinstance(raw, Mapping):
        raise TypeError(f"A batch is {type(raw).__name__}; it must be {NEEDED}.")
    batch = {name: value for name, value in raw.items() if isinstance(value, Tensor)}
    if "labels" not in batch:
        raise ValueError(f"A batch has only {', '.join(raw) or 'nothing'}; it must be {NEEDED}.")
    labels = batch["labels"]
    if not labels.dim() or not len(labels):
        raise ValueError(
            f"The labels are {labels.dtype} {tuple(labels.shape)}; a batch needs those of at least one row."
        )
    return batch


def can_be_read_ahead(loader: Iterable) -> bool:
    """Whether one more look through `loader` costs nothing but time: not of a stream, or a loader that does more."""
    if type(loader) is DataLoader or isinstance(loader, Sequence):
        return not isinstance(getattr(loader, "dataset", None), IterableDataset)
    return False


def read_ahead(loader: Iterable) -> Iterator[dict[str, Tensor]]:
    """The batches of `loader`; the order in which it will give them next time stays what it was."""
    own = [one.generator for one in (loader, getattr(loader, "sampler", None)) if getattr(one, "generator", None)]
    states = [generator.get_state() for generator in own]
    try:
        yield from map(checked, loader)
    finally:
        for generator, state in zip(own, states, strict=True):
            generator.set_state(state)


def one_epoch(loader: Iterable, seed: int, epoch: int, process: int = 0) -> Iterator[dict[str, Tensor]]:
    """The batches of an epoch, in an order that depends on nothing but `seed` and `epoch`.

    A sequence of batches is shuffled; any other loader orders itself, with torch's random state set for it. All
    processes get the same batches, and each its own dropout.
    """
    dice = random.Random(f"{seed}, {epoch}")
    if isinstance(loader, Sequence):
        loader = dice.sample(loader, len(loader))
    order, dropout = dice.getrandbits(62), dice.getrandbits(62)
    torch.manual_seed(order)
    if getattr(loader, "generator", None) is not None:  # a DataLoader may bring its own
        loader.generator.manual_seed(order)
    for number, raw in enumerate(loader):
        if number == 0:
            torch.manual_seed(dropout + process)
        yield checked(raw)


def parts(
    batch: Mapping[str, Tensor], micro_tokens: int | None = None, process: int = 0, processes: int = 1
) -> list[tuple[dict[str, Tensor], float]]:
    """The rows of `batch` that are this process's, in parts of about `micro_tokens` tokens, each with its share of all.

    The shares of all processes add up to 1. Every process gets the same number of parts, as each backward pass is a
    meeting of all: where there are too few rows, a part is a row that another one has too, with the share 0.
    """
    rows = len(batch["labels"])
    tokens = max((t.shape[1] for name, t in batch.items() if name != "labels" and t.dim() > 1), default=1)
    each = ceil(rows / processes)
    count = min(each, ceil(each * tokens / micro_tokens)) if micro_tokens else 1
    cuts = {name: value.tensor_split(count * processes) for name, value in batch.items()}
    mine = []
    for number in range(process * count, (process + 1) * count):
        part = {name: cut[number] for name, cut in cuts.items()}
        share = len(part["labels"]) / rows
        mine.append((part if share else {name: value[:1] for name, value in batch.items()}, share))
    return mine
