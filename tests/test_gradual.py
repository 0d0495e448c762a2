import copy

import pytest
import torch
from helpers.models import FAMILIES, make
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import Dataset
from transformers import Trainer, TrainingArguments

from pruning_course import GradualPruner, Masks, get_pruner, trainer_callback


def weights(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(7, 5), nn.Linear(5, 3))  # 50 weights


def train(model, pruner, steps, optimizer=None, after=lambda step: None):
    """`steps` optimizer steps on noise, `pruner.step` after each."""
    optimizer = optimizer or torch.optim.Adam(model.parameters(), lr=0.05, weight_decay=0.01)
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        model(torch.randn(4, 7)).square().sum().backward()
        optimizer.step()
        pruner.step(step)
        after(step)
    return optimizer


@settings(max_examples=40, deadline=None)
@given(
    schedule=st.sampled_from(["linear", "cubic", "exponential", "geometric"]),
    epochs=st.tuples(st.integers(0, 8), st.integers(0, 8)).map(sorted),
    steps_per_epoch=st.integers(1, 7),
    frequency=st.integers(1, 50),
    shares=st.tuples(st.floats(0, 0.95), st.floats(0, 0.95)).map(sorted),
    seed=st.integers(0, 3),
)
def test_the_target_is_reached_exactly_whatever_the_frequency(
    schedule, epochs, steps_per_epoch, frequency, shares, seed
):
    (start, end), (initial, target) = epochs, shares
    model = weights(seed)
    pruner = GradualPruner(
        model,
        target,
        schedule=schedule,
        start_epoch=start,
        end_epoch=end,
        steps_per_epoch=steps_per_epoch,
        prune_frequency=frequency,
        initial_sparsity=initial,
    )
    before = 0
    for step in range(1, end * steps_per_epoch + 3):
        with torch.no_grad():  # an optimizer step that revives everything
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape))
        old = {name: mask.clone() for name, mask in (pruner.masks or {}).items()}
        fired = pruner.step(step)
        pruned = pruner.get_sparsity()["zero_params"]
        if step < min(start * steps_per_epoch, end * steps_per_epoch):
            assert not fired and pruned == 0
        if not fired:
            assert pruned == before
        elif step < end * steps_per_epoch:
            assert step % frequency == 0
            assert pruned == max(before, round(pruner.sparsity_at(step) * 50))
        assert all(not (pruner.masks[name] & ~old[name]).any() for name in old)  # masks only grow
        assert all((pruner.layers[name].weight[~mask] == 0).all() for name, mask in (pruner.masks or {}).items())
        before = pruned
    assert before == round(target * 50)


def test_when_it_fires():
    pruner = GradualPruner(weights(), 0.5, start_epoch=1, end_epoch=4, steps_per_epoch=25, prune_frequency=30)
    assert [step for step in range(1, 130) if pruner.step(step)] == [30, 60, 90, 100]


def test_a_caller_who_jumps_over_the_end_still_gets_the_target():
    pruner = GradualPruner(weights(), 0.5, end_epoch=4, steps_per_epoch=25, prune_frequency=30)
    pruner.step(60)
    assert pruner.step(120)
    assert pruner.get_sparsity()["zero_params"] == 25
    assert not pruner.step(150)


def test_half_an_epoch():
    pruner = GradualPruner(weights(), 0.5, start_epoch=0.5, end_epoch=1.5, steps_per_epoch=10, prune_frequency=1)
    assert (pruner.start_step, pruner.end_step) == (5, 15)
    pruner = GradualPruner(weights(), 0.5, start_epoch=0.29, end_epoch=0.58, steps_per_epoch=100)
    assert (pruner.start_step, pruner.end_step) == (
        29,
        58,
    )  # times 100 they are 28.999999999999996 and 57.99999999999999


def test_locally_every_layer_loses_its_share():
    pruner = GradualPruner(weights(), 0.6, end_epoch=1, steps_per_epoch=4, prune_frequency=1, global_pruning=False)
    for step in range(1, 5):
        pruner.step(step)
        count = [round(pruner.sparsity_at(step) * 35) / 35, round(pruner.sparsity_at(step) * 15) / 15]
        assert list(pruner.get_sparsity()["per_layer"].values()) == pytest.approx(count)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family(family):
    pruner = get_pruner(
        make(family), "gradual", 0.6, prune_layers="encoder", end_epoch=1, steps_per_epoch=7, prune_frequency=3
    )
    for step in range(1, 8):
        pruner.step(step)
    sparsity = pruner.get_sparsity()
    assert sparsity["zero_params"] == round(0.6 * sparsity["total_params"])


