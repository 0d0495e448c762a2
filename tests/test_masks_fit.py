"""Masks that notice when they no longer fit their model, and one mask for one weight."""

import copy
import gc
import pickle

import pytest
import torch
from helpers.models import make
from torch import nn

from pruning_course import GradualPruner, MagnitudePruner, Masks, Removal, save_pruned, shrink, sparsity_report
from pruning_course.scores import magnitude
from pruning_course.selection import keep_globally, keep_per_tensor


def eight() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 2, bias=False), nn.Linear(2, 2, bias=False))


def prune_half(model: nn.Module) -> Masks:
    return Masks.apply(model, keep_globally(magnitude({"0": model[0], "1": model[1]}), 0.5))


def test_check_counts_what_came_back_and_names_what_is_gone():
    model = eight()
    masks = prune_half(model)
    assert masks.check() and str(masks.check()) == "the masks fit"
    place = (~masks["0"]).nonzero()[0]
    with torch.no_grad():
        model[0].weight[tuple(place)] = 0.5
    assert masks.check().revived == {"0": 1} and masks.check().lost == ()
    masks.reapply()
    assert masks.check().revived == {}
    model[1] = nn.Linear(2, 2)
    assert masks.check().lost == ("1",) and not masks.check()
    with pytest.raises(ValueError, match="no longer has the weights that were masked as 1"):
        masks.hold(torch.optim.SGD(model.parameters(), lr=0.1))


def test_a_merge_that_renames_layers_loses_nothing():
    class Wrapper(nn.Module):
        def __init__(self, layer):
            super().__init__()
            self.base_layer = layer

    model = eight()
    masks = prune_half(model)
    model[0] = Wrapper(model[0])
    assert masks.check() and sparsity_report(model, masks).pruned == 6
    model[0] = model[0].base_layer
    assert masks.check()


@pytest.mark.parametrize("look", ["report", "counts", "save", "shrink"])
def test_everybody_who_counts_says_that_weights_came_back(look, tmp_path):
    model = make("bert")
    pruner = MagnitudePruner(model, 0.5)
    masks = pruner.prune()
    name = next(iter(masks))
    with torch.no_grad():
        model.get_submodule(name).weight.fill_(1.0)
    removed = int((~masks[name]).sum())
    calls = {
        "report": lambda: sparsity_report(model, masks),
        "counts": pruner.get_sparsity,
        "save": lambda: save_pruned(model, tmp_path / "model"),
        "shrink": lambda: shrink(model, Removal(layers=[0])),
    }
    with pytest.warns(
        UserWarning, match=f"no longer fit it: {removed} pruned weights are not 0, for example in '{name}'"
    ):
        result = calls[look]()
    if look == "report":
        assert result.revived == removed and result.pruned == round(0.5 * result.masked) - removed
        assert result.per_layer[name] == 0.0


def test_a_weight_has_one_mask_until_it_is_undone_or_final():
    model = eight()
    first = prune_half(model)
    assert Masks.of(model) == [first]
    with pytest.raises(ValueError, match=r"Other masks prune '0' already; .*Masks\.of\(model\)"):
        prune_half(model)
    with pytest.raises(ValueError, match="Other masks prune"):
        MagnitudePruner(model, 0.7).prune()
    first.undo()
    assert Masks.of(model) == []
    second = prune_half(model)
    second.finalize()
    assert Masks.of(model) == []
    Masks.apply(model, {"0": torch.ones(2, 4, dtype=torch.bool)})  # prunes nothing, so it is no rival
    third = prune_half(model)
    assert Masks.of(model) == [third]


def test_masks_that_nobody_kept_are_still_known_but_keep_no_model_alive():
    model = eight()
    for share in (0.3, 0.5):
        if share == 0.5:
            with pytest.raises(ValueError, match="Other masks prune"):
                MagnitudePruner(model, share).prune()
        else:
            MagnitudePruner(model, share).prune()
    [masks] = Masks.of(model)
    assert masks.sparsity == pytest.approx(0.3, abs=0.05)
    seen = []
    model.register_forward_hook(lambda *_: seen.append(None))
    import weakref

    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_masks_of_a_part_and_of_the_whole_are_rivals():
    model = make("llama")
    Masks.apply(model.model, {"layers.0.mlp.up_proj": torch.zeros(24, 16, dtype=torch.bool)})
    with pytest.raises(ValueError, match="Other masks prune"):
        MagnitudePruner(model, 0.5).prune()
    assert len(Masks.of(model)) == 1


