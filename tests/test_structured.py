import copy
import logging

import pytest
import torch
from helpers.models import DECODERS, FAMILIES, HEADS, batch, lively, logits, make, sizes, units

from pruning_course import Masks, StructuredPruner, WandaPruner, get_pruner, sparsity_report
from pruning_course.models import out_in
from pruning_course.pruners import importance
from pruning_course.shrink import Removal, shrink

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


def test_norms_hold_rows_biases_and_columns():
    model = lively("bert")
    block = model.bert.encoder.layer[1]
    neuron = [block.intermediate.dense.weight[5], block.intermediate.dense.bias[5], block.output.dense.weight[:, 5]]
    self = block.attention.self
    head = [block.attention.output.dense.weight[:, 4:8]]
    head += [part[4:8] for layer in (self.query, self.key, self.value) for part in (layer.weight, layer.bias)]
    for structure, unit, parts in (("neuron", 5, neuron), ("head", 1, head)):
        scores = StructuredPruner(model, 0.5, structure=structure).scores()
        wanted = torch.cat([part.flatten() for part in parts]).norm()
        assert scores["bert.encoder.layer.1"][unit].item() == pytest.approx(wanted.item(), rel=1e-5)
    layers = StructuredPruner(model, 0.5, structure="layer")
    block = [p.flatten() for name in layers.layers if ".1." in name for p in layers.layers[name].parameters()]
    assert layers.scores()["layers"][1].item() == pytest.approx(torch.cat(block).norm().item(), rel=1e-5)


def test_a_grouped_heads_norm_holds_all_its_queries():
    model = lively("llama")
    attention = model.model.layers[0].self_attn
    parts = [attention.q_proj.weight[8:], attention.k_proj.weight[4:], attention.v_proj.weight[4:]]
    wanted = torch.cat([part.flatten() for part in (*parts, attention.o_proj.weight[:, 8:])]).norm()
    assert StructuredPruner(model, 0.5, structure="head").scores()["model.layers.0"][1].item() == pytest.approx(
        wanted.item(), rel=1e-5
    )


def test_the_count_is_exact_and_ties_go_from_the_end():
    model = make("bert")
    for parameter in model.parameters():
        torch.nn.init.ones_(parameter)
    pruner = StructuredPruner(model, 0.3)  # round(7.2)
    pruner.prune()
    assert pruner.removal == Removal(neurons={block: range(17, 24) for block in (0, 1)})
    pruner.undo()
    everywhere = StructuredPruner(model, 0.3, global_pruning=True)  # round(14.4)
    everywhere.prune()
    assert everywhere.removal == Removal(neurons={1: range(10, 24)})


@pytest.mark.parametrize(("min_kept", "left"), [(0, [0, 24]), (1, [1, 23]), (5, [5, 19])])
def test_globally_each_block_keeps_a_few(min_kept, left):
    model = lively("llama")
    model.model.layers[0].mlp.requires_grad_(False)
    for parameter in model.model.layers[0].mlp.parameters():
        parameter /= 1000
    pruner = StructuredPruner(model, 0.5, global_pruning=True, min_kept=min_kept)
    pruner.prune()
    masked = logits(model)
    assert (logits(pruner.shrink()) - masked).abs().max() <= 1e-5
    assert [size.neurons for size in sizes(model)] == left


def test_pruning_again_takes_more_and_never_less():
    model = lively("qwen2")
    pruner = StructuredPruner(model, 0.25)
    pruner.prune()
    first = set(pruner.removal.neurons[0])
    pruner.target_sparsity = 0.5
    pruner.prune()
    assert first < set(pruner.removal.neurons[0]) and len(pruner.removal.neurons[0]) == 12
    pruner.target_sparsity = 0.25  # nothing comes back, neither in the masks nor in what is cut
    masks = pruner.prune()
    assert len(pruner.removal.neurons[0]) == 12
    assert masks is pruner.masks and pruner.get_sparsity()["overall"] == 0.5
    pruner.shrink()
    again = StructuredPruner(model, 0.5)  # of what is left
    again.prune()
    again.shrink()
    assert [size.neurons for size in sizes(model)] == [6, 6]


