import logging
import warnings

import pytest
import torch
from helpers.calibration import SkipsALayer, brute_force, close, texts
from helpers.models import FAMILIES, make
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from transformers import BertForSequenceClassification

from pruning_course import input_norms, prunable_layers

logging.getLogger("transformers").setLevel(logging.ERROR)


@pytest.mark.parametrize(("norm", "power"), [("l2", 2), ("l1", 1)])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_against_a_brute_force(family, norm, power):
    model = make(family)
    layers = prunable_layers(model)
    batches = [texts([7, 3, 5]), texts([4, 9], seed=1)]
    norms = input_norms(model, layers, batches, num_samples=5, norm=norm)
    close(norms, brute_force(model, layers, batches, power))
    assert all(tensor.dtype == torch.float64 for tensor in norms.values())
    pooled = {"pre_classifier", "classifier", "bert.pooler.dense", "classifier.dense", "classifier.out_proj"}
    assert all(norms.counts[name] == (5 if name in pooled else 28) for name in layers)


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_changes_nothing(family):
    model = make(family)
    layers = prunable_layers(model)
    unpadded = input_norms(model, layers, [texts([6, 6])], num_samples=2)
    padded = input_norms(model, layers, [texts([6, 6], pad_to=13)], num_samples=2)
    close(padded, unpadded, rtol=1e-6)
    one_by_one = texts([6, 6])
    split = input_norms(model, layers, [{k: v[i : i + 1] for k, v in one_by_one.items()} for i in (0, 1)], 2)
    close(split, unpadded, rtol=1e-6)


def test_padding_on_the_left():
    model = make("llama")
    layers = prunable_layers(model)
    right = input_norms(model, layers, [texts([6, 3])], num_samples=2)
    left = texts([6, 3], left=True)
    left["position_ids"] = (left["attention_mask"].cumsum(1) - 1).clamp(min=0)
    close(input_norms(model, layers, [left], num_samples=2), right)


def test_a_pooled_input_has_a_norm_for_each_channel():
    model = make("bert")
    norms = input_norms(model, prunable_layers(model), [texts([5, 5])], num_samples=2)
    assert norms["classifier"].shape == (16,) and norms["classifier"].unique().numel() == 16


def test_num_samples_cuts_the_last_batch():
    model = make("bert")
    layers = prunable_layers(model)
    batch = texts([5, 4, 3, 6])
    first = {name: tensor[:3] for name, tensor in batch.items()}
    cut = input_norms(model, layers, [batch, batch], num_samples=3)
    close(cut, input_norms(model, layers, [first], num_samples=3))
    assert cut.counts["classifier"] == 3


@pytest.mark.parametrize("as_pair", [True, False])
def test_plain_modules(as_pair):
    model = make("plain")
    data = torch.randn(10, 8)
    loader = DataLoader(TensorDataset(data, torch.zeros(10)), batch_size=4) if as_pair else data.split(4)
    norms = input_norms(model, prunable_layers(model), loader, num_samples=10)
    torch.testing.assert_close(norms["0"], data.double().square().mean(0).sqrt())
    torch.testing.assert_close(norms["2"], model[0](data).relu().double().square().mean(0).sqrt())


def test_dropout_is_off_and_every_mode_is_restored():
    model = make("bert").train()
    model.bert.encoder.layer[0].eval()  # a frozen block
    modes = [module.training for module in model.modules()]
    layers = prunable_layers(model)
    once = input_norms(model, layers, [texts([5, 5])], num_samples=2)
    again = input_norms(model, layers, [texts([5, 5])], num_samples=2)
    close(once, again, rtol=0)
    assert [module.training for module in model.modules()] == modes


def test_after_an_exception_hooks_modes_and_cache_are_as_before():
    model = make("llama").train()
    model.config.use_cache = True

    class Broken(Exception):
        pass

    def fail(*_):
        raise Broken

    failing = model.model.layers[1].mlp.register_forward_hook(fail)
    with pytest.raises(Broken):
        input_norms(model, prunable_layers(model), [texts([5])], num_samples=1)
    failing.remove()
    assert all(module.training for module in model.modules())
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in model.modules())
    assert model.config.use_cache


