"""What a run prunes and what it is scored on: the course's own classifier and task, or a reader's."""

import random
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import GroupShuffleSplit
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerBase

from pruning_course import lab
from pruning_course.lab.encoder import MAX_LENGTH, no_loading_bar
from pruning_course.lab.wheels import sha256_of

BATCH_SIZE = 32  # texts, in training and in validation
VALIDATION = 0.2  # the share of a reader's texts that is kept to score on
FEWEST_TEXTS = 10
LONGEST = 512  # tokens

Texts = tuple[list[str], Tensor]


@dataclass(frozen=True)
class Source:
    """Where model and texts come from; without both, the course's own.

    Args:
        model: a folder or a name on the Hugging Face Hub: a trained classifier of sequences, with its tokenizer.
        data: a CSV file with a row for each text; its labels are names that the model has, or their numbers.
        text_column, label_column: of that file.
        separator: what stands between the labels of a text that can have several, such as ";". An empty cell then means
            none of them.

    ValueError for only one of model and data.
    """

    model: str | None = None
    data: str | None = None
    text_column: str = "text"
    label_column: str = "label"
    separator: str | None = None

    def __post_init__(self):
        if (self.model is None) != (self.data is None):
            raise ValueError("A model and a data file are needed, or none of both for the course's own.")

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

    make_model: gives a new copy of the dense model, float32; tokenizer: of the model; max_length: in tokens; train,
    validation: texts (n) and labels, float32 (n, labels) of 0 and 1, or int64 (n,) of classes.
    """

    make_model: Callable[[], nn.Module]
    tokenizer: PreTrainedTokenizerBase
    max_length: int
    train: Texts
    validation: Texts

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
    """Read the texts, and see that the model fits them.

    Raises ValueError or OSError, in one sentence, where it does not; `CacheError` or `WheelError` as `lab.load_dense`.
    """
    if source.model is None:
        texts = lab.load_phenotypes()
        parts = texts.subset("train"), texts.subset("validation")
        return Task(lab.load_dense, lab.load_tokenizer(), MAX_LENGTH, *parts)
    texts, cells = read_csv(source)
    try:
        config = AutoConfig.from_pretrained(source.model)
        tokenizer = AutoTokenizer.from_pretrained(source.model)
    except (OSError, ValueError) as error:  # its messages have many lines
        raise ValueError(f"The model {source.model} cannot be loaded: {str(error).strip().splitlines()[0]}") from error
    if tokenizer.pad_token is None:  # GPT-2 and LLaMA
        tokenizer.pad_token = tokenizer.eos_token
    config.pad_token_id = tokenizer.pad_token_id
    if source.separator is not None:
        if config.problem_type not in (None, "multi_label_classification"):
            raise ValueError(f"The model is made for {config.problem_type}, so a separator of labels makes no sense.")
        config.problem_type = "multi_label_classification"
    labels = label_tensor(cells, config.id2label, config.problem_type == "multi_label_classification")
    task = Task(lambda: _load(source.model, config), tokenizer, _longest(config, tokenizer), *split(texts, labels))
    task.make_model()  # an unfit one is refused before the first run
    return task


def read_csv(source: Source) -> tuple[list[str], list[list[str]]]:
    """Texts, and the names of the labels of each. ValueError without the columns, or with fewer than two labels."""
    try:
        table = pd.read_csv(source.data, dtype=str, keep_default_na=False)
    except ValueError as error:  # of pandas: no columns, no table, no UTF-8
        raise ValueError(f"{source.data} cannot be read as CSV: {str(error).strip()}.") from error
    for column in (source.text_column, source.label_column):
        if column not in table:
            raise ValueError(f"{source.data} has no column {column!r}; its columns are {', '.join(table)}.")
    cells = [
        [cell] if source.separator is None else [name.strip() for name in cell.split(source.separator) if name.strip()]
        for cell in table[source.label_column]
    ]
    found = sorted({name for cell in cells for name in cell})
    if len(found) < 2:
        raise ValueError(
            f"Column {source.label_column!r} of {source.data} has {len(found)} label{'s' * (len(found) != 1)}; "
            "a classifier needs at least two."
        )
    return table[source.text_column].tolist(), cells


def label_tensor(cells: list[list[str]], id2label: dict[int, str], many: bool) -> Tensor:
    """Labels float32 (n, labels) of 0 and 1 if a text can have many, else int64 (n,).

    The names in the cells are those of `id2label`, or all of them are its numbers. If `id2label` has no names but
    LABEL_0, LABEL_1, ..., and the cells as many, these are taken in the order of the alphabet, with a warning.
    ValueError for a label that the model lacks.
    """
    found = sorted({name for cell in cells for name in cell})
    places = {name: place for place, name in id2label.items()}
    if not set(found) <= set(places) and set(found) <= set(map(str, id2label)):
        places = {str(place): place for place in id2label}
    elif places == {f"LABEL_{place}": place for place in range(len(found))} and not set(found) <= set(places):
        places = {name: place for place, name in enumerate(found)}
        warnings.warn(
            f"The model does not name its labels; in its order they are taken as {', '.join(found)}.", stacklevel=2
        )
    unknown = [name for name in found if name not in places]
    if unknown:
        raise ValueError(
            f"The data have labels that the model does not have, such as {unknown[0]!r}; "
            f"its labels are {', '.join(id2label.values())}, or their numbers."
        )
    if not many:
        return torch.tensor([places[name] for [name] in cells])
    labels = torch.zeros(len(cells), len(id2label))
    for row, cell in enumerate(cells):
        labels[row, [places[name] for name in cell]] = 1
    return labels


def split(texts: list[str], labels: Tensor) -> tuple[Texts, Texts]:
    """Training and validation part, always the same; equal texts are in the same part. ValueError for too few texts."""
    if len(set(texts)) < FEWEST_TEXTS:
        raise ValueError(f"There are {len(set(texts))} different texts; at least {FEWEST_TEXTS} are needed.")
    [parts] = GroupShuffleSplit(1, test_size=VALIDATION, random_state=0).split(texts, groups=texts)
    return tuple(([texts[row] for row in rows], labels[np.sort(rows)]) for rows in map(np.sort, parts))


def _load(name: str, config) -> nn.Module:
    with no_loading_bar():
        model, info = AutoModelForSequenceClassification.from_pretrained(
            name, config=config, dtype=torch.float32, output_loading_info=True
        )
    if info["missing_keys"]:
        raise ValueError(
            f"The model {name} has no trained weights for {', '.join(sorted(info['missing_keys']))}; "
            "a classifier that was trained on these labels is needed."
        )
    return model.eval()


def _longest(config, tokenizer: PreTrainedTokenizerBase) -> int:
    """How many tokens the model can take, up to 512."""
    positions = getattr(config, "max_position_embeddings", None) or LONGEST
    if config.model_type == "roberta":
        positions -= 2  # its first two places are never used
    return min(tokenizer.model_max_length, positions, LONGEST)