def test_what_is_pruned_stays_first_in_line_however_weak_others_become():
    model = lively("bert")
    block = model.bert.encoder.layer[0]
    for rows in (block.intermediate.dense.weight.data, block.output.dense.weight.data.T):
        rows[:6] /= 1000
    pruner = StructuredPruner(model, 0.25)
    pruner.prune()
    assert pruner.removal.neurons[0] == tuple(range(6))
    for rows in (
        block.intermediate.dense.weight.data,
        block.intermediate.dense.bias.data,
        block.output.dense.weight.data.T,
    ):
        rows[10:] = 0
    pruner.target_sparsity = 0.5
    pruner.prune()
    assert pruner.removal.neurons[0] == (*range(6), *range(18, 24))
    assert pruner.get_sparsity()["overall"] == 0.5


def test_a_hold_ends_and_what_was_trained_stays():
    model = lively("bert")
    pruner = StructuredPruner(model, 0.5)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    pruner.prune().hold(optimizer)
    for _ in range(2):
        model(**labelled("bert")).loss.backward()
        optimizer.step()
    masked = logits(model)
    assert (logits(pruner.shrink()) - masked).abs().max() <= 1e-5
    optimizer.step()  # of the old weights: nothing is held any more


def test_what_is_permanent_can_be_shrunk_and_what_is_shrunk_cannot_be_undone():
    model = lively("gpt2")
    pruner = get_pruner(model, "structured", 0.5, structure="head")
    with pytest.raises(RuntimeError, match=r"call prune\(\) before shrink"):
        pruner.shrink()
    pruner.prune()
    pruner.make_pruning_permanent()
    pruner.shrink()
    assert pruner.get_sparsity()["overall"] == 0.5 and pruner.removal.heads.keys() == {0, 1}
    for call in (pruner.undo, pruner.shrink, pruner.prune, pruner.make_pruning_permanent):
        with pytest.raises(RuntimeError, match="The model is shrunk"):
            call()


def test_gradients_do_not_depend_on_batches_and_padding():
    model = lively("bert")
    both = labelled("bert")
    cut = {name: tensor[1:, :4] if tensor.dim() == 2 else tensor[1:] for name, tensor in both.items()}
    one_by_one = [{name: tensor[:1] for name, tensor in both.items()}, cut]
    pairs = [({k: v for k, v in sample.items() if k != "labels"}, sample["labels"]) for sample in one_by_one]
    results = [
        StructuredPruner(model, 0.5, structure="head", importance="gradient").calibrate(batches, 2).scores()
        for batches in ([both], one_by_one, pairs)
    ]
    assert results[0].keys() == {"bert.encoder.layer.0", "bert.encoder.layer.1"}
    for group in units(model, "head"):
        name = f"bert.encoder.layer.{group.block}"
        first, second = (importance.gate_gradients(model, {"": group}, [sample], 1)[""] for sample in one_by_one)
        assert torch.allclose(results[0][name], (first + second) / 2, rtol=1e-4)
        assert torch.allclose(results[0][name], results[1][name], rtol=1e-4)
        assert torch.equal(results[1][name], results[2][name])


def test_a_language_model_does_not_learn_its_padding():
    model = lively("gpt2")
    labels = torch.where(batch()["attention_mask"].bool(), batch()["input_ids"], -100)
    groups = {str(group.block): group for group in units(model, "head")}
    told = importance.gate_gradients(model, groups, [batch() | {"labels": labels}], 2)
    untold = importance.gate_gradients(model, groups, [batch()], 2)
    assert all(torch.equal(told[name], untold[name]) for name in groups)


def test_a_head_that_nobody_listens_to_goes_first():
    model = lively("llama")
    for layer, head in ((0, 1), (1, 0)):
        model.model.layers[layer].self_attn.o_proj.weight.data[:, 8 * head : 8 * head + 8] = 0
    pruner = StructuredPruner(model, 0.5, structure="head", importance="gradient")
    with pytest.raises(RuntimeError, match="no importance by gradient yet"):
        pruner.prune()
    wanted = logits(model)
    pruner.calibrate([batch()], 2).prune()  # no labels: a language model predicts its own input
    assert pruner.removal == Removal(heads={0: [1], 1: [0]})
    assert (logits(pruner.shrink()) - wanted).abs().max() <= 1e-5


