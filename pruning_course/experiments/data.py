"""The classifier that a run prunes and the texts that it is scored on: those of the course, or your own."""

import random
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from sklearn.model_selection import GroupShuffleSplit
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pruning_course import lab
from pruning_course.experiments.classifier import (
    check_embedding,
    check_tokens,
    load_classifier,
    load_config,
    load_tokenizer,
    longest_input,
)
from pruning_course.experiments.labels import label_tensor
from pruning_course.experiments.table import read_table
from pruning_course.lab.encoder import MAX_LENGTH, make_batches
from pruning_course.lab.wheels import sha256_of

BATCH_SIZE = 32  # texts, in training and in validation
KEPT = {"validation": 0.2, "select": 0.1}  # the fractions of your own texts that are not for training
FEWEST_TEXTS = 10  # different ones
MULTI_LABEL: Final = "multi_label_classification"  # the name of this problem type in transformers

Texts = tuple[list[str], Tensor]


@dataclass(frozen=True)
class Source:
    """Where the model and the texts come from; without both, they are the course's own.

    Args:
        model: a folder or a name on the Hugging Face Hub: a trained classifier of texts, with its tokenizer.
        data: a CSV file with a row for each text; its labels are names of the model's labels, or their numbers.
        text_column, label_column: the names of two columns of that file.
        separator: what separates the labels in a cell if a text can have several, such as ";". An empty cell then means
            that the text has no label.

    Raises ValueError if only one of `model` and `data` is given, or the separator is empty.
    """

    model: str | None = None
    data: str | None = None
    text_column: str = "text"
    label_column: str = "label"
    separator: str | None = None

    def __post_init__(self) -> None:
        if (self.model is None) != (self.data is None):
            raise ValueError("Only one of model and data is given; give both, or neither for the course's own.")
        if self.separator == "":
            raise ValueError("The separator of labels is empty; it must be at least one character, such as ';'.")

    def describe(self) -> dict[str, Any]:
        """Return plain data that identify the source: its fields, and the sha256 of its data and weights.

        The weights are read only if they are in a local file `model.safetensors`; otherwise their sha256 is None.

        Raises OSError if the data or the weights cannot be read.
        """
        if self.model is None or self.data is None:
            return {"model": None, "data": None}
        weights = Path(self.model) / "model.safetensors"
        sha256 = sha256_of(weights) if weights.is_file() else None
        return asdict(self) | {"model_sha256": sha256, "data_sha256": sha256_of(Path(self.data))}


