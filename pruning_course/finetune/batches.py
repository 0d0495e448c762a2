"""Batches with labels: checked, in the order of an epoch, and cut into parts."""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil

import torch
from torch import Tensor

NEEDED = "a dict of tensors: what the model takes, such as input_ids and attention_mask, and labels beside it"


def checked(raw) -> dict[str, Tensor]:
    """The tensors of a batch, if it is one to train on: labels (batch, labels) of 0 and 1, or int (batch,) of classes.

    TypeError if it is no mapping, ValueError if it has no labels, or labels of another shape.
    """
    if not isinstance(raw, Mapping):
        raise TypeError(f"A batch is {type(raw).__name__}; it must be {NEEDED}.")
    batch = {name: value for name, value in raw.items() if isinstance(value, Tensor)}
    if "labels" not in batch:
        raise ValueError(f"A batch has only {', '.join(raw) or 'nothing'}; it must be {NEEDED}.")
    labels = batch["labels"]
    if labels.dim() not in (1, 2) or (labels.dim() == 1 and labels.is_floating_point()) or not len(labels):
        raise ValueError(
            f"The labels are {labels.dtype} {tuple(labels.shape)}; (batch, labels) of 0 and 1 are needed, "
            "or whole numbers (batch,), one class each."
        )
    return batch


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