def test_masks_are_neither_copied_nor_pickled():
    masks = prune_half(eight())
    for make_copy in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=r"cannot be copied or pickled, .* use save\(\) and load\(\)"):
            make_copy(masks)


def test_two_names_of_one_parameter_have_one_mask():
    model = eight()
    model[1] = nn.Linear(4, 2, bias=False)
    model[1].weight = model[0].weight
    before = model[0].weight.detach().clone()
    keep = {"0": torch.tensor([[True] * 4, [False] * 4]), "1": torch.tensor([[False, True] * 2] * 2)}
    masks = Masks.apply(model, keep)
    assert torch.equal(masks["0"], keep["0"] & keep["1"]) and torch.equal(masks["1"], masks["0"])
    masks.undo()
    assert torch.equal(model[0].weight, before)


def test_different_parameters_that_share_memory_are_refused():
    model = eight()
    whole = torch.randn(4, 4)
    model[0].weight, model[1].weight = nn.Parameter(whole[:2]), nn.Parameter(whole[1:3, :2])
    with pytest.raises(ValueError, match="are different Parameters that share memory"):
        Masks(model, ["0", "1"])


def test_without_memory_there_is_no_undo():
    model = eight()
    masks = Masks.apply(model, {"0": torch.zeros(2, 4, dtype=torch.bool)}, remember=False)
    masks.restrict({"0": torch.zeros(2, 4, dtype=torch.bool)})
    with pytest.raises(RuntimeError, match="remember=False did not keep the removed values"):
        masks.undo()
    pruner = MagnitudePruner(eight(), 0.5, remember=False)
    pruner.prune()
    with pytest.raises(RuntimeError, match="remember=False"):
        pruner.undo()


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2, torch.float16, torch.bfloat16])
def test_small_floats_come_back_bit_for_bit(dtype):
    model = eight()
    with torch.no_grad():
        for layer in model:
            layer.weight = nn.Parameter(layer.weight.to(dtype), requires_grad=False)
    before = [layer.weight.view(torch.uint8).clone() for layer in model]
    masks = Masks.apply(model, {"0": torch.rand(2, 4) > 0.5})
    masks.restrict({"0": torch.rand(2, 4) > 0.5})
    assert (model[0].weight.float()[~masks["0"]] == 0).all()
    masks.undo()
    assert all(torch.equal(layer.weight.view(torch.uint8), bits) for layer, bits in zip(model, before, strict=True))


def test_saved_masks_take_a_bit_for_each_weight_and_shared_ones_can_be_saved(tmp_path):
    model = nn.Sequential(nn.Linear(256, 256), nn.Linear(256, 256))
    keep = (torch.rand(256, 256) > 0.5).t()  # not contiguous, and for both layers
    Masks.apply(model, {"0": keep, "1": keep}).save(str(tmp_path / "masks"))
    assert (tmp_path / "masks").stat().st_size < 2 * 256 * 256 / 8 + 1000
    other = nn.Sequential(nn.Linear(256, 256), nn.Linear(256, 256))
    loaded = Masks.load(tmp_path / "masks", other)
    assert torch.equal(loaded["0"], keep) and torch.equal(loaded["1"], keep)


def test_setting_other_masks_moves_the_hold(tmp_path):
    def start(model):
        return GradualPruner(model, 0.5, end_epoch=1, steps_per_epoch=10, prune_frequency=5)

    model = eight()
    pruner = start(model)
    pruner.step(10)
    pruner.masks.save(tmp_path / "masks")
    model = eight()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    pruner = start(model).hold(optimizer)
    pruner.masks = Masks.load(tmp_path / "masks", model)
    for _ in range(3):
        model(torch.rand(4, 4)).square().sum().backward()
        optimizer.step()
    assert pruner.masks.check() and pruner.masks.sparsity == 0.5


def test_masks_of_other_kinds_are_named():
    model = eight()
    with pytest.raises(TypeError, match=r"The mask of '0' is ndarray; masks are torch\.bool"):
        Masks.apply(model, {"0": torch.ones(2, 4).bool().numpy()})
    masks = Masks.apply(model, keep_per_tensor(magnitude({"0": model[0]}), 0.5))
    with pytest.raises(ValueError, match="There is no mask for '9'; the masks are for 0"):
        masks.restrict({"9": torch.ones(2, 4).bool()})
