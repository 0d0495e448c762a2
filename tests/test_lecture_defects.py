"""One test for each claim of the lecture that is wrong: what the lecture does, and what the package does instead."""

import copy
import gc
import weakref

import pytest
import torch
from helpers.models import make
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import prune
from transformers import BertConfig, BertModel

from pruning_course import (
    MagnitudePruner,
    Masks,
    incremental_fraction,
    keep_globally,
    keep_per_row,
    keep_per_tensor,
    prunable_layers,
    sparsity_report,
)
from pruning_course.models import tied_layers

TEN = torch.tensor([0.8, -0.05, 0.3, 0.01, -0.6, 0.02, 0.9, -0.03, 0.15, -0.7])


def test_S01_a_threshold_is_not_a_count():
    scores = TEN.abs()
    threshold = scores.sort().values[4]  # 0.15, "the 50th percentile"
    printed = torch.tensor([1, 0, 1, 0, 1, 0, 1, 0, 1, 1]).bool()  # the lecture's mask
    assert int(printed.sum()) == 6
    assert torch.equal(printed, scores >= threshold) and not torch.equal(printed, scores > threshold)
    keep = keep_globally({"w": scores}, 0.5)["w"]
    assert int(keep.sum()) == 5 and not keep[8]


def test_S04_a_float_amount_is_a_share_of_what_remains():
    layer = nn.Linear(100, 10, bias=False)
    prune.l1_unstructured(layer, "weight", amount=0.3)
    prune.l1_unstructured(layer, "weight", amount=0.1)
    assert int((layer.weight_mask == 0).sum()) == 370  # not 400

    # Passing the target each time compounds to 1 - (1 - t)^n.
    layer = nn.Linear(100, 10, bias=False)
    for _ in range(3):
        prune.l1_unstructured(layer, "weight", amount=0.4)
    assert int((layer.weight_mask == 0).sum()) == round(1000 * (1 - 0.6**3))

    # "70% to 80% breaks": 100 of 300 that are left can go, and as an integer count they do.
    layer = nn.Linear(100, 10, bias=False)
    prune.l1_unstructured(layer, "weight", amount=700)
    prune.l1_unstructured(layer, "weight", amount=100)
    assert int((layer.weight_mask == 0).sum()) == 800

    # The fix: each step's amount is the share of what is left.
    layer, current = nn.Linear(100, 10, bias=False), 0.0
    for target in (0.3, 0.4, 0.7, 0.8):
        prune.l1_unstructured(layer, "weight", amount=incremental_fraction(current, target))
        current = target
        assert int((layer.weight_mask == 0).sum()) == round(1000 * target)


def test_S07_quantile_refuses_large_layers():
    large = torch.arange(16 * 1024**2 + 1, dtype=torch.float32)
    with pytest.raises(RuntimeError, match="too large"):
        torch.quantile(large, 0.5)
    keep = keep_globally({"w": large}, 0.5)["w"]
    assert keep.numel() - int(keep.count_nonzero()) == round(0.5 * large.numel())
    assert not keep[: large.numel() // 2].any()


@pytest.mark.parametrize("value", [0.0, 0.02])
def test_S08_a_strict_comparison_drops_every_tie(value):
    row = torch.full((8,), value)
    assert int((row > torch.quantile(row, 0.5)).sum()) == 0  # all eight gone, four were asked for
    assert keep_globally({"w": row}, 0.5)["w"].tolist() == [True] * 4 + [False] * 4


def test_S14_sparsity_is_that_of_the_selected_layers_and_comes_from_masks():
    model = make("bert")
    model.classifier.weight.data.zero_()  # zeros that nobody pruned
    pruner = MagnitudePruner(model, 0.5, prune_layers="ffn")
    pruner.prune()
    linear = [module.weight for module in model.modules() if isinstance(module, nn.Linear)]
    diluted = sum(int((w == 0).sum()) for w in linear) / sum(w.numel() for w in linear)
    assert diluted < 0.3
    assert pruner.get_sparsity()["overall"] == 0.5
    assert set(pruner.get_sparsity()["per_layer"]) == set(pruner.layers)


def find_by_words(model, part):
    """The lecture's filter, word for word."""
    names = [name.lower() for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    if part == "attention":
        return [name for name in names if any(x in name for x in ["query", "key", "value", "attention"])]
    return [name for name in names if "intermediate" in name or ("output" in name and "attention" not in name)]


@pytest.mark.parametrize(
    ("family", "attention", "ffn"),  # by words, by family
    [
        ("bert", (8, 8), (4, 4)),
        ("distilbert", (8, 8), (0, 4)),
        ("gpt2", (0, 4), (0, 4)),
        ("llama", (0, 8), (0, 6)),
    ],
)
def test_S15_layers_are_found_by_family_and_not_by_berts_names(family, attention, ffn):
    model = make(family)
    assert (len(find_by_words(model, "attention")), len(prunable_layers(model, "attention"))) == attention
    assert (len(find_by_words(model, "ffn")), len(prunable_layers(model, "ffn"))) == ffn
    encoder = prunable_layers(model, "encoder")
    assert not any(word in name for name in encoder for word in ("classifier", "pooler", "lm_head"))


def test_S15_attention_is_not_every_name_with_key_in_it():
    class WithKeys(nn.Module):
        def __init__(self):
            super().__init__()
            self.bert = make("bert").bert
            self.keyword_head = nn.Linear(16, 2)

    assert "keyword_head" in find_by_words(WithKeys(), "attention")
    assert "keyword_head" not in prunable_layers(WithKeys(), "attention")


def test_S16_zeros_save_no_byte(tmp_path):
    model = make("bert")
    save_file(model.state_dict(), tmp_path / "dense")
    masks = MagnitudePruner(model, 0.5, prune_layers="encoder").prune()
    save_file(model.state_dict(), tmp_path / "zeros")
    assert (tmp_path / "zeros").stat().st_size == (tmp_path / "dense").stat().st_size
    report = sparsity_report(model, masks)
    assert report.bytes_shrunk == report.bytes_dense
    assert report.of_all < report.selected == 0.5  # embeddings are not pruned


def test_S18_global_magnitude_ignores_scale_and_can_remove_a_layer():
    one, two = torch.tensor([0.5, 0.4, 0.3, 0.2, 0.1]), torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5])
    assert one.max() == 0.5 == two.min()  # "0.3" in the lecture
    keep = keep_globally({"one": one, "two": two}, 0.4)
    assert keep["one"].tolist() == [True, False, False, False, False] and keep["two"].all()
    # The same function, with layer one divided by 10 and layer two multiplied by 10, is pruned otherwise.
    assert not keep_globally({"one": one / 10, "two": two * 10}, 0.5)["one"].any()
    # One factor for each channel deceives the local comparisons, too, but not Wanda's.
    weight, inputs = torch.rand(4, 6) + 0.5, torch.rand(9, 6)
    factors = torch.tensor([20.0, 1 / 20]).repeat(3)
    assert keep_per_row({"w": weight * factors}, 0.5)["w"].equal((factors > 1).expand(4, 6))
    assert keep_per_tensor({"w": weight * factors}, 0.5)["w"].equal((factors > 1).expand(4, 6))
    torch.testing.assert_close(weight * factors * (inputs / factors).norm(dim=0), weight * inputs.norm(dim=0))
    model = nn.Sequential(nn.Linear(5, 5, bias=False), nn.Linear(5, 5, bias=False))
    model[0].weight.data /= 100
    guarded = MagnitudePruner(model, 0.5, max_layer_sparsity=0.8)
    guarded.prune()
    assert guarded.get_sparsity()["per_layer"]["0"] == 0.8
    assert guarded.get_sparsity()["zero_params"] == 25


