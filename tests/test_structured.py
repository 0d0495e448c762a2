import copy
import logging

import pytest
import torch
from models import FAMILIES
from test_shrink import DECODERS, HEADS, batch, lively, logits

from pruning_course import StructuredPruner, sparsity_report
from pruning_course.architectures import out_in
from pruning_course.pruners import importance
from pruning_course.shrink import Removal, sizes
from pruning_course.structures import units

logging.getLogger("transformers").setLevel(logging.ERROR)


def labelled(family: str) -> dict:
    return batch() if family in DECODERS else batch() | {"labels": torch.tensor([0, 2])}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("structure", ["neuron", "head"])
@pytest.mark.parametrize("global_pruning", [True, False])
def test_masked_is_shrunk_for_neurons_and_heads(family, structure, global_pruning):
    model = lively(family)
    dense, before = logits(model), copy.deepcopy(model.state_dict())
    pruner = StructuredPruner(model, 0.5, structure=structure, global_pruning=global_pruning)
    masks = pruner.prune()
    masked, counts = logits(model), pruner.get_sparsity()
    assert (masked - dense).abs().max() > 1e-3
    assert counts["overall"] == pytest.approx(0.5, abs=1e-9)
    assert set(counts["per_layer"]) == {name for name in masks if not name.endswith(".bias")}
    pruner.undo()
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert pruner.get_sparsity()["overall"] == 0 and pruner.removal == Removal()
    report = sparsity_report(model, pruner.prune())
    assert pruner.shrink() is model
    assert (logits(model) - masked).abs().max() <= 1e-5
    assert sum(parameter.nbytes for parameter in model.parameters()) == report.bytes_shrunk
    assert pruner.get_sparsity() == counts
    count = {"neuron": 48, "head": 2 * HEADS[family]}[structure]
    left = sum(size.neurons if structure == "neuron" else size.heads for size in sizes(model))
    assert left == count // 2


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_are_taken_out(family):
    model = lively(family)
    pruner = StructuredPruner(model, 0.5, structure="layer", importance="influence").calibrate([batch()], 2)
    before = copy.deepcopy(model.state_dict())
    pruner.prune()
    masked = logits(model)
    counts = pruner.get_sparsity()
    assert counts["overall"] == 0.5 and set(counts["per_layer"].values()) == {0.0, 1.0}
    pruner.undo()
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    pruner.prune()
    pruner.shrink()
    assert len(sizes(model)) == 1 and pruner.get_sparsity() == counts
    if family in DECODERS:  # pre-norm: what passes a masked block is unchanged
        assert (logits(model) - masked).abs().max() <= 1e-5


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("structure", ["neuron", "head"])
def test_a_gate_gradient_is_what_a_small_change_of_the_gate_does(family, structure):
    model = lively(family).double()
    groups = {str(group.block): group for group in units(model, structure)}
    got = importance.gate_gradients(model, groups, [labelled(family)], 2)
    assert all(parameter.grad is None for parameter in model.parameters())
    one = importance.gate_gradients(model, groups, [{k: v[:1] for k, v in labelled(family).items()}], 1)
    step, losses = 1e-3, []  # a causal loss is float32
    [(name, columns)] = groups["1"].columns.items()
    layer = model.get_submodule(name)
    for factor in (1 + step, 1 - step):
        changed = copy.deepcopy(layer)
        out_in(changed, changed.weight.data)[:, columns[1]] *= factor
        model.set_submodule(name, changed)
        sample = {k: v[:1] for k, v in labelled(family).items()}
        losses.append(model(**{"labels": sample["input_ids"]} | sample).loss.item())
    model.set_submodule(name, layer)
    assert one["1"][1].item() == pytest.approx(abs(losses[0] - losses[1]) / (2 * step), rel=0.02, abs=1e-3)
    assert set(got) == {"0", "1"} and got["1"].shape == (groups["1"].count,)
