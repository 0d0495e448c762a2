"""What would be wrong in silence: each is refused, said or done right."""

import copy
from dataclasses import replace

import pytest
import torch
from helpers.models import make
from helpers.training import FAST, batched, half, net
from safetensors.torch import load_file, save_file
from torch import nn

from pruning_course import (
    GradualPruner,
    MagnitudePruner,
    Masks,
    Removal,
    StructuredPruner,
    WandaPruner,
    fine_tune_after_pruning,
    input_norms,
    load_pruned,
    prunable_layers,
    prune_file,
    rewind,
    save_pruned,
    sparsity_report,
)
from pruning_course.finetune.losses import compute_loss

TEXTS = {"input_ids": torch.randint(3, 60, (4, 7)), "attention_mask": torch.ones(4, 7, dtype=torch.long)}


def two() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 4))


def test_weights_that_were_replaced_are_not_pruned_in_their_stead():
    model = two()
    pruner = MagnitudePruner(model, 0.3)
    pruner.prune()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.load_state_dict(state, assign=True)
    pruner.target_sparsity = 0.6
    for call in (pruner.prune, pruner.masks.reapply):
        with pytest.raises(ValueError, match="no longer has the weights that were masked as 0, 1"):
            call()
    with pytest.warns(UserWarning, match="0, 1 were replaced after they were masked, so undo cannot reach them"):
        pruner.undo()


def test_a_layer_that_is_exchanged_before_pruning_is_noticed():
    model = two()
    pruner = MagnitudePruner(model, 0.5)
    model[1] = nn.Linear(8, 4)
    with pytest.raises(ValueError, match="1 is not the layer that it was when the pruner was created"):
        pruner.prune()


def test_a_new_target_is_taken_or_refused():
    pruner = MagnitudePruner(two(), 0.3)
    pruner.prune()
    pruner.target_sparsity = 0.5
    assert pruner.prune().sparsity == pytest.approx(0.5, abs=0.01)
    each = MagnitudePruner(two(), {"*": 0.3})
    for target in ({"*": 0.6}, 0.6):
        with pytest.raises(ValueError, match="for other shares, create a new pruner"):
            each.target_sparsity = target
    with pytest.raises(ValueError, match="for other shares, create a new pruner"):
        pruner.target_sparsity = {"0": 0.6}
    with pytest.raises(ValueError, match=r"target_sparsity is 1\.5"):
        pruner.target_sparsity = 1.5
    with pytest.raises(ValueError, match=r"max_layer_sparsity is 0\.4"):
        MagnitudePruner(two(), 0.2, max_layer_sparsity=0.4).target_sparsity = 0.6
    with pytest.raises(ValueError, match="keeping 2 of 4 is a sparsity of"):
        WandaPruner(two(), group=(2, 4)).target_sparsity = 0.75
    with pytest.raises(ValueError, match="target_sparsity is empty"):
        MagnitudePruner(two(), {})


def test_masks_that_are_set_must_fit_the_pruner():
    pruner = MagnitudePruner(two(), 0.5)
    with pytest.raises(TypeError, match="masks is dict"):
        pruner.masks = {}
    with pytest.raises(ValueError, match="There is no mask for 1, which this pruner prunes"):
        pruner.masks = Masks(pruner.model, ["0"])


def test_units_are_cut_only_while_the_masks_are_theirs():
    model = make("bert")
    pruner = StructuredPruner(model, 0.5)
    pruner.prune()
    Masks.of(model)[0].undo()
    with pytest.raises(RuntimeError, match="The masks are no longer those of prune"):
        pruner.shrink()
    pruner.prune()
    assert pruner.shrink() is model


def test_masks_made_through_a_wrapper_are_known_to_the_model():
    model = two()
    MagnitudePruner(nn.DataParallel(model), 0.3).prune()
    assert len(Masks.of(model)) == 1
    with pytest.raises(ValueError, match="Other masks prune"):
        MagnitudePruner(model, 0.5).prune()


def test_patterns_are_lists_and_may_be_read_once():
    model = nn.Sequential(*[nn.Linear(2, 2) for _ in range(12)])
    with pytest.raises(TypeError, match=r"exclude is '10'; it must be a list of patterns, such as \['10'\]"):
        prunable_layers(model, exclude="10")
    assert "1" not in prunable_layers(model, exclude=iter(["1"]))
    assert list(prunable_layers(model, iter(["1", "3"]))) == ["1", "3"]


def test_one_parameter_is_one_layer():
    model = nn.Sequential(nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False))
    model[1].weight = model[0].weight
    pruner = MagnitudePruner(model, 0.25, include_tied=True)
    assert pruner.prune().sparsity == 0.25 and list(pruner.layers) == ["0"]


def test_masks_of_another_model_are_refused():
    original, other = net().requires_grad_(False), net()
    masks = half(original)
    with pytest.raises(ValueError, match="masks are those of another model"):
        fine_tune_after_pruning(other, batched(16), batched(8), masks, FAST)
    with pytest.raises(ValueError, match="masks are those of another model"):
        sparsity_report(copy.deepcopy(original), masks)


def test_an_epoch_before_the_last_pruning_is_not_chosen():
    model = net()
    pruner = GradualPruner(model, 0.9, end_epoch=3, steps_per_epoch=8, prune_frequency=8)
    pruner.step(0)
    optimizer, done = torch.optim.SGD(model.parameters(), lr=0.5), []

    def step(*_):
        done.append(None)
        pruner.step(len(done))

    optimizer.register_step_post_hook(step)
    config, parts = replace(FAST, fine_tune_epochs=5), (batched(64), batched(32, seed=1))
    select = batched(64, seed=2)
    history = fine_tune_after_pruning(model, *parts, pruner.masks, config, optimizer=optimizer, select_loader=select)
    assert history.sparsity[:3] == sorted(set(history.sparsity)) and history.sparsity[2:] == [pruner.masks.sparsity] * 3
    best = max(history.select_f1)
    assert history.select_f1.index(best) < 2 <= history.best_epoch  # the dense model is better, and does not count
    assert history.select_f1[history.best_epoch] == max(history.select_f1[2:])
    assert pruner.masks.check() and pruner.masks.sparsity == pytest.approx(0.9, abs=0.01)


