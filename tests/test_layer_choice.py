"""Layers chosen by patterns, parts and shares; adapters, two towers, and what is left out."""

import warnings

import pytest
import torch
from helpers.models import GQA, SMALL, make
from torch import nn
from transformers import (
    BertConfig,
    BertModel,
    EncoderDecoderConfig,
    EncoderDecoderModel,
    LlamaConfig,
    LlamaModel,
    MixtralConfig,
    MixtralForCausalLM,
)

from pruning_course import (
    GradualPruner,
    MagnitudePruner,
    Removal,
    StructuredPruner,
    WandaPruner,
    get_pruner,
    load_pruned,
    prunable_layers,
    save_pruned,
    shrink,
    sparsity_report,
)


class Towers(nn.Module):
    def __init__(self, config=None):
        super().__init__()
        torch.manual_seed(0)
        self.query = LlamaModel(config or LlamaConfig(**GQA)).eval()
        self.document = LlamaModel(config or LlamaConfig(**GQA)).eval()


class Lora(nn.Module):
    """As in peft: the layer, and two small ones, of which the second starts at zero."""

    def __init__(self, layer):
        super().__init__()
        self.base_layer = layer
        self.lora_A = nn.ModuleDict({"default": nn.Linear(layer.in_features, 4, bias=False)})
        self.lora_B = nn.ModuleDict({"default": nn.Linear(4, layer.out_features, bias=False)})
        nn.init.zeros_(self.lora_B["default"].weight)


def adapted():
    model = make("bert")
    for block in model.bert.encoder.layer:
        block.attention.self.query = Lora(block.attention.self.query)
    return model


def test_patterns_and_exclude():
    model = make("llama")
    names = list(prunable_layers(model, ["*.q_proj", "*.layers.1.mlp.*"]))
    assert names == [
        "model.layers.0.self_attn.q_proj",
        "model.layers.1.self_attn.q_proj",
        *(f"model.layers.1.mlp.{name}_proj" for name in ("gate", "up", "down")),
    ]
    assert list(prunable_layers(model, "attention", exclude=["*.0.*", "*.v_proj"])) == [
        f"model.layers.1.self_attn.{name}_proj" for name in "qko"
    ]
    for options in ({"prune_layers": ["*.nothing"]}, {"exclude": ["lm_heads"]}):
        with pytest.raises(ValueError, match=r"'(\*\.nothing|lm_heads)' in (prune_layers|exclude) matches no layer"):
            prunable_layers(model, **options)
    with pytest.raises(ValueError, match=r"lm_head shares its weight .*include_tied"):
        prunable_layers(make("gpt2"), ["lm_head"])
    assert list(prunable_layers(make("gpt2"), ["lm_head"], include_tied=True)) == ["lm_head"]


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("magnitude", {}),
        ("wanda", {}),
        ("gradual", {"steps_per_epoch": 2}),
        ("structured", {"structure": "neuron"}),
    ],
)
def test_every_pruner_takes_exclude_and_inside(method, options):
    pruner = get_pruner(make("llama"), method, 0.5, prune_layers="all", exclude=["model.layers.0.*"], **options)
    assert pruner.layers and not any(name.startswith("model.layers.0.") for name in pruner.layers)
    role = "ffn" if method == "structured" else "encoder"
    pruner = get_pruner(Towers(), method, 0.5, prune_layers=role, inside="document", **options)
    assert pruner.layers and all(name.startswith("document.layers.") for name in pruner.layers)


def test_a_block_that_is_excluded_keeps_its_units_and_half_a_block_cannot_be():
    model = make("llama")
    pruner = StructuredPruner(model, 0.5, structure="neuron", exclude=["model.layers.0.*"])
    pruner.prune()
    assert list(pruner.removal.neurons) == [1] and len(pruner.removal.neurons[1]) == 12
    with pytest.raises(ValueError, match=r"exclude leaves out model\.layers\.0\.mlp\.up_proj, .* all of them or none"):
        StructuredPruner(make("llama"), 0.5, exclude=["model.layers.0.mlp.up_proj"]).prune()
    with pytest.raises(ValueError, match="exclude is for neurons and attention heads"):
        StructuredPruner(make("llama"), 0.5, structure="layer", exclude=["model.layers.0.*"])


