"""Which rows of a layer's input are real tokens, in models that lay them out in other ways than (batch, tokens, in)."""

import copy
import logging
import warnings

import pytest
import torch
from helpers.calibration import brute_force, close, texts
from helpers.models import SMALL, make
from torch import nn
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BartForSequenceClassification,
    BartModel,
    BertConfig,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    T5Config,
    T5ForConditionalGeneration,
    T5ForSequenceClassification,
    XLNetConfig,
    XLNetForSequenceClassification,
)

from pruning_course import StructuredPruner, WandaPruner, input_norms, prunable_layers
from pruning_course.calibration import as_batch, merge_batches

logging.getLogger("transformers").setLevel(logging.ERROR)


class TimeFirst(nn.Module):
    """torch's own encoder, whose layers receive (tokens, batch, in) unless told otherwise."""

    def __init__(self, batch_first=False):
        super().__init__()
        self.words = nn.Embedding(64, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=batch_first)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=batch_first)
        self.batch_first = batch_first

    def forward(self, input_ids, attention_mask):
        words = self.words(input_ids if self.batch_first else input_ids.t())
        padding = attention_mask == 0
        return self.encoder(words, src_key_padding_mask=padding if padding.any() else None)


def xlnet():
    sizes = {"d_model": 16, "n_layer": 2, "n_head": 4, "d_inner": 32}
    return XLNetForSequenceClassification(XLNetConfig(vocab_size=64, **sizes))


def encoder_layers(model):
    """All layers that receive tokens, but not those after XLNet's summary, which is the last token, padding or not.

    An attention of torch uses the weight of its out_proj without calling it.
    """
    after = ("out_proj", "summary", "logits_proj")
    return {name: layer for name, layer in prunable_layers(model).items() if not name.endswith(after)}


def built(make_model, seed=0):
    torch.manual_seed(seed)
    return make_model().eval()


@pytest.fixture
def silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


LENGTHS = {"more tokens": [7, 3, 5], "more texts": [2, 3, 1, 2], "as many": [4, 1, 2, 4], "two": [1, 2]}


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("make_model", [TimeFirst, lambda: TimeFirst(batch_first=True), xlnet, lambda: make("bert")])
def test_both_layouts_count_real_tokens_only(make_model, lengths, silent):
    model = built(make_model)
    layers, batches = encoder_layers(model), [texts(lengths), texts(lengths, seed=1)]
    norms = input_norms(model, layers, batches, num_samples=2 * len(lengths))
    close(norms, brute_force(model, layers, batches))
    assert max(norms.counts.values()) == 2 * sum(lengths)


