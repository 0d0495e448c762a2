"""Load a classifier and its tokenizer from a folder or the Hugging Face Hub, and check that they fit each other."""

from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from pruning_course.lab.encoder import no_loading_bar

LONGEST = 512  # tokens; longer texts are cut


def load_config(name: str) -> PretrainedConfig:
    """Return the configuration of the model `name`. Raises ValueError if it cannot be loaded."""
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise _not_loaded("model", name, error) from error
    return config


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """Return the tokenizer of the model `name`, with a padding token.

    Raises ValueError if it is missing or cannot be loaded, or has no token that can be used for padding.
    """
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(name)
    except Exception as error:  # a tokenizer can raise any exception, for example if a package is missing
        raise _not_loaded("tokenizer of the model", name, error) from error
    # If the files are missing, transformers may return a tokenizer that knows only its special tokens.
    if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
        raise ValueError(f"The model {name} has no tokenizer; save the one that it was trained with in the same place.")
    if tokenizer.pad_token is None:  # GPT-2 and LLaMA
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token_id is None:
        raise ValueError(f"The tokenizer of {name} has neither a padding token nor an end-of-text token; it needs one.")
    return tokenizer


def load_classifier(name: str, config: PretrainedConfig) -> PreTrainedModel:
    """Return a new copy of the classifier `name`, in float32 and eval mode.

    Raises ValueError if it cannot be loaded, or a weight is not in its file.
    """
    model: PreTrainedModel
    try:
        with no_loading_bar():
            model, info = AutoModelForSequenceClassification.from_pretrained(
                name, config=config, dtype=torch.float32, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError) as error:
        raise _not_loaded("model", name, error) from error
    if info["missing_keys"]:
        raise ValueError(
            f"The model {name} has no trained weights for {', '.join(sorted(info['missing_keys']))}; "
            "a trained classifier is needed."
        )
    model.train(False)
    return model


def check_embedding(name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise ValueError if the tokenizer has tokens for which the model `name` has no embedding."""
    embedding: Any = model.get_input_embeddings()
    tokens, rows = max(tokenizer.get_vocab().values()) + 1, embedding.num_embeddings
    if tokens > rows:
        raise ValueError(
            f"The tokenizer of {name} has {tokens} tokens, but the model has embeddings for {rows}; a model needs the "
            "tokenizer that it was trained with."
        )


def check_tokens(data: str | None, texts: list[str], tokenizer: PreTrainedTokenizerBase, longest: int) -> None:
    """Raise ValueError if the tokenizer finds no token in some of `texts`, which come from the file `data`."""
    ids = tokenizer(texts, truncation=True, max_length=longest)["input_ids"]
    empty = [number for number, row in enumerate(ids, start=1) if not row]
    if empty:
        raise ValueError(
            f"The tokenizer finds no token in {len(empty)} of {len(texts)} texts of {data}, the first in row "
            f"{empty[0]}, {texts[empty[0] - 1][:40]!r}; remove these rows."
        )


def longest_input(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the number of tokens that both the model and the tokenizer accept, at most 512."""
    longest = min(
        tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", None) or LONGEST, LONGEST
    )
    for path, module in model.named_modules():
        # RoBERTa and related models number their positions from the padding index + 1.
        if path.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            longest = min(longest, module.num_embeddings - module.padding_idx - 1)
    return longest


def _not_loaded(what: str, name: str, error: Exception) -> ValueError:
    line = (str(error).strip() or type(error).__name__).splitlines()[0]  # the messages of transformers are long
    return ValueError(f"The {what} {name} cannot be loaded: {line}")
