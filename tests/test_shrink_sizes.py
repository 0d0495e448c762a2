"""What is left of a model after a cut, in numbers: parameters, the sizes that layers carry, and folded biases."""

import copy

import pytest
import torch
from helpers.models import DECODERS, FAMILIES, GQA, HEADS, SMALL, all_heads, lively, logits, make, sizes, units
from torch import nn
from torch.nn.functional import gelu
from transformers import BertConfig, BertModel, EncoderDecoderModel, LlamaConfig, LlamaForCausalLM
from transformers.pytorch_utils import Conv1D

from pruning_course import Removal, prunable_layers, shrink
from pruning_course.models import BlockSize

# The numbers of a head in a block of 16: heads of 4 in four projections, with biases but for that of the output.
HEAD = {"llama": 24 * 16, "mistral": 24 * 16, "qwen2": 24 * 16 + 16}  # two queries for each key


@pytest.mark.parametrize("family", FAMILIES)
def test_of_an_empty_block_only_the_last_bias_stays(family):
    model = lively(family)
    before = model.num_parameters()
    neuron = 3 * 16 if family in DECODERS[1:] else 2 * 16 + 1  # with a gate, without biases; or without, with
    shrink(model, Removal(neurons={0: range(24)}))
    assert before - model.num_parameters() == 24 * neuron
    shrink(model, all_heads(family, 1))
    assert before - model.num_parameters() == 24 * neuron + HEADS[family] * HEAD.get(family, 16 * 16 + 12)
    assert sizes(model) == [BlockSize(0, HEADS[family]), BlockSize(24, 0)]


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_carry_the_sizes_of_their_weights(family):
    model = shrink(lively(family), Removal(neurons={0: [3, 4]}, heads={1: [0]}))
    for name, layer in prunable_layers(model, include_tied=True).items():
        carried = (layer.nx, layer.nf) if isinstance(layer, Conv1D) else (layer.out_features, layer.in_features)
        assert carried == layer.weight.shape, name


@pytest.mark.parametrize("family", FAMILIES)
def test_a_block_that_is_empty_already_has_nothing_to_fold(family):
    model = shrink(lively(family), Removal(neurons={0: range(24)}, heads={1: range(HEADS[family])}))
    removal = Removal(neurons={1: [2]}, heads={0: [1]})
    expected = logits(shrink(copy.deepcopy(model), removal))
    assert torch.equal(logits(shrink(model, removal, fold=True)), expected)


def test_two_heads_of_a_block_are_folded_each_for_its_own_queries():
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(**GQA | {"num_attention_heads": 8, "num_key_value_heads": 4}, attention_bias=True)
    )
    attention = model.eval().model.layers[0].self_attn
    with torch.no_grad():
        attention.v_proj.bias.copy_(torch.arange(8.0))
        attention.o_proj.weight.copy_(torch.eye(16))
        attention.o_proj.bias.zero_()
    [group, _] = units(model, "head")
    assert [rows.tolist() for rows in group.rows["model.layers.0.self_attn.v_proj"]] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    attention.v_proj.weight.data[[0, 1, 4, 5]] = 0  # the heads 0 and 2
    wanted = logits(model)
    shrink(model, Removal(heads={0: [0, 2]}), fold=True)
    assert attention.o_proj.bias.tolist() == [0, 1, 0, 1, 0, 0, 0, 0, 4, 5, 4, 5, 0, 0, 0, 0]
    torch.testing.assert_close(logits(model), wanted, rtol=0, atol=1e-5)


def test_constants_of_half_precision_are_added_in_single():
    model = make("bert").bfloat16()
    block = model.bert.encoder.layer[0]
    with torch.no_grad():
        block.intermediate.dense.weight[[1, 5]] = 0
        block.intermediate.dense.bias[[1, 5]] = torch.tensor([1.5, -0.75]).bfloat16()
        block.output.dense.bias.copy_(torch.linspace(-0.1, 0.1, 16))
    inner, outer = block.intermediate.dense.bias[[1, 5]].float(), block.output.dense.weight[:, [1, 5]].float()
    expected = (block.output.dense.bias.float() + outer @ gelu(inner)).bfloat16()
    shrink(model, Removal(neurons={0: [1, 5]}), fold=True)
    assert torch.equal(block.output.dense.bias, expected) and expected.any()


def test_the_config_of_another_part_of_the_model_stays():
    decoder = BertModel(BertConfig(**SMALL, is_decoder=True, add_cross_attention=True))
    model = EncoderDecoderModel(encoder=BertModel(BertConfig(**SMALL)), decoder=decoder)
    removal = Removal(layers=[0], neurons={1: [0]})
    shrink(model, removal, inside="encoder")
    assert model.encoder.encoder.config.num_hidden_layers == 1
    for config in (model.config.decoder, decoder.config, decoder.encoder.config):
        assert (config.num_hidden_layers, config.intermediate_size) == (2, 24)

    shared = BertConfig(**SMALL)
    towers = nn.ModuleDict({"left": BertModel(shared), "right": BertModel(shared)})
    shrink(towers, removal, inside="left")
    found = [towers[name].config.num_hidden_layers for name in towers]
    assert found == [1, 2] and towers["right"].encoder.config is shared
