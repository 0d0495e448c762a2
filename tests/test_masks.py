import copy

import pytest
import torch
from helpers.models import FAMILIES, make
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import prune as torch_prune

from pruning_course import Masks, keep_globally, keep_per_tensor, prunable_layers
from pruning_course.scores import magnitude


def half(model):
    return keep_globally(magnitude(prunable_layers(model)), 0.5)


def bits(model):
    return {
        name: tensor.contiguous().clone().view(torch.uint8)
        for name, tensor in model.state_dict().items()
        if tensor.numel()
    }


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("family", [*FAMILIES, "plain"])
def test_apply_then_undo_is_the_original_bit_for_bit(family):
    model = make(family)
    before = bits(model)
    masks = Masks.apply(model, half(model))
    layers = prunable_layers(model)
    assert masks.sparsity == pytest.approx(0.5, abs=1e-4)
    assert all((layers[name].weight[~keep] == 0).all() for name, keep in masks.items())
    assert all(type(layer.weight) is nn.Parameter for layer in layers.values())
    assert not same(bits(model), before)
    masks.undo()
    assert same(bits(model), before)
    assert masks.sparsity == 0


def test_undo_gives_back_minus_zero_and_nan_too():
    model = nn.Linear(4, 1, bias=False)
    model.weight.data = torch.tensor([[-0.0, float("nan"), float("inf"), 1.0]])
    before = bits(model)
    masks = Masks.apply(model, {"": torch.tensor([[False, False, False, True]])})
    assert model.weight.tolist() == [[0, 0, 0, 1]]
    masks.undo()
    assert same(bits(model), before)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=5), st.integers(0, 2**31), st.booleans())
def test_restrict_only_ever_prunes_more_and_undo_still_works(shares, seed, transposed):
    generator = torch.Generator().manual_seed(seed)
    model = nn.Linear(5, 4)
    if transposed:
        model.weight = nn.Parameter(torch.randn(5, 4, generator=generator).t())  # not contiguous
    before = bits(model)
    masks, expected = None, torch.ones(4, 5, dtype=torch.bool)
    for share in shares:
        keep = torch.rand(4, 5, generator=generator) >= share
        expected &= keep
        masks = Masks.apply(model, {"": keep}) if masks is None else masks.restrict({"": keep})
        assert torch.equal(masks[""], expected)
        assert (model.weight[~expected] == 0).all()
    masks.undo()
    assert same(bits(model), before)


def test_restrict_keeps_masks_that_are_not_named():
    model = make("plain")
    masks = Masks.apply(model, half(model))
    second = masks["2"].clone()
    assert masks.restrict({"0": torch.zeros(6, 8, dtype=torch.bool)}) is masks
    assert torch.equal(masks["2"], second) and not masks["0"].any()


OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.001, momentum=0.9, weight_decay=0.1),
    "adam": lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.1),
}


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_hold_keeps_zeros_for_twenty_steps_after_steps_before(kind):
    model, data = make("plain"), torch.randn(16, 8)
    optimizer = OPTIMIZERS[kind](model.parameters())

    def step():
        optimizer.zero_grad()
        model(data).pow(2).sum().backward()
        optimizer.step()

    step()  # builds momentum at the places that are pruned next
    masks = Masks.apply(model, half(model)).hold(optimizer)
    kept = {name: model.get_submodule(name).weight[keep].clone() for name, keep in masks.items()}
    for _ in range(20):
        step()
        for name, keep in masks.items():
            weight = model.get_submodule(name).weight
            assert (weight[~keep] == 0).all()
            moments = [m for m in optimizer.state[weight].values() if getattr(m, "shape", None) == weight.shape]
            assert moments and all((moment[~keep] == 0).all() for moment in moments)
    assert all((model.get_submodule(name).weight[keep] != kept[name]).any() for name, keep in masks.items())