def test_no_key_value_cache_is_filled():
    model = make("llama")
    caches = []
    model.model.register_forward_hook(lambda _, __, output: caches.append(output.past_key_values))
    input_norms(model, prunable_layers(model), [texts([5])], num_samples=1)
    assert caches == [None]
    model(**texts([5]))
    assert caches[1] is not None


def test_labels_and_what_the_model_has_no_name_for_stay_out():
    class NamesOnly(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x, labels=None):
            assert labels is None
            return self.layer(x)

    model, data = NamesOnly(), torch.randn(4, 3)
    batch = {"x": data, "labels": torch.ones(4), "row": torch.arange(4)}
    with pytest.warns(UserWarning, match="no attention_mask"):
        norms = input_norms(model, {"layer": model.layer}, [batch], num_samples=4)
    torch.testing.assert_close(norms["layer"], data.double().square().mean(0).sqrt())


@pytest.mark.parametrize("named", [False, True])
def test_a_forward_that_takes_any_name_gets_all_but_the_labels(named):
    class TakesAny(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, **inputs):
            assert set(inputs) == {"x", "attention_mask"}
            return self.layer(inputs["x"])

    class NamesOne(TakesAny):
        def forward(self, x, **inputs):
            return super().forward(x=x, **inputs)

    model, data = NamesOne() if named else TakesAny(), torch.randn(4, 2, 3)
    batch = {"x": data, "attention_mask": torch.ones(4, 2), "labels": torch.ones(4)}
    norms = input_norms(model, {"layer": model.layer}, [batch], num_samples=4)
    torch.testing.assert_close(norms["layer"], data.double().flatten(0, 1).square().mean(0).sqrt())


def test_the_head_is_run_only_when_it_is_chosen():
    model = make("llama")
    calls = []
    model.lm_head.register_forward_hook(lambda *_: calls.append(1))
    input_norms(model, prunable_layers(model, "encoder"), [texts([5])], num_samples=1)
    assert not calls
    input_norms(model, prunable_layers(model), [texts([5])], num_samples=1)
    assert calls


class Scaled(nn.Module):
    """A wrapper that feeds its own `base_model` with something else than the batch."""

    def __init__(self):
        super().__init__()
        self.base_model = nn.Sequential(nn.Linear(3, 2))

    def forward(self, x):
        return self.base_model(x / 255)


class SoftPrompt(BertForSequenceClassification):
    """A class of its own, made from one of transformers, that puts a learned token before each text."""

    def forward(self, input_ids, attention_mask):
        words = self.bert.embeddings.word_embeddings(input_ids)
        mask = torch.cat([attention_mask[:, :1], attention_mask], dim=1)
        return super().forward(inputs_embeds=torch.cat([words[:, :1] * 100, words], dim=1), attention_mask=mask)


def test_a_model_that_changes_its_inputs_runs_whole():
    model, data = Scaled(), torch.rand(4, 3) * 255
    norms = input_norms(model, prunable_layers(model), [data], num_samples=4)
    torch.testing.assert_close(norms["base_model.0"], (data / 255).double().square().mean(0).sqrt())
    prompted = SoftPrompt(make("bert").config).eval()
    layers = prunable_layers(prompted, "encoder")
    batches = [texts([7, 7])]
    norms = input_norms(prompted, layers, batches, num_samples=2)
    close(norms, brute_force(prompted, layers, batches))
    assert set(norms.counts.values()) == {16}


