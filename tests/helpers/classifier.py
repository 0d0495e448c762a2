"""A reader's own classifier: a tiny trained BERT in a folder, and a CSV file of texts. No download."""

import random
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import BertTokenizerFast, PreTrainedTokenizerFast

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


NAMES = {"id2label": dict(enumerate(LABELS)), "label2id": {name: place for place, name in enumerate(LABELS)}}
SIZES = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}


def save_classifier(folder: Path, family: str = "Bert", **config) -> str:
    """A classifier of two small blocks whose classes are `LABELS`; `family` as transformers writes it."""
    torch.manual_seed(0)
    settings = {"vocab_size": len(WORDS), "max_position_embeddings": 32, "initializer_range": 0.3, **SIZES, **NAMES}
    made = getattr(transformers, f"{family}Config")(**settings | config)
    getattr(transformers, f"{family}ForSequenceClassification")(made).save_pretrained(folder)
    save_tokenizer(folder)
    return str(folder)


def save_tokenizer(folder: Path, words: list[str] = WORDS) -> None:
    vocabulary = folder / "words.txt"
    vocabulary.write_text("\n".join(words) + "\n")
    BertTokenizerFast(str(vocabulary)).save_pretrained(folder)


def save_gpt2(folder: Path, **special: str) -> str:
    """A GPT-2 with the same classes, whose tokenizer adds no token to a text, nor one for padding."""
    sizes = {"vocab_size": len(WORDS), "n_embd": 16, "n_inner": 24, "n_layer": 1, "n_head": 2, "n_positions": 32}
    config = transformers.GPT2Config(**sizes, **NAMES, bos_token_id=3, eos_token_id=3)
    transformers.GPT2ForSequenceClassification(config).save_pretrained(folder)
    words = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", **special).save_pretrained(folder)
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