def test_a_layer_that_turns_nothing_goes_first():
    model = lively("llama")
    for layer in (model.model.layers[1].self_attn.o_proj, model.model.layers[1].mlp.down_proj):
        layer.weight.data.zero_()
    wanted = logits(model)
    pruner = StructuredPruner(model, 0.5, structure="layer", importance="influence").calibrate([batch()], 2)
    influence = pruner.scores()["layers"]
    assert influence[1].item() == pytest.approx(0, abs=1e-6) and influence[0] > 0.01
    pruner.prune()
    assert pruner.removal == Removal(layers=[1])
    assert (logits(pruner.shrink()) - wanted).abs().max() <= 1e-6


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_influence_is_a_mean_over_real_tokens(family):
    model = lively(family)
    hidden = model(**batch(), output_hidden_states=True).hidden_states
    real = batch()["attention_mask"].bool()
    cosine = torch.nn.functional.cosine_similarity(hidden[0][real], hidden[1][real], dim=-1)
    got = importance.block_influence(model, [batch()], 2)
    assert got.shape == (2,) and got[0].item() == pytest.approx(1 - cosine.mean().item(), abs=1e-6)


def test_an_empty_block_is_passed_over():
    model = shrink(lively("bert"), Removal(heads={0: range(4)}, neurons={0: range(24)}))
    for structure in ("head", "neuron"):
        pruner = StructuredPruner(model, 0.5, structure=structure)
        pruner.prune()
        masked = logits(model)
        assert (logits(pruner.shrink()) - masked).abs().max() <= 1e-5
    assert [(size.neurons, size.heads) for size in sizes(model)] == [(0, 0), (12, 2)]
    WandaPruner(model, 0.5).calibrate([batch()], 2).prune()
    assert torch.isfinite(logits(model)).all()


def test_halves_are_pruned_by_the_same_numbers():
    whole, half = lively("mistral").to(torch.bfloat16).float(), lively("mistral").to(torch.bfloat16)
    pruners = [StructuredPruner(model, 0.5) for model in (whole, half)]
    masks = [pruner.prune() for pruner in pruners]
    assert pruners[0].removal == pruners[1].removal
    assert all(torch.equal(masks[0][name], masks[1][name]) for name in masks[0])
    assert {parameter.dtype for parameter in pruners[1].shrink().parameters()} == {torch.bfloat16}


def test_masks_of_units_can_be_saved_and_loaded(tmp_path):
    model, other = lively("bert"), lively("bert")
    StructuredPruner(model, 0.5).prune().save(tmp_path / "masks")
    Masks.load(tmp_path / "masks", other)
    assert torch.equal(logits(model), logits(other))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"structure": "channel"}, "structure is 'channel'; it can be 'neuron', 'head', 'layer'"),
        ({"importance": "taylor"}, "importance for neurons is 'taylor'; it can be 'norm', 'gradient'"),
        ({"structure": "layer", "importance": "gradient"}, "it can be 'norm', 'influence'"),
        ({"prune_layers": "attention"}, "prune_layers for neurons is 'attention'; it can be 'all', 'encoder', 'ffn'"),
        (
            {"structure": "head", "prune_layers": "ffn"},
            "for attention heads is 'ffn'; it can be 'all', 'encoder', 'attention'",
        ),
        ({"structure": "layer", "prune_layers": "ffn"}, "for layers is 'ffn'; it can be 'all', 'encoder'"),
        ({"structure": "layer", "target_sparsity": 1.0}, "removes 2 of 2 layers, but 1 must be left"),
        ({"global_pruning": True, "target_sparsity": 1.0}, "removes 48 of 48 neurons, but 2 must be left"),
        ({"min_kept": -1}, "min_kept is -1"),
        ({"target_sparsity": 1.5}, "target_sparsity is 1.5"),
    ],
)
def test_bad_requests_are_refused_before_anything_happens(options, message):
    with pytest.raises(ValueError, match=message):
        StructuredPruner(make("bert"), **options)


def test_what_cannot_be_calibrated_says_so():
    with pytest.raises(ValueError, match="Sequential does not belong to a known family"):
        StructuredPruner(make("plain"))
    with pytest.raises(ValueError, match="nothing to calibrate"):
        StructuredPruner(make("bert")).calibrate([batch()], 2)
    with pytest.raises(ValueError, match="the loss of BertForSequenceClassification"):
        StructuredPruner(make("bert"), importance="gradient").calibrate([batch()], 2)
    with pytest.raises(ValueError, match=r"No real token reached bert\.encoder\.layer\.0"):
        nothing = batch() | {"attention_mask": torch.zeros(2, 7, dtype=torch.long)}
        StructuredPruner(make("bert"), structure="layer", importance="influence").calibrate([nothing], 2)
