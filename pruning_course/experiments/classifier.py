"""A reader's classifier and its tokenizer, loaded from a folder or from the Hugging Face Hub, and seen to fit."""

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

LONGEST = 512  # tokens


def load_config(name: str) -> PretrainedConfig:
    """ValueError, in one sentence, where there is none."""
    try:
        return AutoConfig.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise _not_loaded("model", name, error) from error


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """The tokenizer, with a token for padding. ValueError where it is missing or has nothing to pad with."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
    except Exception as error:  # the tokenizers of other languages raise what they like
        raise _not_loaded("tokenizer of the model", name, error) from error
    # Where the files are missing, transformers makes a tokenizer to which every word is unknown.
    if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
        raise ValueError(f"The model {name} has no tokenizer beside it; save the one it was trained with there.")
    if tokenizer.pad_token is None:  # GPT-2 and LLaMA
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token_id is None:
        raise ValueError(f"The tokenizer of {name} has neither a token for padding nor one for the end of a text.")
    return tokenizer


def load_classifier(name: str, config: PretrainedConfig) -> PreTrainedModel:
    """A new copy in float32 and eval mode. ValueError where it cannot be loaded, or a weight of it is not trained."""
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
            "a classifier that was trained on these labels is needed."
        )
    return model.eval()


def check_embedding(name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """ValueError where the tokenizer has tokens that the model does not embed."""
    tokens, rows = max(tokenizer.get_vocab().values()) + 1, model.get_input_embeddings().weight.shape[0]
    if tokens > rows:
        raise ValueError(
            f"The tokenizer of {name} has {tokens} tokens and the model embeds {rows} of them; the model and the "
            "tokenizer that it was trained with are needed."
        )


def longest_input(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """How many tokens model and tokenizer can take, up to 512."""
    longest = min(
        tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", None) or LONGEST, LONGEST
    )
    for path, module in model.named_modules():
        # RoBERTa and its kin count positions from the one after that of padding.
        if path.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            longest = min(longest, module.num_embeddings - module.padding_idx - 1)
    return longest


def _not_loaded(what: str, name: str, error: Exception) -> ValueError:
    line = (str(error).strip() or type(error).__name__).splitlines()[0]  # its messages have many
    return ValueError(f"The {what} {name} cannot be loaded: {line}")
