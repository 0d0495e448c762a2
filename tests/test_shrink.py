import copy
import inspect
import logging

import pytest
import torch
from helpers.models import (
    DECODERS,
    FAMILIES,
    GQA,
    HEADS,
    SMALL,
    all_heads,
    batch,
    lively,
    logits,
    make,
    masked,
    sizes,
    units,
    without_incoming_weights,
)
from transformers import BertConfig, DynamicCache, LlamaConfig, LlamaForCausalLM

from pruning_course import Masks, Removal, shrink
from pruning_course.lab.encoder import MeanPooledClassifier
from pruning_course.models import BlockSize, find_layout

logging.getLogger("transformers").setLevel(logging.ERROR)
REMOVALS = {
    "neurons": Removal(neurons={0: [0, 5, 23], 1: range(3, 20)}),
    "heads": Removal(heads={1: [0]}),
    "both": Removal(neurons={1: [1]}, heads={0: [1], 1: [1]}),
    "no neurons": Removal(neurons={0: range(24)}),
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("case", [*REMOVALS, "no heads", "nothing left"])
def test_shrunk_is_masked(family, case):
    nothing_left = Removal(neurons={0: range(24)}, heads={0: range(HEADS[family])})
    removal = (REMOVALS | {"no heads": all_heads(family), "nothing left": nothing_left})[case]
    model = lively(family)
    dense, wanted = logits(model), logits(masked(model, removal))
    before = sizes(model)
    assert before == [BlockSize(24, HEADS[family])] * 2
    assert shrink(model, removal) is model
    assert (dense - wanted).abs().max() > 1e-3
    assert (logits(model) - wanted).abs().max() <= 1e-5
    assert sizes(model) == [
        BlockSize(24 - len(removal.neurons.get(block, ())), HEADS[family] - len(removal.heads.get(block, ())))
        for block in (0, 1)
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_parameters_that_go_are_counted(family):
    """16 wide, heads of 4: a neuron is 2 x 16 numbers and a bias, with a gate 3 x 16; a head 4 x 4 x 16 and biases."""
    biases = {"llama": 0, "mistral": 0, "qwen2": 0}.get(family, 1)
    neuron = 16 * (3 if family in DECODERS[1:] else 2) + biases
    # Of the two key-value heads each takes two queries along: 8 rows, 4 keys, 4 values, 8 columns.
    head = {"llama": 24 * 16, "mistral": 24 * 16, "qwen2": 24 * 16 + 16}.get(family, 16 * 16 + 12)
    model = lively(family)
    before = model.num_parameters()
    shrink(model, Removal(neurons={0: [3, 4], 1: [9]}, heads={1: [0]}))
    assert before - model.num_parameters() == 3 * neuron + head


@pytest.mark.parametrize("family", FAMILIES)
def test_removed_layers_are_as_if_never_there(family):
    model = lively(family)
    wanted = copy.deepcopy(model)
    shrink(model, Removal(layers=[0]))
    assert len(sizes(model)) == 1 == model.config.num_hidden_layers
    found = find_layout(wanted).blocks
    found[0].register_forward_hook(  # skipped; in transformers 4 some blocks return tuples
        lambda _, args, output: (args[0], *output[1:]) if isinstance(output, tuple) else args[0]
    )
    assert (logits(model) - logits(wanted)).abs().max() <= 1e-6


DECODER_CASES = ("uneven", "headless first", "headless last", "fewer layers")


def decoder(family: str, case: str):
    removal = {
        "uneven": REMOVALS["heads"],
        "headless first": all_heads(family, 0),
        "headless last": all_heads(family, 1),
        "fewer layers": Removal(layers=[0]),
    }[case]
    return shrink(lively(family), removal)


@pytest.mark.parametrize("family", DECODERS)
@pytest.mark.parametrize("case", DECODER_CASES)
def test_generation_with_a_cache_is_generation_without(family, case):
    model = decoder(family, case)
    mask = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
    prompt = {"input_ids": torch.tensor([[0, 0, 5, 9], [7, 3, 4, 11]]), "attention_mask": mask}
    some = {"max_new_tokens": 8, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    cached = model.generate(**prompt, **some, use_cache=True)
    assert cached.shape == (2, 12)
    assert torch.equal(cached, model.generate(**prompt, **some, use_cache=False))
    ids = prompt["input_ids"][1:]
    for _ in range(8):
        ids = torch.cat([ids, model(input_ids=ids, use_cache=False).logits[:, -1:].argmax(-1)], dim=1)
    assert torch.equal(cached[1:], ids)
    assert model.generate(**prompt, **some, num_beams=2).shape == (2, 12)  # beams reorder the cache


@pytest.mark.parametrize("family", DECODERS)
@pytest.mark.parametrize("case", DECODER_CASES)
@torch.no_grad()
def test_a_cache_that_is_filled_by_hand_knows_its_length(family, case):
    model = decoder(family, case)
    ids = batch()["input_ids"]
    name = "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
    cache = DynamicCache(config=model.config)
    parts = [model(input_ids=part, use_cache=True, **{name: cache}).logits for part in (ids[:, :4], ids[:, 4:])]
    assert cache.get_seq_length() == 7 and len(cache.layers) == len(sizes(model))
    assert (torch.cat(parts, dim=1) - model(input_ids=ids).logits).abs().max() <= 1e-4


@pytest.mark.parametrize("family", FAMILIES)
def test_dtype_device_and_requires_grad_stay(family):
    model = lively(family).to(torch.bfloat16)
    frozen = next(iter(units(model, "neuron")[0].rows))
    model.get_submodule(frozen).weight.requires_grad_(False)
    before = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    shrink(model, Removal(neurons={0: [1]}, heads={0: [0]}))
    for name, parameter in model.named_parameters():
        assert parameter.dtype == torch.bfloat16 and parameter.requires_grad == before[name], name
    assert not model.get_submodule(frozen).weight.requires_grad
    assert logits(model).dtype == torch.bfloat16


def test_mixed_dtypes_each_keep_their_own():
    model = lively("bert")
    model.bert.encoder.layer[0].output.dense.to(torch.float64)
    shrink(model, Removal(neurons={0: [0]}))
    block = model.bert.encoder.layer[0]
    assert (block.intermediate.dense.weight.dtype, block.output.dense.weight.dtype) == (torch.float32, torch.float64)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_without_memory_is_cut_alike(family):
    removal = Removal(neurons={0: [1, 2], 1: range(24)}, heads={0: range(HEADS[family]), 1: [1]})
    model = shrink(lively(family), removal)
    with torch.device("meta"):
        empty = FAMILIES[family]()
    shrink(empty, Removal(neurons={0: [7, 8], 1: range(24)}, heads={0: range(HEADS[family]), 1: [0]}))
    assert all(parameter.is_meta for parameter in empty.parameters())
    shapes = [{name: t.shape for name, t in m.state_dict().items()} for m in (model, empty)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("family", FAMILIES)
def test_training_goes_on(family):
    model = shrink(lively(family), Removal(neurons={0: range(24), 1: [2]}, heads={0: range(HEADS[family]), 1: [0]}))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    labels = batch()["input_ids"] if family in DECODERS else torch.tensor([0, 2])
    losses = []
    for _ in range(5):
        loss = model(**batch(), labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_plain_from_pretrained_builds_what_the_config_can_say(family, tmp_path):
    removal = Removal(neurons={0: [0, 1], 1: [4, 5]}, layers=[0])
    if family in DECODERS[1:]:
        removal = Removal(neurons=removal.neurons, heads={0: [1], 1: [0]}, layers=[0])
    model = shrink(lively(family), removal)
    model.save_pretrained(tmp_path)
    again, info = type(model).from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"]
    assert torch.equal(logits(model), logits(again.eval()))
    assert sizes(again) == sizes(model)


def test_a_width_that_the_config_cannot_say_is_left_alone():
    model = shrink(lively("llama"), Removal(neurons={0: [1]}, heads={0: [1]}))
    assert (model.config.intermediate_size, model.config.num_attention_heads) == (24, 4)
    model = make("llama")
    wide = LlamaForCausalLM(LlamaConfig(**GQA | {"num_key_value_heads": 4}))
    shrink(wide, Removal(heads={0: [1], 1: [0]}))  # 3 heads: transformers 5 wants a divisor of 16
    assert wide.config.num_attention_heads == 4 and sizes(wide)[0].heads == 3


def test_another_model_with_the_same_config_is_not_touched():
    config = LlamaConfig(**GQA)
    model, other = LlamaForCausalLM(config).eval(), LlamaForCausalLM(config).eval()
    wanted = logits(other)
    shrink(model, Removal(layers=[0], neurons={1: [0]}))
    assert (config.num_hidden_layers, model.config.num_hidden_layers) == (2, 1)
    assert model.config is model.model.config is model.model.layers[0].self_attn.config
    assert torch.equal(logits(other), wanted)


def test_modules_that_carry_their_size_are_told():
    llama, bert = lively("llama"), lively("distilbert")
    shrink(llama, Removal(neurons={0: [1]}))
    assert llama.model.layers[0].mlp.intermediate_size == 23
    shrink(bert, Removal(heads={0: [1]}, layers=[1]))
    attention = bert.distilbert.transformer.layer[0].attention
    assert (attention.n_heads, attention.dim, bert.distilbert.transformer.n_layers) == (3, 12, 1)


def test_shrinking_twice_is_shrinking_once():
    once = shrink(lively("llama"), Removal(neurons={0: [0, 5, 7]}, heads={1: [0]}))
    twice = shrink(lively("llama"), Removal(neurons={0: [5]}))
    shrink(twice, Removal(neurons={0: [0, 6]}, heads={1: [0]}))  # what was 7 is 6 by now
    assert all(torch.equal(a, b) for a, b in zip(once.parameters(), twice.parameters(), strict=True))


def test_grouped_heads_take_their_queries_along():
    [first, _] = units(make("llama"), "head")
    rows = {name.rpartition(".")[2]: rows.tolist() for name, rows in first.rows.items()}
    assert rows["q_proj"] == [list(range(8)), list(range(8, 16))]
    assert rows["k_proj"] == rows["v_proj"] == [list(range(4)), list(range(4, 8))]
    assert [c.tolist() for c in first.columns.values()] == [rows["q_proj"]]


def test_a_fused_projection_has_three_rows_for_each():
    [first, _] = units(make("gpt2"), "head")
    [rows] = first.rows.values()
    assert rows[1].tolist() == [4, 5, 6, 7, 20, 21, 22, 23, 36, 37, 38, 39]


def test_a_removal_is_plain_sorted_numbers():
    removal = Removal(neurons={1: torch.tensor([4, 2]), 0: []}, layers={3, 1})
    assert removal == Removal(neurons={1: (2, 4)}, heads={}, layers=(1, 3))
    assert removal.neurons == {1: (2, 4)} and removal.layers == (1, 3)


@pytest.mark.parametrize("family", [*FAMILIES, "llama with biases"])
@pytest.mark.parametrize("case", REMOVALS)
def test_what_a_removed_unit_always_gives_can_go_into_the_next_bias(family, case):
    model = lively(family.split()[0])
    if family == "llama with biases":
        torch.manual_seed(0)
        model = LlamaForCausalLM(LlamaConfig(**GQA, attention_bias=True, mlp_bias=True)).eval()
        for parameter in model.parameters():
            parameter.data += torch.randn_like(parameter) / 2 * (parameter.dim() == 1)
    model = without_incoming_weights(model, REMOVALS[case])
    wanted = logits(model)
    if family == "qwen2" and REMOVALS[case].heads:
        with pytest.raises(ValueError, match="o_proj has no bias that could take"):
            shrink(model, REMOVALS[case], fold=True)
        assert sizes(model) == [BlockSize(24, 2)] * 2
        return
    plain = logits(shrink(copy.deepcopy(model), REMOVALS[case]))
    assert (logits(shrink(model, REMOVALS[case], fold=True)) - wanted).abs().max() <= 1e-5
    if family not in DECODERS[1:]:
        assert (plain - wanted).abs().max() > 1e-3


def test_what_is_not_constant_is_not_folded():
    model = lively("bert")
    plain = shrink(copy.deepcopy(model), REMOVALS["both"])
    assert torch.equal(logits(shrink(model, REMOVALS["both"], fold=True)), logits(plain))


def test_the_laboratorys_classifier_is_shrunk_too():
    model = MeanPooledClassifier(BertConfig(**SMALL, num_labels=3)).eval()
    removal = Removal(neurons={0: [0]}, heads={1: [1]})
    wanted = logits(masked(model, removal))
    assert (logits(shrink(model, removal)) - wanted).abs().max() <= 1e-5
    assert len(sizes(shrink(model, Removal(layers=[1])))) == 1 == model.config.num_hidden_layers
    assert logits(model).shape == (2, 3)


@pytest.mark.parametrize(
    ("removal", "message"),
    [
        ({"neurons": {2: [0]}}, "has 2 layers, numbered 0 to 1; there is no 2"),
        ({"layers": [-1]}, "there is no -1"),
        ({"neurons": {0: [24]}}, "Block 0 has 24 neurons, numbered 0 to 23; there is no 24"),
        ({"heads": {1: [4, 5]}}, "Block 1 has 4 attention heads, numbered 0 to 3; there is no 4, 5"),
        ({"heads": {1: [2, 2]}}, "attention heads of block 1 to remove name 2 more than once"),
        ({"layers": [0, 1]}, "All 2 layers are to be removed"),
    ],
)
def test_what_is_not_there_cannot_be_removed(removal, message):
    model = make("bert")
    before = model.num_parameters()
    with pytest.raises(ValueError, match=message):
        shrink(model, Removal(**removal))
    assert model.num_parameters() == before


def test_models_that_cannot_be_shrunk_are_refused():
    with pytest.raises(ValueError, match="Sequential has no blocks of a known family; the families are bert"):
        shrink(make("plain"), Removal(layers=[0]))
    model = make("gpt2")
    model.config.scale_attn_by_inverse_layer_idx = True
    with pytest.raises(ValueError, match="scale_attn_by_inverse_layer_idx"):
        shrink(model, Removal(layers=[0]))
    with pytest.raises(TypeError):
        Removal(layers=[0.5])


def test_a_headless_block_has_no_head_to_remove():
    model = shrink(make("bert"), all_heads("bert"))
    with pytest.raises(ValueError, match="Block 0 has no attention heads; there is no 0"):
        shrink(model, Removal(heads={0: [0]}))
    Masks.apply(model, {"bert.encoder.layer.0.attention.output.dense.bias": torch.zeros(16, dtype=torch.bool)})
