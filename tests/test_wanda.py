import copy
import logging

import pytest
import torch
from helpers.calibration import SkipsALayer, close, texts
from helpers.models import FAMILIES, make
from torch import nn
from transformers import Qwen2ForCausalLM
from transformers.pytorch_utils import Conv1D

from pruning_course import MagnitudePruner, WandaPruner, get_pruner, input_norms, keep_per_row, prunable_layers
from pruning_course.models import out_in
from pruning_course.scores import wanda

logging.getLogger("transformers").setLevel(logging.ERROR)

BATCHES = [texts([7, 3, 5]), texts([4, 9], seed=1)]


def pruned(model, *, batches=BATCHES, num_samples=5, **options):
    pruner = WandaPruner(model, **options).calibrate(batches, num_samples)
    pruner.prune()
    return pruner


def clean(model):
    return not any(m._forward_pre_hooks or m._forward_hooks or "forward" in vars(m) for m in model.modules())


def louder(model: nn.Module) -> nn.Module:
    """A tiny model whose blocks weigh more than their residuals, so that pruning one block shows in the next."""
    with torch.no_grad():
        for layer in prunable_layers(model).values():
            layer.weight.mul_(8)
    return model


def test_eight_weights():
    layer = nn.Linear(8, 1, bias=False)
    layer.weight.data = torch.tensor([[0.8, 0.05, 0.3, 0.02, 0.6, 0.01, 0.9, 0.1]])
    inputs = torch.tensor([[1.0, 5, 1, 1, 1, 1, 1, 8]])
    kept = pruned(copy.deepcopy(layer), batches=[inputs], num_samples=1).masks[""]
    assert layer.weight[kept].tolist() == pytest.approx([0.8, 0.6, 0.9, 0.1])
    by_magnitude = MagnitudePruner(copy.deepcopy(layer)).prune()[""]
    assert layer.weight[by_magnitude].tolist() == pytest.approx([0.8, 0.3, 0.6, 0.9])


