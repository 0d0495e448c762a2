import pytest
import torch
from sklearn.metrics import f1_score
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from torch import nn
from transformers import PreTrainedTokenizerFast
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils import logging

from pruning_course.lab.encoder import MeanPooledClassifier, evaluate, make_batches, no_loading_bar, predict

TEXTS = ["red eye", "pain in the left ear", "bone", "pain in the right eye", "the ear"]
LABELS = torch.tensor([[1.0, 0], [0, 1], [0, 0], [1, 0], [0, 1]])


def test_padding_changes_nothing(tiny_model):
    ids = torch.tensor([[2, 5, 6, 3]])
    padded = torch.tensor([[2, 5, 6, 3, 0, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1, 0, 0, 0]])
    with torch.inference_mode():
        torch.testing.assert_close(tiny_model(padded, mask).logits, tiny_model(ids).logits)
        assert (tiny_model(padded).logits - tiny_model(ids).logits).abs().max() > 1e-5  # the mask did it


def test_the_features_are_the_mean_over_real_tokens(tiny_model):
    ids, mask = torch.tensor([[2, 5, 3, 0]]), torch.tensor([[1, 1, 1, 0]])
    with torch.inference_mode():
        hidden = tiny_model.bert(ids, attention_mask=mask).last_hidden_state
        torch.testing.assert_close(tiny_model.pooled(ids, mask), hidden[:, :3].mean(dim=1))


def test_the_loss_is_binary_cross_entropy(tiny_model):
    ids, labels = torch.tensor([[2, 5, 3], [2, 6, 3]]), torch.tensor([[1.0, 0], [1, 1]])
    out = tiny_model(ids, labels=labels)
    p = out.logits.sigmoid()
    by_hand = -(labels * p.log() + (1 - labels) * (1 - p).log()).mean()
    torch.testing.assert_close(out.loss, by_hand)
    assert tiny_model(ids).loss is None


def test_save_and_load_give_the_same_model(tiny_model, tmp_path, capsys):
    tiny_model.save_pretrained(tmp_path / "saved")
    again = MeanPooledClassifier.from_pretrained(tmp_path / "saved")
    ids = torch.tensor([[2, 5, 6, 3]])
    assert torch.equal(again(ids).logits, tiny_model(ids).logits)
    assert list(again.state_dict()) == list(tiny_model.state_dict())
    assert not any("pooler" in name for name in again.state_dict())


def test_no_loading_bar_restores_what_was_set():
    before = logging.is_progress_bar_enabled()
    with pytest.raises(RuntimeError), no_loading_bar():
        assert not logging.is_progress_bar_enabled()
        raise RuntimeError
    assert logging.is_progress_bar_enabled() == before


def test_batches_are_sorted_by_length_and_padded_to_their_own_longest(tiny_tokenizer):
    batches = make_batches(TEXTS, LABELS, tiny_tokenizer, batch_size=2)
    assert [tuple(batch["input_ids"].shape) for batch in batches] == [(2, 4), (2, 7), (1, 7)]
    assert torch.cat([batch["labels"] for batch in batches]).tolist() == LABELS[[2, 0, 4, 1, 3]].tolist()
    assert batches[0]["attention_mask"].tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
    assert set(batches[0]) == {"input_ids", "attention_mask", "labels"}


def test_batches_in_the_given_order_and_cut(tiny_tokenizer):
    batches = make_batches(TEXTS, LABELS, tiny_tokenizer, batch_size=3, max_length=4, sort_by_length=False)
    assert [tuple(batch["input_ids"].shape) for batch in batches] == [(3, 4), (2, 4)]
    assert torch.equal(torch.cat([batch["labels"] for batch in batches]), LABELS)


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_a_text_without_any_token_is_one_token_of_padding(tiny_tokenizer, batch_size):
    """Of a tokenizer that adds no special tokens, such as GPT-2's."""
    words = Tokenizer(WordLevel({"[PAD]": 0, "red": 1}))
    words.pre_tokenizer = Whitespace()
    bare = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]")
    batches = make_batches(["", "red", " "], torch.arange(3), bare, batch_size)
    assert torch.cat([batch["labels"] for batch in batches]).tolist() == [0, 1, 2]
    for name, expected in (("input_ids", [0, 1, 0]), ("attention_mask", [1, 1, 1])):
        assert torch.cat([batch[name] for batch in batches]).flatten().tolist() == expected
        assert {batch[name].dtype for batch in batches} == {torch.int64}


def test_batches_of_nothing_and_of_the_wrong_length(tiny_tokenizer):
    assert make_batches([], torch.zeros(0, 2), tiny_tokenizer, batch_size=2) == []
    with pytest.raises(ValueError, match="1 texts, 5 rows of labels"):
        make_batches(["red"], LABELS, tiny_tokenizer, batch_size=2)


class Echo(nn.Module):
    """A model whose logits are its input."""

    def __init__(self):
        super().__init__()
        self.unused, self.dropout = nn.Parameter(torch.zeros(1)), nn.Dropout(0.9)

    def forward(self, x):
        return SequenceClassifierOutput(logits=self.dropout(x))


def test_evaluate_is_f1_at_one_half():
    logits = torch.tensor([[3.0, -1, -9], [0.1, 2, -9], [-0.1, 1, -9], [-5, -5, -9]])
    truth = torch.tensor([[1.0, 0, 0], [1, 1, 0], [1, 0, 0], [0, 0, 0]])
    batches = [{"x": logits[:3], "labels": truth[:3]}, {"x": logits[3:], "labels": truth[3:]}]
    # column 0: 2 hits, 1 missed: F1 0.8; column 1: 1 hit, 1 false: F1 2/3; column 2: nothing there, nothing said: 0
    score = evaluate(Echo().train(), batches)
    assert score["micro_f1"] == pytest.approx(2 * 3 / (2 * 3 + 1 + 1))
    assert score["macro_f1"] == pytest.approx((0.8 + 2 / 3 + 0) / 3)
    assert score["micro_f1"] == pytest.approx(f1_score(truth, logits > 0, average="micro", zero_division=0))


def test_predict_keeps_the_order_and_the_mode():
    model = Echo().train()
    model.dropout.eval()
    probabilities = predict(model, [{"x": torch.tensor([[0.0], [2.0]]), "labels": torch.zeros(2, 1)}])
    torch.testing.assert_close(probabilities, torch.tensor([[0.0], [2.0]]).sigmoid())
    assert model.training and not model.dropout.training
    assert not probabilities.is_inference()
    with pytest.raises(ValueError, match="no batches"):
        predict(model, [])