@pytest.mark.parametrize("structure", ["neuron", "head", "layer"])
def test_two_towers_are_refused_or_chosen(structure):
    for call in (
        lambda model: StructuredPruner(model, 0.5, structure=structure),
        lambda model: shrink(model, Removal()),
    ):
        with pytest.raises(
            ValueError, match=r"2 lists of blocks: query\.layers, document\.layers; choose one with inside"
        ):
            call(Towers())
    with pytest.raises(ValueError, match="has no blocks of a known family inside 'images'"):
        StructuredPruner(Towers(), 0.5, structure=structure, inside="images")
    ids = torch.arange(1, 9)[None]
    shared = LlamaConfig(**GQA)  # one config object for both
    for model in (Towers(), Towers(shared)):
        before = model.query(ids).last_hidden_state
        pruner = StructuredPruner(model, 0.5, structure=structure, inside="document")
        pruner.prune()
        masked = model.document(ids).last_hidden_state
        pruner.shrink()
        assert torch.equal(model.query(ids).last_hidden_state, before)
        if structure != "layer":
            torch.testing.assert_close(model.document(ids).last_hidden_state, masked, rtol=1e-5, atol=1e-5)
        assert len(model.query.layers) == model.query.config.num_hidden_layers == 2
        assert len(model.document.layers) == model.document.config.num_hidden_layers == 2 - (structure == "layer")


def test_an_encoder_decoder_of_two_known_models_is_cut_and_saved_in_each_part(tmp_path):
    torch.manual_seed(0)
    configs = [BertConfig(**SMALL), BertConfig(**SMALL, is_decoder=True, add_cross_attention=True)]
    model = EncoderDecoderModel(EncoderDecoderConfig.from_encoder_decoder_configs(*configs)).eval()
    with pytest.raises(ValueError, match="2 lists of blocks"):
        prunable_layers(model, "encoder")
    shrink(model, Removal(neurons={0: [1, 2]}, layers=[1]), inside="encoder")
    shrink(model, Removal(neurons={0: [5]}), inside="decoder")
    ids = torch.tensor([[5, 6, 7]])
    expected = model(input_ids=ids, decoder_input_ids=ids).logits
    save_pruned(model, tmp_path / "model")
    again = load_pruned(tmp_path / "model")
    assert torch.equal(again(input_ids=ids, decoder_input_ids=ids).logits, expected)
    assert len(again.encoder.encoder.layer) == 1 and len(again.decoder.bert.encoder.layer) == 2


def test_a_layer_under_an_adapter_keeps_its_role_and_adapters_are_never_pruned():
    model = adapted()
    attention = list(prunable_layers(model, "attention"))
    assert len(attention) == 8 and attention[0] == "bert.encoder.layer.0.attention.self.query.base_layer"
    masks = MagnitudePruner(model, 0.5).prune()
    assert not any("lora" in name for name in masks)
    left_out = sparsity_report(model, masks).left_out
    assert {reason for name, (_, reason) in left_out.items() if "lora" in name} == {"adapter"}


def test_left_out_names_everything_with_its_share_and_reason():
    torch.manual_seed(0)
    mixtral = MixtralForCausalLM(MixtralConfig(**GQA, num_local_experts=2))
    with pytest.warns(UserWarning, match=r"'all' reaches \d+% of the weights of MixtralForCausalLM besides embeddings"):
        masks = MagnitudePruner(mixtral, 0.5).prune()
    report = sparsity_report(mixtral, masks)
    reasons = {name: reason for name, (_, reason) in report.left_out.items()}
    assert reasons["model.embed_tokens"] == "embedding"
    assert reasons["model.layers.0.mlp.experts.down_proj"] == "expert"
    covered = sum(share for share, _ in report.left_out.values()) * report.parameters + report.masked
    vectors = sum(p.numel() for p in mixtral.parameters() if p.dim() < 2)
    assert round(covered) == report.parameters - vectors
    attention = nn.TransformerEncoderLayer(16, 2, 32)
    assert sparsity_report(attention, MagnitudePruner(attention, 0.5).prune()).left_out == {
        "self_attn.in_proj_weight": (768 / sum(p.numel() for p in attention.parameters()), "packed")
    }