def test_S22_the_ffn_is_two_thirds_of_a_block_and_half_of_the_model():
    with torch.device("meta"):
        model = BertModel(BertConfig())  # BERT-base, 110M parameters, without memory
    total = sum(p.numel() for p in model.parameters())
    ffn = sum(layer.weight.numel() for layer in prunable_layers(model, "ffn").values())
    block = sum(layer.weight.numel() for layer in prunable_layers(model, "encoder").values())
    assert ffn / block == pytest.approx(2 / 3)
    assert 109e6 < total < 110e6 and 0.51 < ffn / total < 0.53


def test_S23_torchs_weight_is_stale_is_not_copied_and_old_masks_stay(monkeypatch):
    layer = nn.Linear(4, 2, bias=False)
    prune.l1_unstructured(layer, "weight", amount=0.5)
    assert "weight" in vars(layer) and not isinstance(getattr(type(layer), "weight", None), property)
    with pytest.raises(RuntimeError, match="Only Tensors created explicitly"):
        copy.deepcopy(layer)
    before = layer.weight.detach().clone()
    with torch.no_grad():
        layer.weight_orig.add_(1.0)  # as optimizer.step() does
    assert torch.equal(layer.weight, before)  # stale until the next forward

    made, make_mask = weakref.WeakSet(), prune.CustomFromMask.__init__
    monkeypatch.setattr(prune.CustomFromMask, "__init__", lambda self, mask: (make_mask(self, mask), made.add(self))[0])
    for _ in range(5):
        prune.global_unstructured([(layer, "weight")], prune.L1Unstructured, amount=0.1)
    gc.collect()
    assert len(made) >= 5  # still alive, and each keeps a full mask of floats

    ours = nn.Linear(4, 2, bias=False)
    masks = Masks.apply(ours, {"": ours.weight.detach().abs() > ours.weight.detach().abs().median()})
    assert isinstance(ours.weight, nn.Parameter)
    assert torch.equal(copy.deepcopy(ours).weight, ours.weight)
    with torch.no_grad():
        ours.weight.add_(masks[""].float())
    assert (ours.weight[~masks[""]] == 0).all()


def test_S26_tied_weights_are_noticed():
    model = make("gpt2")
    linears = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    assert linears == ["lm_head"]  # "all Linear layers" of GPT-2 is the wrong one
    assert model.lm_head.weight is model.transformer.wte.weight
    assert tied_layers(model) == {"lm_head": "transformer.wte.weight"}
    embedding = model.transformer.wte.weight.detach().clone()
    MagnitudePruner(model, 0.9).prune()
    assert torch.equal(model.transformer.wte.weight, embedding)


def test_S27_saving_with_live_torch_masks_loses_the_weights_and_ours_does_not(tmp_path):
    model = make("bert")
    layer = model.bert.encoder.layer[0].intermediate.dense
    prune.l1_unstructured(layer, "weight", amount=0.5)
    kept = layer.weight.detach().clone()
    model.save_pretrained(tmp_path / "torch")
    again = type(model).from_pretrained(tmp_path / "torch")  # no error
    assert not torch.equal(again.bert.encoder.layer[0].intermediate.dense.weight, kept)

    Masks.from_torch(model).finalize()
    model.save_pretrained(tmp_path / "ours")
    again = type(model).from_pretrained(tmp_path / "ours")
    assert torch.equal(again.bert.encoder.layer[0].intermediate.dense.weight, kept)