@pytest.mark.parametrize("hold", [True, False])
def test_training_on_revives_nothing_and_momentum_is_forgotten_only_under_a_hold(hold):
    model = weights()
    pruner = GradualPruner(model, 0.6, end_epoch=1, steps_per_epoch=20, prune_frequency=5)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05, weight_decay=0.01)
    if hold:
        assert pruner.hold(optimizer) is pruner  # before anything is pruned
        assert pruner.get_sparsity()["overall"] == 0

    def zeros_are_zero(step):
        for name, mask in (pruner.masks or {}).items():
            assert (pruner.layers[name].weight[~mask] == 0).all()

    train(model, pruner, 30, optimizer, zeros_are_zero)
    assert pruner.get_sparsity()["zero_params"] == 30
    momentum = optimizer.state[model[0].weight]["exp_avg"][~pruner.masks["0"]]
    assert bool((momentum == 0).all()) == hold


def test_after_a_restart_the_masks_go_on_from_the_file(tmp_path):
    model = weights()
    options = {"end_epoch": 1, "steps_per_epoch": 20, "prune_frequency": 5}
    straight = GradualPruner(model, 0.6, **options)
    for step in range(1, 13):
        straight.step(step)
    straight.masks.save(tmp_path / "masks")
    again = copy.deepcopy(model)
    resumed = GradualPruner(again, 0.6, **options)
    resumed.masks = Masks.load(tmp_path / "masks", again)
    for step in range(13, 21):
        straight.step(step)
        resumed.step(step)
    assert all(torch.equal(mask, resumed.masks[name]) for name, mask in straight.masks.items())
    assert resumed.get_sparsity()["zero_params"] == 30


def test_prune_goes_to_the_target_at_once_and_undo_starts_again():
    model = weights()
    original = copy.deepcopy(model.state_dict())
    pruner = GradualPruner(model, 0.6, end_epoch=1, steps_per_epoch=20, prune_frequency=5)
    pruner.step(5)
    masks = pruner.prune()
    assert masks is pruner.masks and pruner.get_sparsity()["zero_params"] == 30
    for step in range(6, 25):
        pruner.step(step)
    assert pruner.get_sparsity()["zero_params"] == 30
    pruner.undo()
    assert all(torch.equal(original[name], tensor) for name, tensor in model.state_dict().items())
    pruner.step(20)
    assert pruner.get_sparsity()["zero_params"] == 30
    short = GradualPruner(weights(), 0.6, end_epoch=1, steps_per_epoch=1)
    assert short.step(1) and not short.step(1)
    short.undo()
    assert short.step(1) and short.get_sparsity()["zero_params"] == 30


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"end_epoch": 1, "start_epoch": 2}, "start_epoch is 2 and end_epoch is 1"),
        ({"start_epoch": -1}, "start_epoch is -1"),
        ({"prune_frequency": 0}, "prune_frequency is 0; it must be a whole number of at least 1"),
        ({"prune_frequency": 2.5}, "prune_frequency is 2.5"),
        ({"steps_per_epoch": 0}, "steps_per_epoch is 0"),
        ({"schedule": "cosine"}, "schedule is 'cosine'"),
        ({"initial_sparsity": 0.7}, "below the initial sparsity 0.7"),
        ({"target_sparsity": 1.0, "schedule": "geometric"}, "never gets there"),
        ({"global": True}, "gradual has no option global"),
    ],
)
def test_impossible_requests_are_refused_before_training(options, message):
    request = {"target_sparsity": 0.5, "steps_per_epoch": 10} | options
    with pytest.raises(ValueError, match=message):
        get_pruner(weights(), "gradual", request.pop("target_sparsity"), **request)


class Texts(Dataset):
    def __len__(self):
        return 16

    def __getitem__(self, index):
        ids = torch.randint(0, 64, (6,), generator=torch.Generator().manual_seed(index))
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": index % 3}


def trainer(model, folder, pruner, max_steps):
    arguments = TrainingArguments(
        str(folder),
        max_steps=max_steps,
        per_device_train_batch_size=2,
        gradient_accumulation_steps=2,
        report_to="none",
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
        learning_rate=1e-2,
    )
    return Trainer(model, arguments, train_dataset=Texts(), callbacks=[trainer_callback(pruner)])


def test_in_a_transformers_trainer(tmp_path, monkeypatch):
    model = make("bert")
    pruner = GradualPruner(model, 0.5, "encoder", end_epoch=1, steps_per_epoch=7, prune_frequency=3)
    steps = []
    step = pruner.step
    monkeypatch.setattr(pruner, "step", lambda number: steps.append((number, step(number))))
    trainer(model, tmp_path, pruner, max_steps=9).train()
    assert [number for number, _ in steps] == [
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        9,
    ]  # optimizer steps, not batches; and the end
    assert [number for number, pruned in steps if pruned] == [3, 6, 7]
    sparsity = pruner.get_sparsity()
    assert sparsity["zero_params"] == round(0.5 * sparsity["total_params"])
    assert all((pruner.layers[name].weight[~mask] == 0).all() for name, mask in pruner.masks.items())


def test_a_trainer_that_stops_before_the_end_of_the_schedule_says_so(tmp_path):
    model = make("bert")
    pruner = GradualPruner(model, 0.5, end_epoch=1, steps_per_epoch=50)
    with pytest.warns(UserWarning, match="2 steps and the schedule ends at step 50"):
        trainer(model, tmp_path, pruner, max_steps=2).train()
