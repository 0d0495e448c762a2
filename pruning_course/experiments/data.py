"""What a run prunes and what it is scored on: the course's own classifier and task, or a reader's."""

import random
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from sklearn.model_selection import GroupShuffleSplit
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from pruning_course import lab
from pruning_course.experiments.classifier import (
    check_embedding,
    load_classifier,
    load_config,
    load_tokenizer,
    longest_input,
)
from pruning_course.experiments.labels import label_tensor
from pruning_course.experiments.table import read_table
from pruning_course.lab.encoder import MAX_LENGTH
from pruning_course.lab.wheels import sha256_of

BATCH_SIZE = 32  # texts, in training and in validation
VALIDATION = 0.2  # the share of a reader's texts that is kept to score on
FEWEST_TEXTS = 10
MANY = "multi_label_classification"  # what transformers calls texts that can have several labels

Texts = tuple[list[str], Tensor]


@dataclass(frozen=True)
class Source:
    """Where model and texts come from; without both, the course's own.

    Args:
        model: a folder or a name on the Hugging Face Hub: a trained classifier of sequences, with its tokenizer.
        data: a CSV file with a row for each text; its labels are names that the model has, or their numbers.
        text_column, label_column: of that file.
        separator: what stands between the labels of a text that can have several, such as ";". An empty cell then means
            that the text has none of them.

    ValueError for only one of model and data, and for an empty separator.
    """

    model: str | None = None
    data: str | None = None
    text_column: str = "text"
    label_column: str = "label"
    separator: str | None = None

    def __post_init__(self):
        if (self.model is None) != (self.data is None):
            raise ValueError("A model and a data file are needed together, or neither for the course's own.")
        if self.separator == "":
            raise ValueError("The separator of labels is empty; it must be what stands between them, such as ';'.")

    def describe(self) -> dict:
        """Plain data by which the source is known again: its names, and the sha256 of its files. OSError without them.

        Of a model, only weights in one local safetensors file are read.
        """
        if self.model is None:
            return {"model": None, "data": None}
        weights = Path(self.model) / "model.safetensors"
        sha256 = sha256_of(weights) if weights.is_file() else None
        return asdict(self) | {"model_sha256": sha256, "data_sha256": sha256_of(self.data)}


@dataclass(frozen=True)
class Task:
    """A classifier and its texts.

    make_model: returns a new copy of the dense model, float32; tokenizer: of the model; max_length: in tokens; train,
    validation: texts (n) and labels, float32 (n, labels) of 0 and 1, or int64 (n,) of classes.
    """

    make_model: Callable[[], nn.Module]
    tokenizer: PreTrainedTokenizerBase
    max_length: int
    train: Texts
    validation: Texts

    @property
    def count(self) -> str:
        """How many texts there are, in a sentence."""
        train, validation = (len(texts) for texts, _ in (self.train, self.validation))
        return f"{train + validation} texts were read: {train} to train on and {validation} to score on."

    def train_batches(self, most: int, seed: int) -> list[dict[str, Tensor]]:
        """Batches of `most` training texts (or all) that `seed` draws, of similar length each."""
        texts, labels = self.train
        rows = random.Random(seed).sample(range(len(texts)), min(most, len(texts)))
        return self._batches([texts[row] for row in rows], labels[rows])

    def validation_batches(self) -> list[dict[str, Tensor]]:
        return self._batches(*self.validation)

    def _batches(self, texts: list[str], labels: Tensor) -> list[dict[str, Tensor]]:
        return lab.make_batches(texts, labels, self.tokenizer, BATCH_SIZE, self.max_length)


@lru_cache(maxsize=1)
def load_task(source: Source) -> Task:
    """Read the texts, and make sure that model, tokenizer and texts fit each other.

    Raises ValueError or OSError, in one sentence, where they do not; `CacheError` or `WheelError` as `lab.load_dense`.
    """
    if source.model is None:
        texts = lab.load_phenotypes()
        parts = texts.subset("train"), texts.subset("validation")
        return Task(lab.load_dense, lab.load_tokenizer(), MAX_LENGTH, *parts)
    texts, cells = read_csv(source)
    config, tokenizer = load_config(source.model), load_tokenizer(source.model)
    config.pad_token_id = tokenizer.pad_token_id
    if source.separator is not None:
        if config.problem_type not in (None, MANY):
            raise ValueError(f"The model is made for {config.problem_type}, so a separator of labels makes no sense.")
        config.problem_type = MANY
    if config.problem_type == "regression":
        raise ValueError(f"The model {source.model} is made for regression; a classifier is needed.")
    labels = label_tensor(cells, config.id2label, config.problem_type == MANY)
    parts = split(texts, labels)
    model = load_classifier(source.model, config)
    check_embedding(source.model, model, tokenizer)
    longest = longest_input(model, tokenizer)
    _check_tokens(source, texts, tokenizer, longest)
    return Task(lambda: load_classifier(source.model, config), tokenizer, longest, *parts)


def read_csv(source: Source) -> tuple[list[str], list[list[str]]]:
    """Texts, and the names of the labels of each; those of the CSV file of `source`.

    Raises ValueError as `read_table`, for a text without a label where no separator says that it can have several or
    none, and for fewer than two different labels.
    """
    table = read_table(source.data, source.text_column, source.label_column)
    if source.separator is None:
        cells = [[label.strip()] for _, _, label in table]
    else:
        cells = [[name.strip() for name in label.split(source.separator) if name.strip()] for _, _, label in table]
    for (line, _, _), cell in zip(table, cells, strict=True):
        if cell == [""]:
            raise ValueError(
                f"In {source.data}, line {line} has an empty label; a text without a label is possible only where a "
                "separator says that a text can have several."
            )
    found = {name for cell in cells for name in cell}
    if len(found) < 2:
        raise ValueError(
            f"Column {source.label_column!r} of {source.data} has {len(found)} label{'s' * (len(found) != 1)}; "
            "a classifier needs at least two."
        )
    return [text for _, text, _ in table], cells


def _check_tokens(source: Source, texts: list[str], tokenizer: PreTrainedTokenizerBase, longest: int) -> None:
    ids = tokenizer(texts, truncation=True, max_length=longest)["input_ids"]
    empty = [number for number, row in enumerate(ids, start=1) if not row]
    if empty:
        raise ValueError(
            f"The text of row {empty[0]} of {source.data}, {texts[empty[0] - 1][:40]!r}, has no token for the model's "
            f"tokenizer, like {len(empty)} of {len(texts)} texts; leave such rows out."
        )


def split(texts: list[str], labels: Tensor) -> tuple[Texts, Texts]:
    """Training and validation part, always the same; equal texts are in the same part. ValueError for too few texts."""
    if len(set(texts)) < FEWEST_TEXTS:
        raise ValueError(f"There are {len(set(texts))} different texts; at least {FEWEST_TEXTS} are needed.")
    [parts] = GroupShuffleSplit(1, test_size=VALIDATION, random_state=0).split(texts, groups=texts)
    return tuple(([texts[row] for row in rows], labels[rows]) for rows in map(np.sort, parts))