def test_batches_are_what_they_seem():
    rows = [(torch.ones(2, 3, dtype=torch.long), torch.ones(2, 3), torch.ones(2))]
    with pytest.raises(TypeError, match="A batch is a tuple of 3; it must be a pair"):
        input_norms(make("bert"), prunable_layers(make("bert")), rows, num_samples=2)
    listed = [{"x": list(torch.ones(2, 8)), "labels": torch.ones(2, 3)}]
    with pytest.raises(TypeError, match="x in a batch is a list; it must be a tensor"):
        fine_tune_after_pruning(net(), listed, listed, None, FAST)
    named = [batch | {"text": ["a"] * len(batch["x"]), "note": None} for batch in batched(16)]
    assert fine_tune_after_pruning(net(), named, named, None, FAST).micro_f1


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile])
def test_a_wrapped_model_keeps_its_own_loss(wrap):
    model = make("bert")
    batch = TEXTS | {"labels": torch.tensor([0, 1, 2, 0])}
    model.loss_function = lambda *_, **__: torch.tensor(1001.0)
    model.forward_own = model.forward
    ours, theirs = compute_loss(wrap(model), batch)[1], compute_loss(model, batch)[1]
    assert float(ours) == pytest.approx(float(theirs), abs=1e-5)  # a compiled model rounds in another order


def test_units_are_numbers():
    for wrong in ({"heads": {0: [True, False]}}, {"neurons": {0: [True]}}, {"layers": [True]}):
        with pytest.raises(TypeError, match="are numbers, not a mask of True and False"):
            Removal(**wrong)


def test_gradients_are_held_also_of_what_is_trained_only_later():
    model = two()
    model[1].requires_grad_(False)
    optimizer = torch.optim.SGD(model[0].parameters(), lr=0.1)
    masks = MagnitudePruner(model, 0.5).prune().hold(optimizer)
    model[1].requires_grad_(True)
    optimizer.add_param_group({"params": list(model[1].parameters())})
    for _ in range(2):
        model(torch.rand(4, 8)).square().sum().backward()
        optimizer.step()
    assert masks.check() and not model[1].weight.grad[~masks["1"]].any()


def test_a_mask_file_without_all_its_bits_is_damaged(tmp_path):
    model = two()
    MagnitudePruner(model, 0.5).prune().save(tmp_path / "masks")
    tensors = load_file(tmp_path / "masks")
    from safetensors import safe_open

    with safe_open(tmp_path / "masks", framework="pt") as file:
        metadata = file.metadata()
    for change in ({"0": tensors["0"][:1].clone()}, {}):
        save_file({"1": tensors["1"], **change}, tmp_path / "short", metadata)
        with pytest.raises(ValueError, match="is not a valid mask file: the bits of '0' are missing or damaged"):
            Masks.load(tmp_path / "short", two())


def test_a_checkpoint_that_would_stay_dense_or_lose_its_scales_is_refused(tmp_path):
    weights = {"a.weight": torch.randn(8, 8), "cls_token": torch.randn(1, 8), "b.qa_outputs.weight": torch.randn(2, 8)}
    folder = tmp_path / "model"
    folder.mkdir()
    save_file(weights | {"empty.weight": torch.zeros(0, 4)}, folder / "model.safetensors")
    save_file(weights, folder / "consolidated.safetensors")
    report = prune_file(folder, tmp_path / "pruned", 0.5)
    assert list(report.per_layer) == ["a.weight"]
    assert {path.name for path in (tmp_path / "pruned").iterdir()} == {"model.safetensors"}
    with pytest.raises(ValueError, match="is inside the source"):
        prune_file(folder, folder / "pruned", 0.5)
    (folder / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(ValueError, match=r"has model\.safetensors and model\.safetensors\.index\.json"):
        prune_file(folder, tmp_path / "again", 0.5)
    save_file({"a.weight": torch.randn(8, 8), "a.weight_scale_inv": torch.randn(2, 2)}, tmp_path / "fp8")
    with pytest.raises(ValueError, match=r"holds quantised weights \(a\.weight_scale_inv\)"):
        prune_file(tmp_path / "fp8", tmp_path / "out", 0.5)
    with pytest.raises(FileExistsError, match="pruned exists already"):
        prune_file(folder / "consolidated.safetensors", tmp_path / "pruned", 0.5)


def test_a_ticket_that_cannot_be_rewound_leaves_the_model_as_it_was():
    model = two()
    start = {name: tensor.clone() + 1 for name, tensor in model.state_dict().items()}
    MagnitudePruner(model, 0.5).prune()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match="Other masks prune"):
        rewind(model, start, {"0": torch.zeros(8, 8, dtype=torch.bool)})
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_small_floats_can_be_saved(tmp_path):
    model = make("llama")
    for layer in prunable_layers(model, "ffn").values():
        layer.weight = nn.Parameter(layer.weight.to(torch.float8_e4m3fn), requires_grad=False)
    save_pruned(model, tmp_path / "model")
    again = load_pruned(tmp_path / "model")
    weight = again.model.layers[0].mlp.up_proj.weight
    assert torch.equal(weight.view(torch.uint8), model.model.layers[0].mlp.up_proj.weight.view(torch.uint8))
