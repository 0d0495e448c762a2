"""The lecture's claims about fine-tuning that are wrong; see test_lecture_defects.py."""

import copy
from functools import lru_cache

import pytest
import torch
from helpers.training import batched, net
from sklearn.metrics import f1_score
from torch import nn

from pruning_course import FineTuneConfig, Masks, fine_tune_after_pruning, keep_globally, prunable_layers
from pruning_course.scores import magnitude


def lectures_zero_pruned_gradients(model):
    """The lecture's: no gradient for any number that happens to be 0."""
    for parameter in model.parameters():
        parameter.grad *= parameter.detach() != 0


def pruned(model, sparsity):
    return Masks.apply(model, keep_globally(magnitude(prunable_layers(model)), sparsity))


def micro_f1(model, batches):
    with torch.no_grad():
        predicted = torch.cat([model(batch["x"])["logits"] > 0 for batch in batches])
    return f1_score(torch.cat([batch["labels"] for batch in batches]), predicted, average="micro")


@pytest.mark.parametrize("kind", ["Adam", "AdamW", "SGD"])
def test_S12_a_gradient_of_zero_does_not_hold_a_weight(kind):
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.data = torch.tensor([[1.0, 0.1]])
    momentum = {"momentum": 0.9} if kind == "SGD" else {}
    optimizer = getattr(torch.optim, kind)(layer.parameters(), lr=0.01, **momentum)

    def step():
        optimizer.zero_grad()
        layer(torch.tensor([[1.0, 1.0]])).square().sum().backward()
        lectures_zero_pruned_gradients(layer)
        optimizer.step()

    step()  # before the pruning: the optimizer has a momentum from here on
    masks = Masks.apply(layer, {"": torch.tensor([[True, False]])})
    step()
    assert layer.weight[0, 1] != 0  # it is back
    came_back = layer.weight[0, 1].item()
    step()
    assert layer.weight[0, 1] != came_back  # and now that it is not 0, it even gets a gradient

    masks.reapply()
    masks.hold(optimizer)
    for _ in range(5):
        step()
        assert layer.weight[0, 1] == 0


def test_S12_what_happens_to_be_zero_is_not_frozen():
    model = net()
    assert (model.head.bias == 0).all()  # as BERT's biases at the start
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for batch in batched(64):
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(model(batch["x"])["logits"], batch["labels"]).backward()
        lectures_zero_pruned_gradients(model)
        optimizer.step()
    assert (model.head.bias == 0).all()  # frozen for ever

    model = net()
    fine_tune_after_pruning(model, batched(64), batched(16), pruned(model, 0.5), FineTuneConfig(1))
    assert (model.head.bias != 0).all()


def test_S13_the_best_weights_are_kept_and_not_the_last():
    parts, config = (batched(64), batched(64, seed=2)), FineTuneConfig(fine_tune_epochs=6, lr=3.0, seed=1)
    model, select = net(), batched(64, seed=1)
    history = fine_tune_after_pruning(model, *parts, pruned(model, 0.5), config, select_loader=select)
    last, best = history.select_f1[-1], max(history.select_f1)
    assert last < best  # the lecture prints `best` and returns the model of `last`
    assert micro_f1(model, select) == best == history.select_f1[history.best_epoch]


def trained_net(seed=0):
    """A dense net that has learned its task; its rate rose to 0.03 and fell to 0, in ten epochs."""
    return copy.deepcopy(_trained_net(seed))


@lru_cache
def _trained_net(seed):
    model = net(seed=seed)
    original = FineTuneConfig(10, lr=0.03, decay=True, lr_factor=1.0, seed=seed)
    fine_tune_after_pruning(model, batched(512), batched(64, seed=1), None, original)
    return model


def test_S19_damage_and_recovery_are_measured_on_validation():
    validation = batched(256, seed=1)
    model = trained_net()
    dense = micro_f1(model, validation)
    masks = pruned(model, 0.9)
    damaged = micro_f1(model, validation)
    config = FineTuneConfig(3, lr=0.03, decay=True, lr_factor=1.0)
    history = fine_tune_after_pruning(model, batched(512), validation, masks, config)
    recovered = micro_f1(model, validation)
    assert recovered == history.micro_f1[-1]
    assert dense > damaged + 0.03 and recovered > damaged + 0.03  # measured, and not 70, 60 and 67


def test_S28_a_tenth_of_the_rate_is_the_weaker_recipe_here():
    """The higher peak moves a pruned model further in one short epoch; whether the rate decays is not the point."""
    validation = batched(256, seed=1)
    for seed in range(3):
        after = {}
        for name, factor, decay in (("tenth", 0.1, False), ("full", 1.0, False), ("squeezed", 1.0, True)):
            model = trained_net(seed)
            config = FineTuneConfig(1, lr=0.03, lr_factor=factor, decay=decay, seed=seed)
            history = fine_tune_after_pruning(model, batched(512), validation, pruned(model, 0.9), config)
            after[name] = history.micro_f1[-1]
        assert min(after["full"], after["squeezed"]) > after["tenth"] + 0.005


def test_S28_a_short_rewinding_has_a_lower_rate_than_a_tenth():
    """Renda and others repeat the last part of the original schedule; of 16 steps of 384 that is nearly nothing."""
    rewound = FineTuneConfig(1, lr=1.0, rewind_lr=True, original_epochs=384 / 16)
    assert max(rewound.rate_at(step / 16) for step in range(17)) < 0.1
