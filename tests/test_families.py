"""Every family in the table: its roles, its masks, what can be cut out of it, and saving and loading it."""

import copy
import logging
from pathlib import Path

import pytest
import torch
from helpers.families import DEBERTA, SAMPLES, Sample
from helpers.models import enliven, masked, sizes, without_incoming_weights

from pruning_course import MagnitudePruner, Removal, StructuredPruner, load_pruned, prunable_layers, save_pruned, shrink
from pruning_course.models import FAMILIES, BlockSize, find_layout

logging.getLogger("transformers").setLevel(logging.ERROR)
CUT = {
    "neurons": "neuron",
    "heads": "head",
    "no neurons": "neuron",
    "no heads": "head",
    "first layer": "layer",
    "middle layer": "layer",
}
PAIRS = [(name, case) for name, sample in SAMPLES.items() for case in CUT if CUT[case] not in sample.uncut]
UNITS = [(name, case) for name, case in PAIRS if "layer" not in case]
LAYERS = [(name, case) for name, case in PAIRS if "layer" in case]
DECODERS = [(name, case) for name, case in PAIRS if SAMPLES[name].is_decoder]
REFUSED = [(name, structure) for name, sample in SAMPLES.items() for structure in sample.uncut]


def removal(sample: Sample, case: str) -> Removal:
    return {
        "neurons": Removal(neurons={0: [0, 5, 23], 1: range(3, 20)}),
        "heads": Removal(heads={0: [1], 2: range(1, sample.heads)}),
        "no neurons": Removal(neurons={1: range(24)}),
        "no heads": Removal(heads={0: range(sample.heads)}),
        "first layer": Removal(layers=[0]),
        "middle layer": Removal(layers=[1]),
    }[case]


def lively(name: str):
    return enliven(SAMPLES[name].make())


@torch.no_grad()
def logits(name: str, model) -> torch.Tensor:
    batch = SAMPLES[name].batch()
    found = model(**batch).logits
    return found[batch["attention_mask"].bool()] if found.dim() == 3 else found


def test_every_family_has_a_sample_and_is_in_the_table():
    kinds = {kind for family in FAMILIES for kind in family.model_types}
    assert kinds == {name.partition(",")[0] for name in SAMPLES}
    table = (Path(__file__).parents[1] / "docs" / "families.md").read_text()
    assert all(f"`{kind}`" in table for kind in kinds)


@pytest.mark.parametrize("name", SAMPLES)
def test_roles_and_masks(name):
    sample, model = SAMPLES[name], SAMPLES[name].make()
    assert model.config.model_type == name.partition(",")[0]
    blocks = len(find_layout(model).blocks)
    layers = {role: list(prunable_layers(model, role)) for role in ("attention", "ffn", "encoder")}
    assert (len(layers["attention"]), len(layers["ffn"])) == (sample.layers[0] * blocks, sample.layers[1] * blocks)
    assert sorted(layers["encoder"]) == sorted(layers["attention"] + layers["ffn"])
    inside = [layer for layer in prunable_layers(model) if find_layout(model).role_of(layer)]
    assert inside == layers["encoder"]  # nothing in a block is forgotten
    masks = MagnitudePruner(model, 0.5, "encoder").prune()
    assert set(masks) == set(layers["encoder"]) and masks.sparsity == 0.5


@pytest.mark.parametrize("name", SAMPLES)
def test_a_masked_model_is_saved_and_loaded(name, tmp_path):
    model = lively(name)
    MagnitudePruner(model, 0.5, "encoder").prune()
    save_pruned(model, tmp_path / "model")
    assert (logits(name, load_pruned(tmp_path / "model")) - logits(name, model)).abs().max() == 0.0


@pytest.mark.parametrize(("name", "case"), UNITS)
def test_shrunk_is_masked(name, case):
    sample, model = SAMPLES[name], lively(name)
    gone = removal(sample, case)
    heads = 0 if "head" in sample.uncut else sample.heads
    assert sizes(model) == [BlockSize(24, heads)] * 3
    dense, wanted = logits(name, model), logits(name, masked(model, gone))
    assert (dense - wanted).abs().max() > 1e-3
    shrink(model, gone)
    assert (logits(name, model) - wanted).abs().max() <= 1e-5
    assert sizes(model) == [
        BlockSize(24 - len(gone.neurons.get(block, ())), heads - len(gone.heads.get(block, ()))) for block in range(3)
    ]


@pytest.mark.parametrize(("name", "structure"), sorted({(name, CUT[case]) for name, case in UNITS}))
def test_the_structured_pruner_shrinks_what_it_masked(name, structure):
    model = lively(name)
    pruner = StructuredPruner(model, 0.5, structure=structure)
    pruner.prune()
    wanted = logits(name, model)
    assert (logits(name, pruner.shrink()) - wanted).abs().max() <= 1e-5
    assert pruner.get_sparsity()["overall"] == 0.5


