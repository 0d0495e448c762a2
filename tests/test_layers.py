import pytest
import torch
from helpers.models import FAMILIES, make
from torch import nn
from transformers import GPT2Config, GPT2ForSequenceClassification

from pruning_course.models import find_layout, out_in, prunable_layers, tied_layers

# linear layers a block: attention, ffn; and those outside the blocks that "all" takes
COUNTS = {
    "bert": (4, 2, ["bert.pooler.dense", "classifier"]),
    "roberta": (4, 2, ["classifier.dense", "classifier.out_proj"]),
    "distilbert": (4, 2, ["pre_classifier", "classifier"]),
    "gpt2": (2, 2, []),  # lm_head is tied
    "llama": (4, 3, ["lm_head"]),
    "qwen2": (4, 3, ["lm_head"]),
    "mistral": (4, 3, ["lm_head"]),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_each_role_finds_its_layers(family):
    model = make(family)
    attention, ffn, outside = COUNTS[family]
    layers = {role: list(prunable_layers(model, role)) for role in ("all", "attention", "ffn", "encoder")}
    assert len(layers["attention"]) == 2 * attention
    assert len(layers["ffn"]) == 2 * ffn
    assert sorted(layers["encoder"]) == sorted(layers["attention"] + layers["ffn"])
    assert [name for name in layers["all"] if name not in layers["encoder"]] == outside
    modules = [name for name, _ in model.named_modules()]
    for names in layers.values():
        assert names == sorted(names, key=modules.index)


def test_the_names_mean_what_they_say():
    layers = prunable_layers(make("bert"), "attention")
    assert list(layers)[:4] == [
        "bert.encoder.layer.0.attention.self.query",
        "bert.encoder.layer.0.attention.self.key",
        "bert.encoder.layer.0.attention.self.value",
        "bert.encoder.layer.0.attention.output.dense",
    ]
    assert list(prunable_layers(make("distilbert"), "ffn"))[:2] == [
        "distilbert.transformer.layer.0.ffn.lin1",
        "distilbert.transformer.layer.0.ffn.lin2",
    ]
    assert list(prunable_layers(make("llama"), "ffn"))[:3] == [
        f"model.layers.0.mlp.{name}_proj" for name in ("gate", "up", "down")
    ]


def test_a_wrapper_around_a_known_model_keeps_its_roles():
    class Wrapper(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = make("bert").bert
            self.head = nn.Linear(16, 2)

    model = Wrapper()
    assert find_layout(model).family.blocks == "encoder.layer"
    assert len(prunable_layers(model, "encoder")) == 12
    assert list(prunable_layers(model))[-1] == "head"


def test_any_module_is_pruned_as_a_whole_but_not_by_role():
    model = make("plain")
    assert list(prunable_layers(model)) == ["0", "2"]
    assert list(prunable_layers(nn.Linear(3, 2))) == [""]
    with pytest.raises(ValueError, match=r"Sequential does not belong to a known family .* 'all' would take 0, 2"):
        prunable_layers(model, "attention")


def test_unknown_roles_and_empty_selections_are_refused():
    with pytest.raises(ValueError, match="it can be all, attention, ffn, encoder, or a list"):
        prunable_layers(make("bert"), "heads")
    with pytest.raises(ValueError, match="Sequential has no layer to prune for 'all'; its layers: none"):
        prunable_layers(nn.Sequential(nn.Embedding(3, 4)))


def test_tied_weights_are_left_out_unless_asked_for():
    model = make("gpt2")
    assert tied_layers(model) == {"lm_head": "transformer.wte.weight"}
    assert "lm_head" not in prunable_layers(model)
    assert list(prunable_layers(model, include_tied=True))[-1] == "lm_head"


def test_a_model_whose_only_layer_is_tied_says_so():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(5, 3)
            self.out = nn.Linear(3, 5, bias=False)
            self.out.weight = self.embedding.weight

    with pytest.raises(ValueError, match=r"out shares its weight with embedding\.weight; see include_tied"):
        prunable_layers(Tied())


def test_overlapping_views_count_as_tied_and_neighbours_do_not():
    storage = torch.zeros(2, 3, 4)
    model = nn.ModuleList([nn.Linear(4, 3, bias=False) for _ in range(3)])
    model[0].weight = nn.Parameter(storage[0])
    model[1].weight = nn.Parameter(storage[1])
    assert tied_layers(model) == {}
    model[2].weight = nn.Parameter(storage[1])
    assert set(tied_layers(model)) == {"1", "2"}


def test_torch_masked_layers_are_refused():
    from torch.nn.utils import prune

    model = make("plain")
    prune.l1_unstructured(model[0], "weight", amount=0.5)
    with pytest.raises(ValueError, match=r"use Masks\.from_torch"):
        prunable_layers(model)


def test_out_in_turns_conv1d_round_and_back():
    model = make("gpt2")
    layer = prunable_layers(model, "ffn")["transformer.h.0.mlp.c_fc"]
    assert layer.weight.shape == (16, 24)
    assert out_in(layer, layer.weight).shape == (24, 16)
    assert out_in(layer, out_in(layer, layer.weight)).shape == (16, 24)
    assert out_in(nn.Linear(3, 2), torch.ones(2, 3)).shape == (2, 3)


def test_a_gpt2_classifier_keeps_its_score_layer():
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=64, n_embd=16, n_layer=1, n_head=2, n_positions=16, num_labels=3)
    layers = prunable_layers(GPT2ForSequenceClassification(config))
    assert list(layers)[-1] == "score"