@pytest.mark.parametrize("sequential", [False, True])
@pytest.mark.parametrize("family", [*FAMILIES])
def test_every_family_loses_the_same_share_of_every_output(family, sequential):
    model = make(family).train()
    original = copy.deepcopy(model.state_dict())
    pruner = pruned(model, target_sparsity=0.5, sequential=sequential)
    for name, layer in pruner.layers.items():
        keep = out_in(layer, pruner.masks[name])
        assert (keep.sum(1) == keep.shape[1] / 2).all()
    assert pruner.get_sparsity()["overall"] == 0.5
    assert model.training and clean(model)
    pruner.undo()
    assert all(torch.equal(original[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_against_a_brute_force(family):
    model = make(family)
    layers = prunable_layers(model)
    norms = input_norms(model, layers, BATCHES, 5)
    weights = {name: out_in(layer, layer.weight.detach()).clone() for name, layer in layers.items()}
    masks = pruned(model, target_sparsity=0.4).masks
    for name, w in weights.items():
        lowest = (w.abs() * norms[name].float()).argsort(dim=1, stable=True)[:, : round(0.4 * w.shape[1])]
        assert torch.equal(out_in(layers[name], masks[name]), torch.ones_like(w).scatter(1, lowest, 0).bool())


@pytest.mark.parametrize("family", ["bert", "gpt2"])
@pytest.mark.parametrize("group", ["row", "tensor", (2, 4)])
def test_pruning_again_keeps_the_masks_of_every_group(family, group):
    pruner = pruned(make(family), group=group)
    first = {name: mask.clone() for name, mask in pruner.masks.items()}
    for name, mask in pruner.prune().items():
        assert torch.equal(mask, first[name])
    if isinstance(group, str):
        pruner.target_sparsity = 0.75
        for name, mask in pruner.prune().items():
            assert not (mask & ~first[name]).any()
            assert int(mask.sum()) == mask.numel() - round(0.75 * mask.numel())


@pytest.mark.parametrize(("n", "m"), [(2, 4), (1, 4), (4, 8)])
@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
@pytest.mark.parametrize("sequential", [False, True])
def test_n_of_m_runs_along_the_inputs(family, n, m, sequential):
    pruner = pruned(make(family), group=(n, m), sequential=sequential)
    for name, layer in pruner.layers.items():
        assert (out_in(layer, pruner.masks[name]).reshape(-1, m).sum(1) == n).all()
    assert pruner.target_sparsity == 1 - n / m


def test_the_group_tensor_may_empty_a_row():
    layer = nn.Linear(4, 2, bias=False)
    layer.weight.data = torch.tensor([[0.1, 0.2, 0.3, 0.4], [1.0, 2, 3, 4]])
    data = torch.ones(1, 4)
    assert pruned(copy.deepcopy(layer), batches=[data], num_samples=1, group="tensor").masks[""].sum(1).tolist() == [
        0,
        4,
    ]
    assert pruned(copy.deepcopy(layer), batches=[data], num_samples=1).masks[""].sum(1).tolist() == [2, 2]


def test_with_equal_norms_it_is_magnitude_by_row():
    layer = nn.Linear(16, 8)
    weight = {"": layer.weight.detach().abs().clone()}
    signs = torch.where(torch.rand(32, 16) < 0.5, 4.0, -4.0)
    keep = pruned(layer, batches=[signs], num_samples=32, target_sparsity=0.6).masks[""]
    assert torch.equal(keep, keep_per_row(weight, 0.6)[""])


def test_compared_within_an_input_it_is_magnitude():
    # Inside one column of (out, in) every weight meets the same norm, so the norm changes no order there.
    layer = nn.Linear(16, 8)
    norms = input_norms(layer, {"": layer}, [torch.randn(20, 16) * torch.arange(1, 17)], 20)
    by_column = {"": wanda({"": layer}, norms)[""].t()}
    magnitude = {"": layer.weight.detach().abs().t()}
    assert torch.equal(keep_per_row(by_column, 0.5)[""], keep_per_row(magnitude, 0.5)[""])
    by_row = keep_per_row({"": by_column[""].t()}, 0.5)[""]
    assert not torch.equal(by_row, keep_per_row({"": magnitude[""].t()}, 0.5)[""])


def test_scores_have_the_layout_of_the_weight():
    linear, conv = nn.Linear(3, 2), Conv1D(2, 3)
    conv.weight.data = linear.weight.detach().t().clone()
    norms = {"linear": torch.tensor([1.0, 2, 3]), "conv": torch.tensor([1.0, 2, 3])}
    scores = wanda({"linear": linear, "conv": conv}, norms)
    assert torch.equal(scores["linear"], linear.weight.abs() * torch.tensor([[1, 2, 3]]))
    assert torch.equal(scores["conv"], scores["linear"].t())
    with pytest.raises(ValueError, match="no norms for conv; it has 3"):
        wanda({"conv": conv}, {})
    with pytest.raises(ValueError, match=r"shape \(2,\) for conv; it has 3"):
        wanda({"conv": conv}, {"conv": torch.ones(2)})


def test_l1_and_l2_differ_where_inputs_are_rare_and_large():
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.data = torch.tensor([[1.0, 1.0]])
    data = torch.tensor([[1.0, 3.0], [1, 0], [1, 0], [1, 0]])  # l1: 1 and 0.75; l2: 1 and 1.5
    assert pruned(copy.deepcopy(layer), batches=[data], num_samples=4, norm="l1").masks[""].tolist() == [[True, False]]
    assert pruned(copy.deepcopy(layer), batches=[data], num_samples=4, norm="l2").masks[""].tolist() == [[False, True]]


def test_one_layer_one_shot_is_sequential():
    data = torch.randn(30, 16) * torch.arange(1, 17)
    for group in ("row", "tensor", (2, 4)):
        layer = nn.Linear(16, 8)
        one_shot = pruned(copy.deepcopy(layer), batches=[data], num_samples=30, group=group)
        on_the_way = pruned(copy.deepcopy(layer), batches=data.split(7), num_samples=30, group=group, sequential=True)
        assert torch.equal(one_shot.masks[""], on_the_way.masks[""])


def test_sequential_calibrates_on_pruned_predecessors():
    model = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 4))
    dense = copy.deepcopy(model)
    data = torch.randn(20, 8)
    pruner = pruned(model, batches=[data], num_samples=20, sequential=True)
    first = model[0]  # by now pruned
    torch.testing.assert_close(pruner.norms["2"], first(data).relu().double().square().mean(0).sqrt())
    assert not torch.allclose(pruner.norms["2"], input_norms(dense, {"2": dense[2]}, [data], 20)["2"])


@pytest.mark.parametrize("family", FAMILIES)
def test_sequential_norms_are_those_of_the_pruned_model_up_to_each_layer(family):
    model = louder(make(family))
    dense = copy.deepcopy(model)
    pruner = pruned(model, sequential=True)
    # In the finished model every layer's input comes from pruned predecessors: the same norms again.
    close(pruner.norms, input_norms(model, pruner.layers, BATCHES, 5), rtol=1e-4)
    first, *_, last = pruner.layers
    before = input_norms(dense, prunable_layers(dense), BATCHES, 5)
    close({first: pruner.norms[first]}, {first: before[first]})
    assert not torch.allclose(pruner.norms[last], before[last], rtol=0.01)


def sliding_window():
    """Its second block looks at 2 tokens only, so that the attention mask of one block is wrong for the other."""
    config = make("qwen2").config
    config.sliding_window = 2
    config.layer_types = ["full_attention", "sliding_attention"]
    torch.manual_seed(0)
    return louder(Qwen2ForCausalLM(config).eval())


@pytest.mark.parametrize("family", [*FAMILIES, "sliding_window"])
def test_block_by_block_calibrates_on_pruned_blocks(family):
    model = sliding_window() if family == "sliding_window" else louder(make(family))
    by_hand = copy.deepcopy(model)
    pruner = pruned(model, sequential=True, batch_tokens=10)
    assert clean(model)
    # By hand: measure the first block, prune it, and only then measure the second, then what follows the blocks.
    names = [name for name in pruner.layers if ".0." in name], [name for name in pruner.layers if ".1." in name]
    rest = [name for name in pruner.layers if name not in (*names[0], *names[1])]
    for group in (*names, rest):
        layers = {name: by_hand.get_submodule(name) for name in group}
        norms = input_norms(by_hand, layers, BATCHES, 5) if layers else {}
        for name, layer in layers.items():
            torch.testing.assert_close(pruner.norms[name], norms[name], rtol=1e-4, atol=1e-6)
            layer.weight.data[~pruner.masks[name]] = 0


def test_sequential_computes_every_product_once():
    model = make("bert")
    calls = []
    for layer in prunable_layers(model).values():
        layer.register_forward_hook(lambda *_: calls.append(1))
    pruned(model, sequential=True)
    assert len(calls) == len(prunable_layers(model))


@pytest.mark.parametrize("batch_tokens", [8192, 10])
def test_when_a_sequential_pass_fails_the_model_is_dense_again(batch_tokens):
    model = make("llama")
    original = copy.deepcopy(model.state_dict())
    model.model.layers[1].post_attention_layernorm.weight.data[3] = float("nan")
    pruner = WandaPruner(model, sequential=True, batch_tokens=batch_tokens).calibrate(BATCHES, 5)
    with pytest.raises(ValueError, match=r"The input of model.layers.1.mlp.gate_proj holds a NaN"):
        pruner.prune()
    model.model.layers[1].post_attention_layernorm.weight.data[3] = 1.0
    assert all(torch.equal(original[name], tensor) for name, tensor in model.state_dict().items())
    assert pruner.masks is None and clean(model)
    pruner.prune()  # the batches are still there
    assert pruner.get_sparsity()["overall"] == 0.5


def test_after_an_exception_in_calibration_no_hook_is_left():
    model = make("bert")
    with pytest.raises(IndexError):
        WandaPruner(model).calibrate([{"input_ids": torch.tensor([[99]]), "attention_mask": torch.tensor([[1]])}], 1)
    assert clean(model)


@pytest.mark.parametrize("group", ["row", "tensor", (1, 4)])
@pytest.mark.parametrize("sequential", [False, True])
def test_pruning_more_contains_what_was_pruned(group, sequential):
    model = make("bert")
    pruner = WandaPruner(model, 0.25 if group != (1, 4) else None, group=group, sequential=sequential)
    pruner.calibrate(BATCHES, 5)
    before = {name: mask.clone() for name, mask in pruner.prune().items()}
    if group != (1, 4):
        pruner.target_sparsity = 0.75
    pruner.prune()
    assert pruner.get_sparsity()["overall"] == 0.75
    assert all(not (mask & ~before[name]).any() for name, mask in pruner.masks.items())


@pytest.mark.parametrize("sequential", [False, True])
def test_what_is_pruned_goes_first_whatever_new_data_say(sequential):
    layer = nn.Linear(4, 1, bias=False)
    layer.weight.data = torch.tensor([[1.0, 2, 3, 4]])
    pruner = WandaPruner(layer, 0.25, sequential=sequential)
    pruner.calibrate([torch.ones(1, 4)], 1).prune()
    pruner.calibrate([torch.tensor([[1.0, 1, 1, 0]])], 1).prune()  # now the last weight scores 0 too
    assert pruner.masks[""].tolist() == [[False, True, True, True]]


def test_a_layer_that_is_called_twice_is_pruned_at_its_first_call():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(8, 8)

        def forward(self, x):
            return self.layer(self.layer(x).relu())

    model, data = Twice(), torch.randn(10, 8)
    pruner = pruned(model, batches=[data], num_samples=10, sequential=True)
    assert pruner.get_sparsity()["overall"] == 0.5
    torch.testing.assert_close(pruner.norms["layer"], data.double().square().mean(0).sqrt())


def test_half_precision():
    model = make("llama").to(torch.bfloat16)
    pruner = pruned(model, sequential=True)
    assert pruner.get_sparsity()["overall"] == 0.5
    assert pruner.scores()["lm_head"].dtype == torch.float32  # a product in halves would make ties
    assert all(parameter.dtype == torch.bfloat16 for parameter in model.parameters())


def test_held_masks_keep_zeros_while_training():
    model = make("bert")
    masks = pruned(model).masks
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    masks.hold(optimizer)
    for _ in range(3):
        model(**BATCHES[0], labels=torch.tensor([0, 1, 2])).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert all((model.get_submodule(name).weight[~mask] == 0).all() for name, mask in masks.items())


def test_the_target_and_the_pattern_must_agree():
    model = make("llama")
    assert get_pruner(model, "wanda", 0.5, group=(2, 4)).target_sparsity == 0.5
    assert get_pruner(model, "wanda", 0.75, group=(1, 4)).target_sparsity == 0.75
    assert WandaPruner(model).target_sparsity == 0.5
    assert WandaPruner(model, group=(1, 3)).target_sparsity == pytest.approx(2 / 3)


def test_bad_requests():
    model = make("plain")
    skips = SkipsALayer()
    for error, message, call in [
        (
            ValueError,
            "target_sparsity is 0.5, but keeping 1 of 4 is a sparsity of 0.75",
            lambda: WandaPruner(model, 0.5, group=(1, 4)),
        ),
        (ValueError, "group is 'column'", lambda: WandaPruner(model, group="column")),
        (ValueError, "group is 5 of 4", lambda: WandaPruner(model, group=(5, 4))),
        (ValueError, "norm is 'max'", lambda: WandaPruner(model, norm="max")),
        (ValueError, "wanda has no option schedule", lambda: get_pruner(model, "wanda", 0.5, schedule="cubic")),
        (RuntimeError, r"call calibrate\(batches\) before prune", lambda: WandaPruner(model).prune()),
        (RuntimeError, r"call calibrate\(batches\) before prune", lambda: WandaPruner(model, sequential=True).prune()),
        (ValueError, "the batches are empty", lambda: WandaPruner(model).calibrate([])),
        (ValueError, "the batches are empty", lambda: WandaPruner(model, sequential=True).calibrate([])),
        (ValueError, "No real token reached unused", lambda: pruned(skips, batches=[torch.ones(2, 4)], num_samples=2)),
        (
            ValueError,
            "No real token reached unused",
            lambda: pruned(skips, batches=[torch.ones(2, 4)], num_samples=2, sequential=True),
        ),
        (
            ValueError,
            "groups of 4 do not divide",
            lambda: pruned(model, batches=[torch.ones(2, 8)], num_samples=2, group=(2, 4)),
        ),
        (
            ValueError,
            "raise batch_tokens or lower num_samples",
            lambda: pruned(model, batches=[torch.ones(20, 8)], num_samples=20, sequential=True, batch_tokens=10),
        ),
    ]:
        with pytest.raises(error, match=message):
            call()
    assert all((module.weight != 0).all() for module in (skips.used, skips.unused))