@pytest.mark.parametrize(("name", "case"), LAYERS)
def test_removed_layers_are_as_if_never_there(name, case):
    model = lively(name)
    [number] = removal(SAMPLES[name], case).layers
    wanted, whole = copy.deepcopy(model), logits(name, model)
    find_layout(wanted).blocks[number].register_forward_hook(  # skipped; in transformers 4 some blocks return tuples
        lambda _, args, output: (args[0], *output[1:]) if isinstance(output, tuple) else args[0]
    )
    shrink(model, Removal(layers=[number]))
    assert len(sizes(model)) == model.config.num_hidden_layers == 2
    assert (logits(name, model) - logits(name, wanted)).abs().max() <= 1e-6
    assert (logits(name, model) - whole).abs().max() > 1e-3


@pytest.mark.parametrize(("name", "case"), PAIRS)
def test_a_shrunk_model_is_saved_and_loaded(name, case, tmp_path):
    model = shrink(lively(name), removal(SAMPLES[name], case))
    save_pruned(model, tmp_path / "model")
    again = load_pruned(tmp_path / "model")
    assert sizes(again) == sizes(model)
    assert (logits(name, again) - logits(name, model)).abs().max() == 0.0


@pytest.mark.parametrize("name", [name for name, sample in SAMPLES.items() if "neuron" not in sample.uncut])
def test_what_all_layers_share_can_be_read_by_plain_from_pretrained(name, tmp_path):
    sample = SAMPLES[name]
    heads = {block: [1] for block in range(3)} if sample.heads == 2 and "head" not in sample.uncut else {}
    layers = [] if "layer" in sample.uncut else [0]
    model = shrink(lively(name), Removal(neurons={block: [block, 4] for block in range(3)}, heads=heads, layers=layers))
    save_pruned(model, tmp_path / "model")
    theirs = type(model).from_pretrained(tmp_path / "model").eval()
    assert sizes(theirs) == sizes(model)
    assert (logits(name, theirs) - logits(name, model)).abs().max() <= 1e-6


@pytest.mark.parametrize(("name", "case"), [(name, case) for name, case in UNITS if case in ("neurons", "heads")])
def test_constants_of_removed_units_can_be_folded(name, case):
    gone = removal(SAMPLES[name], case)
    model = without_incoming_weights(lively(name), gone)
    wanted = logits(name, model)
    if (name, case) == ("qwen2", "heads"):  # the only ones that have a bias for the values and none to take them
        with pytest.raises(ValueError, match="o_proj has no bias that could take"):
            shrink(model, gone, fold=True)
    else:
        assert (logits(name, shrink(model, gone, fold=True)) - wanted).abs().max() <= 1e-5


@pytest.mark.parametrize(("name", "case"), DECODERS)
@torch.no_grad()
def test_generation_with_a_cache_is_generation_without(name, case, tmp_path):
    """Prompt and answer are longer than the sliding window of the models that have one."""
    model = shrink(lively(name), removal(SAMPLES[name], case))
    prompt = torch.tensor([[7, 3, 4, 11, 9, 5]])
    some = {"max_new_tokens": 8, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    found = model.generate(prompt, **some, use_cache=True, output_logits=True, return_dict_in_generate=True)
    wanted = model(input_ids=found.sequences, use_cache=False).logits[:, 5:-1]
    assert (torch.stack(found.logits, dim=1) - wanted).abs().max() <= 1e-4
    save_pruned(model, tmp_path / "model")
    assert torch.equal(load_pruned(tmp_path / "model").generate(prompt, **some), found.sequences)


@pytest.mark.parametrize(("name", "structure"), REFUSED)
def test_what_cannot_be_cut_is_refused_before_any_work(name, structure):
    model = lively(name)
    before, config = copy.deepcopy(model.state_dict()), model.config.to_dict()
    removals = {"neuron": Removal(neurons={0: [1]}), "head": Removal(heads={0: [1]}), "layer": Removal(layers=[0])}
    what = {"neuron": "neurons", "head": "attention heads", "layer": "layers"}[structure]
    message = f"^The {what} of a model of the family {name} cannot be cut out, because .*[^.]\\.$"
    with pytest.raises(ValueError, match=message):
        shrink(model, removals[structure])
    with pytest.raises(ValueError, match=message):
        StructuredPruner(model, 0.5, structure=structure)
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())
    shrink(model, Removal())
    assert model.config.to_dict() == config


def test_a_deberta_with_a_convolution_keeps_its_first_layer():
    model = Sample("DebertaV2", DEBERTA | {"conv_kernel_size": 3}).make()
    with pytest.raises(ValueError, match=r"convolution .* removing that layer"):
        shrink(model, Removal(layers=[0]))
    shrink(model, Removal(neurons={0: [1]}, heads={0: [0]}, layers=[1]))
    assert [(size.neurons, size.heads) for size in sizes(model)] == [(23, 3), (24, 4)]