def test_a_hold_keeps_zeros_even_where_training_diverges():
    model = nn.Linear(2, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    Masks.apply(model, {"": torch.tensor([[True, False]])}).hold(optimizer)
    model.weight.grad = torch.tensor([[0.0, float("inf")]])
    optimizer.step()
    assert model.weight[0, 1].item() == 0 and not torch.signbit(model.weight[0, 1])


def test_without_hold_the_weights_come_back():
    model, data = make("plain"), torch.randn(16, 8)
    optimizer = OPTIMIZERS["adam"](model.parameters())
    masks = Masks.apply(model, half(model))
    model(data).pow(2).sum().backward()
    optimizer.step()
    assert any((model.get_submodule(name).weight[~keep] != 0).any() for name, keep in masks.items())


def test_finalize_does_not_end_the_hold():
    model, data = make("plain"), torch.randn(16, 8)
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    masks = Masks.apply(model, half(model)).hold(optimizer)
    masks.finalize()
    model(data).pow(2).sum().backward()
    optimizer.step()
    assert all((model.get_submodule(name).weight[~keep] == 0).all() for name, keep in masks.items())
    with pytest.raises(RuntimeError, match="forgotten"):
        masks.undo()


def test_undo_ends_the_hold():
    model, data = make("plain"), torch.randn(16, 8)
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    masks = Masks.apply(model, half(model)).hold(optimizer)
    masks.undo()
    before = model[0].weight.detach().clone()
    model(data).pow(2).sum().backward()
    optimizer.step()
    assert ((model[0].weight - before).abs() > 0).float().mean() > 0.9
    assert not optimizer._optimizer_step_post_hooks


def test_hold_refuses_an_optimizer_of_other_weights():
    model = make("plain")
    masks = Masks.apply(model, half(model))
    with pytest.raises(ValueError, match="none of the masked weights"):
        masks.hold(torch.optim.SGD(make("plain").parameters(), lr=0.1))


def test_deepcopy_state_dict_and_save_pretrained_just_work(tmp_path):
    model = make("bert")
    masks = Masks.apply(model, half(model))
    names = set(model.state_dict())
    assert names == set(make("bert").state_dict())
    twin = copy.deepcopy(model)
    assert same(bits(twin), bits(model))
    model.save_pretrained(tmp_path)
    assert same(bits(type(model).from_pretrained(tmp_path)), bits(model))
    assert masks.sparsity == pytest.approx(0.5, abs=1e-4)


def test_save_and_load_round_trip(tmp_path):
    model, other = make("gpt2"), make("gpt2", seed=1)
    keep = half(model) | {"transformer.h.0.mlp.c_fc.bias": torch.arange(24) > 3}
    masks = Masks.apply(model, keep)
    masks.save(tmp_path / "masks.safetensors")
    loaded = Masks.load(tmp_path / "masks.safetensors", other)
    assert same(dict(loaded), dict(masks))
    assert (other.transformer.h[0].mlp.c_fc.bias[:4] == 0).all()
    (tmp_path / "cut").write_bytes((tmp_path / "masks.safetensors").read_bytes()[:-9])
    with pytest.raises(ValueError, match="not a valid mask file"):
        Masks.load(tmp_path / "cut", other)
    with pytest.raises(ValueError, match="BertForSequenceClassification has no parameter"):
        Masks.load(tmp_path / "masks.safetensors", make("bert"))


def test_a_mask_that_lies_transposed_in_memory_is_saved_as_it_reads(tmp_path):
    model, keep = nn.Linear(3, 5), torch.arange(15).view(3, 5).t() % 4 > 0
    Masks.apply(model, {"": keep}).save(str(tmp_path / "masks"))
    assert torch.equal(Masks.load(str(tmp_path / "masks"), nn.Linear(3, 5))[""], keep)


def test_a_mask_follows_its_model_to_another_dtype():
    model = make("plain")
    masks = Masks.apply(model, half(model))
    model.bfloat16()
    masks.undo()
    assert (model[0].weight != 0).all() and model[0].weight.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("keep", "error", "message"),
    [
        ({}, ValueError, "empty"),
        ({"9": torch.ones(6, 8, dtype=torch.bool)}, ValueError, "no parameter to mask at '9'"),
        ({"1": torch.ones(6, 8, dtype=torch.bool)}, ValueError, "no parameter to mask at '1'"),
        ({"0": torch.ones(8, 6, dtype=torch.bool)}, ValueError, r"\(8, 6\), its weight is \(6, 8\)"),
        ({"0": torch.ones(6, 8)}, TypeError, "torch.float32; masks are torch.bool"),
    ],
)
def test_bad_masks_are_refused_and_nothing_changes(keep, error, message):
    model = make("plain")
    before = bits(model)
    with pytest.raises(error, match=message):
        Masks.apply(model, {"2": torch.zeros(3, 6, dtype=torch.bool)} | keep if keep else keep)
    assert same(bits(model), before)


def test_from_torch_gives_plain_parameters_and_undoes_to_the_original():
    model = make("bert")
    before, parameters = bits(model), {id(p) for p in model.parameters()}
    layers = prunable_layers(model, "ffn")
    torch_prune.global_unstructured(
        [(layer, "weight") for layer in layers.values()], torch_prune.L1Unstructured, amount=0.3
    )
    torch_prune.l1_unstructured(next(iter(layers.values())), "bias", amount=0.5)
    zeros = {name: layer.weight == 0 for name, layer in layers.items()}
    masks = Masks.from_torch(model)
    assert set(masks) == set(layers) | {next(iter(layers)) + ".bias"}
    assert all(torch.equal(~masks[name], zeros[name]) for name in layers)
    assert {id(p) for p in model.parameters()} == parameters
    assert not any(name.endswith(("_orig", "_mask")) for name in model.state_dict())
    assert not any(module._forward_pre_hooks for module in model.modules())
    masks.undo()
    assert same(bits(model), before)
    with pytest.raises(ValueError, match="has no parameter that torch"):
        Masks.from_torch(model)


def test_from_torch_refuses_what_it_cannot_name():
    model = nn.LSTM(3, 4)
    torch_prune.l1_unstructured(model, "weight_ih_l0", amount=0.5)
    with pytest.raises(ValueError, match="only parameters called weight or bias"):
        Masks.from_torch(model)
    assert torch_prune.is_pruned(model)


def test_masks_of_one_layer_say_what_they_are():
    model = make("plain")
    masks = Masks.apply(model, keep_per_tensor(magnitude(prunable_layers(model)), 0.25))
    assert repr(masks) == "Masks(2 tensors, 24.2% pruned)"  # 12 of 48 and round(4.5) = 4 of 18