@dataclass(frozen=True)
class Task:
    """A classifier and its texts.

    Args:
        make_model: returns a new copy of the dense model, in float32.
        tokenizer: the tokenizer of the model.
        max_length: the number of tokens to which texts are cut.
        parts: "train", "select" (on which the best epoch is chosen) and "validation" (which is reported), each with n
            texts and their labels, float32 (n, labels) of 0 and 1, or int64 (n,) of classes.
    """

    make_model: Callable[[], PreTrainedModel]
    tokenizer: PreTrainedTokenizerBase
    max_length: int
    parts: dict[str, Texts]

    @property
    def count(self) -> str:
        """A sentence that says how many texts there are."""
        train, select, score = (len(self.parts[part][0]) for part in ("train", "select", "validation"))
        return (
            f"{train + select + score} texts were read: {train} to train on, {select} to choose the best epoch on, and "
            f"{score} to score on."
        )

    def batches(self, part: str) -> list[dict[str, Tensor]]:
        """Return the batches of all texts of a part."""
        return self._batches(*self.parts[part])

    def middle_batch(self, device: torch.device) -> dict[str, Tensor]:
        """Return a validation batch of texts of middle length, on `device` and without labels."""
        batches = self.batches("validation")
        middle = batches[len(batches) // 2]
        return {name: tensor.to(device) for name, tensor in middle.items() if name != "labels"}

    def draw_batches(self, most: int, seed: int) -> list[dict[str, Tensor]]:
        """Return batches of `most` training texts (of all, if there are fewer), drawn at random with `seed`."""
        texts, labels = self.parts["train"]
        rows = random.Random(seed).sample(range(len(texts)), min(most, len(texts)))
        return self._batches([texts[row] for row in rows], labels[rows])

    def _batches(self, texts: list[str], labels: Tensor) -> list[dict[str, Tensor]]:
        return make_batches(texts, labels, self.tokenizer, BATCH_SIZE, self.max_length)


@lru_cache(maxsize=1)
def load_task(source: Source) -> Task:
    """Load the task of `source`, and check that the model, the tokenizer and the texts fit each other.

    The last task is kept in memory.

    Raises:
        OSError: if the data file cannot be read.
        ValueError: if the data file is not a valid table of texts and labels; if the model or its tokenizer cannot be
            loaded; if the model is not a trained classifier, or its labels or embeddings do not fit the data or the
            tokenizer; if a text has no token.
        CacheError: if the course's own model is damaged in the cache, or the cache cannot be written.
        WheelError: if a package with the course's own data is missing or damaged.
    """
    if source.model is None:
        phenotypes = lab.load_phenotypes()
        parts = {name: phenotypes.subset(name) for name in ("train", "select", "validation")}
        return Task(lab.load_dense, lab.load_tokenizer(), MAX_LENGTH, parts)
    texts, cells = read_csv(source)
    config, tokenizer = load_config(source.model), load_tokenizer(source.model)
    config.pad_token_id = tokenizer.pad_token_id
    kind = config.problem_type
    if source.separator is not None:
        if kind not in (None, MULTI_LABEL):
            raise ValueError(f"A separator of labels is given, but the model's problem type, {kind}, has one label.")
        config.problem_type = kind = MULTI_LABEL
    if kind == "regression":
        raise ValueError(f"The model {source.model} was made for regression; it must be a classifier.")
    names = {int(place): name for place, name in (config.id2label or {}).items()}
    labels = label_tensor(cells, names, kind == MULTI_LABEL)
    parts = split(texts, labels)
    model = load_classifier(source.model, config)
    check_embedding(source.model, model, tokenizer)
    longest = longest_input(model, tokenizer)
    check_tokens(source.data, texts, tokenizer, longest)
    return Task(partial(load_classifier, source.model, config), tokenizer, longest, parts)


def read_csv(source: Source) -> tuple[list[str], list[list[str]]]:
    """Return the texts of the CSV file of `source`, and the labels of each.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if `source` has no file, the file is not a table that `read_table` can read, a text has no label
            although there is no separator, or there are fewer than two different labels.
    """
    if source.data is None:
        raise ValueError("The source has no data file; it must have one to read texts from.")
    table = read_table(source.data, source.text_column, source.label_column)
    if source.separator is None:
        cells = [[label.strip()] for _, _, label in table]
    else:
        cells = [[name.strip() for name in label.split(source.separator) if name.strip()] for _, _, label in table]
    for (line, _, _), cell in zip(table, cells, strict=True):
        if cell == [""]:
            raise ValueError(
                f"In {source.data}, line {line} has an empty label; a text may be without a label only if a separator "
                "is given, so that texts can have several."
            )
    names = {name for cell in cells for name in cell}
    if len(names) < 2:
        raise ValueError(
            f"Column {source.label_column!r} of {source.data} has {len(names)} label{'s' * (len(names) != 1)}; "
            "a classifier needs at least two."
        )
    return [text for _, text, _ in table], cells


def split(texts: list[str], labels: Tensor) -> dict[str, Texts]:
    """Split texts (n) and labels (n, ...) into the parts of a `Task`, the same way every time.

    Equal texts are in the same part. Raises ValueError if there are too few different texts.
    """
    if len(set(texts)) < FEWEST_TEXTS:
        raise ValueError(f"There are {len(set(texts))} different texts; at least {FEWEST_TEXTS} are needed.")
    left, parts, groups = np.arange(len(texts)), {}, np.asarray(texts, dtype=object)
    for name, fraction in KEPT.items():
        shuffle = GroupShuffleSplit(1, test_size=fraction * len(texts) / len(left), random_state=0)
        rest, part = next(shuffle.split(left, groups=groups[left]))
        parts[name], left = left[part], left[rest]
    parts["train"] = left
    return {name: ([texts[row] for row in np.sort(rows)], labels[np.sort(rows)]) for name, rows in parts.items()}