@pytest.mark.parametrize("how", ["hook", "forward"])
def test_what_is_added_to_a_model_of_transformers_runs_too(how):
    model = make("bert")
    layers, batch = prunable_layers(model, "encoder"), texts([5, 5])
    turned = {name: tensor.flip(1) for name, tensor in batch.items()}
    expected = input_norms(model, layers, [turned], num_samples=2)
    if how == "hook":
        model.register_forward_pre_hook(lambda _, args, kwargs: (args, turned), with_kwargs=True)
    else:
        model.forward = lambda input_ids, attention_mask: model.bert(**turned)
    close(input_norms(model, layers, [batch], num_samples=2), expected, rtol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_halves_are_added_up_in_full(dtype):
    layer = nn.Linear(4, 2).to(dtype)
    data = torch.full((20_000, 4), 100.0, dtype=dtype)  # squares of 1e4, 2e8 in all: too much for a half
    norms = input_norms(layer, {"": layer}, [data], num_samples=20_000)
    assert norms[""].tolist() == [100.0] * 4


def test_large_and_small_batches_add_up():
    layer = nn.Linear(3, 2)
    data = torch.randn(3000, 3) * torch.tensor([1e-6, 1.0, 1e6])
    norms = input_norms(layer, {"": layer}, data.split(700), num_samples=3000)
    torch.testing.assert_close(norms[""], data.double().square().mean(0).sqrt(), rtol=1e-6, atol=0)


def test_what_it_says_aloud():
    model = make("bert")
    layers = prunable_layers(model)
    batch = {"input_ids": texts([5, 5])["input_ids"]}
    with pytest.warns(UserWarning) as said:
        norms = input_norms(model, layers, [batch, batch], num_samples=512)
    messages = [str(warning.message) for warning in said]
    assert sum("no attention_mask, so all tokens count" in message for message in messages) == 1
    assert "There are 4 samples, fewer than num_samples=512." in messages
    assert norms.counts["classifier"] == 4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        input_norms(model, layers, [texts([5, 5])], num_samples=2)


def test_bad_requests():
    model, data = make("plain"), torch.randn(4, 8)
    layers = prunable_layers(model)
    skips = SkipsALayer()
    padding = {"input_ids": torch.zeros(1, 4, dtype=torch.long), "attention_mask": torch.zeros(1, 4)}
    bert = make("bert")
    for error, message, call in [
        (ValueError, "the batches are empty", lambda: input_norms(model, layers, [])),
        (ValueError, "the batches are empty", lambda: input_norms(model, layers, [data[:0]])),
        (ValueError, "num_samples is 0", lambda: input_norms(model, layers, [data], 0)),
        (ValueError, "norm is 'l3'; it can be one of l1, l2", lambda: input_norms(model, layers, [data], 4, "l3")),
        (
            ValueError,
            "No real token reached unused:",
            lambda: input_norms(skips, prunable_layers(skips), [data[:, :4]], 4),
        ),
        (ValueError, "No real token reached .*query", lambda: input_norms(bert, prunable_layers(bert), [padding], 1)),
        (ValueError, "The input of 0 holds a NaN", lambda: input_norms(model, layers, [data / 0], 4)),
        (TypeError, "batches is one batch", lambda: input_norms(bert, layers, texts([3]))),
        (TypeError, "batches is one batch", lambda: input_norms(model, layers, data)),
        (TypeError, "A batch is a str", lambda: input_norms(model, layers, ["text"])),
        (TypeError, "A batch is a dict", lambda: input_norms(bert, layers, [{"input_ids": [[1, 2]]}])),
        (
            ValueError,
            r"must be \(batch, tokens\)",
            lambda: input_norms(bert, layers, [{"attention_mask": torch.ones(3)}]),
        ),
        (
            ValueError,
            "The attention_mask has negative numbers",
            lambda: input_norms(bert, layers, [{"attention_mask": torch.full((2, 3), -1e9)}]),
        ),
    ]:
        with pytest.raises(error, match=message):
            call()
        assert not any(module._forward_pre_hooks for module in (*model, *skips.modules()))


def test_nan_under_the_padding_is_nobodys_business():
    layer = nn.Linear(3, 2)
    data = torch.ones(2, 4, 3)
    data[0, 2:] = float("nan")

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, input_ids):
            return self.layer(data)

    batch = {"input_ids": torch.ones(2, 4), "attention_mask": torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]])}
    norms = input_norms(Model(), {"layer": layer}, [batch], num_samples=2)
    assert norms["layer"].tolist() == [1, 1, 1] and norms.counts["layer"] == 6
