"""A reader's own classifier: a tiny trained BERT in a folder, and a CSV file of texts. No download."""

import random
from pathlib import Path

import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "red",
    "eye",
    "ear",
    "pain",
    "in",
    "the",
    "left",
    "right",
    "bone",
]
LABELS = ("eye", "ear", "bone")


def save_classifier(folder: Path, **config) -> str:
    """A BERT of two small blocks whose classes are `LABELS`."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    names = {"id2label": dict(enumerate(LABELS)), "label2id": {name: place for place, name in enumerate(LABELS)}}
    settings = {"vocab_size": len(WORDS), "max_position_embeddings": 32, "initializer_range": 0.3, **sizes, **names}
    BertForSequenceClassification(BertConfig(**settings, **config)).save_pretrained(folder)
    vocabulary = folder / "words.txt"
    vocabulary.write_text("\n".join(WORDS) + "\n")
    BertTokenizerFast(str(vocabulary)).save_pretrained(folder)
    return str(folder)


def texts(count: int = 60) -> list[tuple[str, str]]:
    """Different texts, each with the label that it names."""
    dice, rows = random.Random(0), {}
    while len(rows) < count:
        label = dice.choice(LABELS)
        words = [label, *dice.choices(WORDS[8:13], k=dice.randint(2, 8))]
        dice.shuffle(words)
        rows[" ".join(words)] = label
    return list(rows.items())


def save_csv(path: Path, rows: list[tuple[str, str]] | None = None, header: str = "text,label") -> str:
    path.write_text("\n".join([header, *(f"{text},{label}" for text, label in rows or texts())]) + "\n")
    return str(path)