def test_convolutions_are_pruned_by_size_and_refused_by_wanda():
    class Cnn(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 4), nn.Conv1d(2, 2, 3))

    model = Cnn()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        masks = MagnitudePruner(model, 0.5).prune()
    assert list(masks) == ["0", "3"] and masks.sparsity == 0.5
    assert sparsity_report(model, masks).left_out["4"][1] == "not a layer that is known"
    with pytest.raises(ValueError, match="Wanda cannot prune convolutions: 0; leave them out with exclude="):
        WandaPruner(Cnn(), 0.5)
    assert list(WandaPruner(Cnn(), 0.5, exclude=["0"]).layers) == ["3"]


def test_shares_for_each_layer():
    model = make("bert")
    shares = {"*.query": 0.25, "*.layer.0.*dense": 0.5, "classifier": 1.0}
    pruner = MagnitudePruner(model, shares)
    masks = pruner.prune()
    for name, share in pruner.get_sparsity()["per_layer"].items():
        assert share == (0.25 if name.endswith("query") else 1.0 if name == "classifier" else 0.5)
    assert "bert.pooler.dense" not in masks
    assert sparsity_report(model, masks).left_out["bert.pooler.dense"][1] == "excluded"
    texts = {"input_ids": torch.randint(3, 60, (4, 7)), "attention_mask": torch.ones(4, 7, dtype=torch.long)}
    for sequential in (False, True):
        wanda = WandaPruner(make("bert"), shares, sequential=sequential).calibrate([texts], 4)
        wanda.prune()
        assert wanda.get_sparsity()["per_layer"] == pytest.approx(pruner.get_sparsity()["per_layer"], abs=0.04)


@pytest.mark.parametrize(
    ("make_pruner", "message"),
    [
        (
            lambda m: MagnitudePruner(m, {"*.query": 0.5, "*.layer.0.*": 0.6}),
            r"Two patterns .* shares 0\.5, 0\.6",
        ),
        (lambda m: MagnitudePruner(m, {"*.queries": 0.5}), r"'\*\.queries' in target_sparsity matches no layer"),
        (lambda m: MagnitudePruner(m, {"*.query": 1.5}), "a share must be between 0 and 1"),
        (lambda m: MagnitudePruner(m, {"*": 0.5}, global_pruning=True), "global_pruning cannot be True"),
        (lambda m: GradualPruner(m, {"*": 0.5}, steps_per_epoch=3), "a schedule rises to one number"),
        (lambda m: StructuredPruner(m, {"*": 0.5}), "units are pruned by one number"),
        (lambda m: WandaPruner(m, {"*": 0.5}, group=(2, 4)), "2 of 4 is the same share for all"),
    ],
)
def test_shares_that_make_no_sense_are_refused(make_pruner, message):
    with pytest.raises(ValueError, match=message):
        make_pruner(make("bert"))


def test_a_layer_that_is_emptied_is_named():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4))
    with torch.no_grad():
        model[2].weight /= 50
    with pytest.warns(UserWarning, match=r"^2 lost all weights, .*max_layer_sparsity") as caught:
        MagnitudePruner(model, 0.5).prune()
    assert caught[0].filename == __file__


def test_a_bert_inside_something_else_is_found_where_it_is():
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.ModuleList([nn.Linear(3, 3)])
            self.body = BertModel(BertConfig(**SMALL))

    assert len(prunable_layers(Reader(), "attention")) == 8