@pytest.mark.parametrize("make_model", [TimeFirst, xlnet, lambda: make("bert")])
@pytest.mark.filterwarnings("ignore:Wanda leaves out", "ignore:'all' reaches")
def test_on_the_way_too(make_model):
    model = built(make_model)
    batches = [texts([4, 1]), texts([2, 3], seed=1)]  # merged: 4 texts of 4 tokens
    pruner = WandaPruner(model, 0.5, sequential=True)
    for name in set(pruner.layers) - set(encoder_layers(model)):
        del pruner.layers[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pruner.calibrate(batches, 4).prune()
    close(pruner.norms, brute_force(model, pruner.layers, batches), rtol=1e-4)


def chunked():
    return BertForSequenceClassification(BertConfig(**SMALL, chunk_size_feed_forward=2))


def test_a_chunk_does_not_show_which_tokens_it_holds():
    model = built(chunked)
    layers = prunable_layers(model, "encoder")
    batch = texts([6, 3])
    with pytest.warns(UserWarning) as said:
        norms = input_norms(model, layers, [batch, batch], num_samples=4)
    messages = [str(warning.message) for warning in said]
    name = "bert.encoder.layer.1.intermediate.dense"
    assert len(messages) == 4 and [message for message in messages if name in message] == [
        f"The input of {name} is (2, 2, 16), which does not fit an attention_mask of (2, 6), so all its rows "
        "count, padding included."
    ]
    assert norms.counts[name] == 24


def test_a_chunk_without_padding_is_as_good_as_the_whole(silent):
    model = built(chunked)
    layers = prunable_layers(model, "encoder")
    close(input_norms(model, layers, [texts([6, 6])], num_samples=2), brute_force(model, layers, [texts([6, 6])]))


def test_influence_says_what_it_cannot_tell_apart():
    class Prompted(nn.Module):
        def __init__(self):
            super().__init__()
            self.llama = make("llama").model

        def forward(self, input_ids, attention_mask):
            words = self.llama.embed_tokens(input_ids)
            mask = torch.cat([attention_mask[:, :1], attention_mask], dim=1)
            return self.llama(inputs_embeds=torch.cat([words[:, :1], words], dim=1), attention_mask=mask)

    pruner = StructuredPruner(Prompted(), 0.5, structure="layer", importance="influence")
    with pytest.warns(UserWarning) as said:
        pruner.calibrate([texts([6, 3]), texts([6, 3])], 4)
    assert [str(warning.message).split()[3] for warning in said] == ["llama.layers.0", "llama.layers.1"]


def bart(kind=BartForConditionalGeneration):
    sides = {f"{side}_{what}" for side in ("encoder", "decoder") for what in ("ffn_dim", "layers", "attention_heads")}
    return kind(BartConfig(vocab_size=64, d_model=16, **dict.fromkeys(sides, 2), max_position_embeddings=32))


def t5(kind=T5ForConditionalGeneration):
    sizes = {"d_model": 16, "d_ff": 32, "d_kv": 4, "num_layers": 2, "num_heads": 4}
    return kind(T5Config(vocab_size=64, **sizes, decoder_start_token_id=0))


def two_texts(lengths, written, form, seed=0):
    batch, answer = texts(lengths, seed), texts(written, seed + 5)
    if form == "labels":
        return batch | {"labels": answer["input_ids"].masked_fill(answer["attention_mask"] == 0, -100)}
    return batch | {f"decoder_{name}": tensor for name, tensor in answer.items()}


@pytest.mark.parametrize("form", ["labels", "ids"])
@pytest.mark.parametrize("written", [[2, 4], [5, 1], [7, 3]])
@pytest.mark.parametrize("make_model", [bart, t5])
@pytest.mark.parametrize("sequential", [False, True])
def test_encoder_and_decoder_have_each_their_padding(make_model, written, form, sequential, silent):
    model = built(make_model)
    batches = [two_texts([5, 3], written, form), two_texts([4, 5], written[::-1], form, seed=1)]
    pruner = WandaPruner(model, 0.5, sequential=sequential).calibrate(batches, 4)
    if sequential:
        pruner.prune()
    close({name: pruner.norms[name] for name in pruner.layers}, brute_force(model, pruner.layers, batches), rtol=1e-4)
    assert set(pruner.norms.counts.values()) == {17, 2 * sum(written)}


@pytest.mark.parametrize("kind", [BartForSequenceClassification, T5ForSequenceClassification])
def test_a_classifier_gives_its_decoder_the_same_text(kind, silent):
    model = built(lambda: (bart if "Bart" in kind.__name__ else t5)(kind))
    layers = {name: layer for name, layer in prunable_layers(model).items() if "classification_head" not in name}
    model.config.eos_token_id = 1
    batch = texts([5, 3])
    batch["input_ids"][0, 4] = batch["input_ids"][1, 2] = 1
    for labels in (torch.tensor([0, 2]), torch.zeros(2, 3)):
        norms = input_norms(model, layers, [batch | {"labels": labels}], num_samples=2)
        close(norms, brute_force(model, layers, [batch]))


def test_labels_that_a_model_does_not_take_say_nothing_about_its_decoder(silent):
    model = built(lambda: bart(BartModel))
    batch = texts([5, 3])
    norms = input_norms(model, prunable_layers(model), [batch | {"labels": torch.zeros(2, 5, dtype=torch.long)}], 2)
    close(norms, brute_force(model, prunable_layers(model), [batch]))


def test_what_an_encoder_decoder_lacks_is_said():
    model = built(t5)
    message = "T5ForConditionalGeneration failed on a batch without decoder_input_ids or labels"
    for sequential in (False, True):
        with pytest.raises(ValueError, match=message):
            WandaPruner(model, sequential=sequential).calibrate([texts([5, 3])], 2).prune()
    with pytest.raises(
        ValueError, match="BartForConditionalGeneration makes the input of its decoder from the input_ids"
    ):
        input_norms(bart(), {}, [texts([5, 3], left=True)], num_samples=2)
    batch = two_texts([5, 3], [4, 2], "ids")
    del batch["decoder_attention_mask"]
    with pytest.warns(UserWarning, match="The batches have no decoder_attention_mask, so all tokens count as real"):
        norms = input_norms(model, prunable_layers(model), [batch], num_samples=2)
    assert norms.counts["decoder.block.0.layer.0.SelfAttention.q"] == 8


def with_numbers(lengths, **numbers):
    """A batch of which the first tensors have no tokens, as GLUE's `idx`, and one number or three for each text."""
    return {"idx": torch.arange(len(lengths)), "more": torch.ones(len(lengths), 3), **texts(lengths), **numbers}


def test_numbers_without_tokens_may_come_first(silent):
    batches = [with_numbers([5, 2]), with_numbers([7, 3])]
    plain = [texts([5, 2]), texts([7, 3])]
    for batch_tokens in (8192, 10):
        got, expected = (
            WandaPruner(make("bert"), 0.5, sequential=True, batch_tokens=batch_tokens).calibrate(given, 4)
            for given in (batches, plain)
        )
        got.prune()
        expected.prune()
        close(got.norms, expected.norms, rtol=0)


def test_what_merging_pads():
    merged = merge_batches([as_batch(with_numbers([3, 2])), as_batch(with_numbers([5]))])
    assert merged.inputs["more"].shape == (3, 3) and merged.inputs["idx"].tolist() == [0, 1, 0]
    assert merged.mask.sum(1).tolist() == [3, 2, 5] and merged.inputs["input_ids"][:, 3:].count_nonzero() == 2
    labels = [{"input_ids": torch.ones(1, n), "labels": torch.ones(1, n)} for n in (2, 4)]
    assert merge_batches(list(map(as_batch, labels))).inputs["labels"].tolist() == [[1, 1, -100, -100], [1] * 4]
    square = merge_batches([as_batch(texts([2, 1]))])
    assert square.mask.tolist() == [[True, True, False], [True, False, False]]
    embedded = [as_batch({"inputs_embeds": torch.ones(1, n, 3)}) for n in (2, 4)]
    merged = merge_batches(embedded)
    assert merged.inputs["inputs_embeds"].sum(2).tolist() == [[3, 3, 0, 0], [3, 3, 3, 3]]
    assert merged.inputs["attention_mask"].tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]
    full = merge_batches([as_batch(texts([2, 2]))])
    assert full.mask.all() and full.mask.shape == (2, 2)


@pytest.mark.filterwarnings("ignore:The batches have no attention_mask")
def test_texts_of_different_lengths_need_no_mask():
    masked = [texts([5, 5]), texts([3, 3], seed=1)]
    bare = [{"input_ids": batch["input_ids"]} for batch in masked]
    norms = []
    for batches in (masked, bare):
        pruner = WandaPruner(make("bert"), 0.5, sequential=True).calibrate(batches, 4)
        pruner.prune()
        norms.append(pruner.norms)
    close(norms[1], norms[0])


def test_how_many_tokens_a_sample_has():
    assert as_batch(torch.ones(4, 7)).length == 1 and as_batch(torch.ones(4, 7, 2)).length == 1
    assert (
        as_batch({"x": torch.ones(4)}).length == 1
        and as_batch({"idx": torch.ones(4), **texts([5, 3, 2, 1])}).length == 5
    )


def test_what_cannot_be_cut_or_merged_is_refused():
    model = make("bert")
    layers = prunable_layers(model)
    positions = texts([5, 3]) | {"position_ids": torch.arange(5)[None]}
    assert input_norms(model, layers, [positions], num_samples=2).counts["classifier"] == 2
    with pytest.raises(ValueError, match=r"position_ids is \(1, 5\) in a batch of 2 samples"):
        input_norms(model, layers, [positions], num_samples=1)
    for odd in (texts([5]) | {"x": torch.ones(1, 2, 3)}, texts([5]) | {"x": torch.tensor(1.0)}):
        plain = texts([5]) | {"x": torch.ones(1, 2, 4)}
        with pytest.raises(ValueError, match=r"x has the shapes \(1, 2, 4\), .* in different batches"):
            merge_batches([as_batch(plain), as_batch(odd)])


def test_a_question_answering_model_has_a_loss():
    model = built(lambda: BertForQuestionAnswering(BertConfig(**SMALL)))
    targets = {"start_positions": torch.tensor([1, 0]), "end_positions": torch.tensor([2, 1])}
    batch = texts([6, 4]) | targets
    pruner = StructuredPruner(copy.deepcopy(model), 0.5, structure="neuron", importance="gradient")
    got = pruner.calibrate([batch], 2).scores()["bert.encoder.layer.1"]
    layer = model.bert.encoder.layer[1].output.dense
    expected = torch.zeros(24)
    for row in range(2):
        sample = {name: tensor[row : row + 1] for name, tensor in batch.items()}
        layer.weight.grad = None
        model(**sample).loss.backward()
        expected += (layer.weight.grad * layer.weight).sum(0).abs().detach() / 2  # dL/dgate = sum of w dL/dw
    torch.testing.assert_close(got, expected)
    norms = input_norms(model, prunable_layers(model), [batch], num_samples=2)
    close(norms, input_norms(model, prunable_layers(model), [texts([6, 4])], num_samples=2), rtol=0)
    with pytest.raises(ValueError, match="BertForQuestionAnswering"):
        StructuredPruner(model, 0.5, importance="gradient").calibrate([texts([6, 4])], 2)
