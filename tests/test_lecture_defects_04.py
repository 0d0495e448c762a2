"""The lecture's claims about schedules, gradual pruning and Wanda that are wrong; see test_lecture_defects.py."""

import logging
import math

import pytest
import torch
from helpers.models import make
from torch import nn

from pruning_course import (
    GradualPruner,
    WandaPruner,
    get_pruner,
    input_norms,
    keep_per_row,
    keep_per_tensor,
    prunable_layers,
    sparsity_at,
)
from pruning_course.schedules import cubic, exponential

logging.getLogger("transformers").setLevel(logging.ERROR)


def speeds(schedule) -> tuple[float, float, float]:
    """What a schedule does in the first, the middle and the last tenth of the way."""
    return tuple(schedule(end / 10) - schedule((end - 1) / 10) for end in (1, 5, 10))


def test_S02_cubic_is_fastest_at_the_start():
    first, middle, last = speeds(lambda p: 1 - (1 - p) ** 3)  # called "slow, fast, slow"
    assert first > middle > last
    assert first > 0.27 and last < 0.0011
    assert speeds(cubic) == pytest.approx((first, middle, last))
    assert cubic(0.5) == 0.875
    smoothstep = speeds(lambda p: p * p * (3 - 2 * p))  # this would be slow, fast, slow
    assert smoothstep[1] > smoothstep[0] and smoothstep[1] > smoothstep[2]


def test_S03_exponential_is_fastest_at_the_start_and_the_lectures_never_arrives():
    def lecture(p):
        return 1 - math.exp(-5 * p)

    first, middle, last = speeds(lecture)  # called "slow start, increasingly fast"
    assert first > middle > last
    assert lecture(1) == pytest.approx(0.99326, abs=1e-5)
    assert round(lecture(1) * 0.5 * 100_000) == 49_663  # weights, of 50,000 that were asked for
    assert exponential(1) == 1
    assert sparsity_at(100, 0, 100, 0, 0.5, "exponential") == 0.5
    assert speeds(exponential)[0] > speeds(exponential)[1] > speeds(exponential)[2]


def test_S05_the_end_step_fires_and_start_and_end_mean_something():
    total_steps, frequency, target = 1000, 300, 0.5

    reached = 0.0
    for step in range(1, total_steps + 1):  # the lecture's step(): a modulus, and progress over all steps
        if step % frequency == 0:
            reached = target * cubic(step / total_steps)
    assert reached == pytest.approx(0.4995) and reached < target  # stopped at step 900 for good
    assert target * cubic(100 / total_steps) > 0  # pruning at step 100, whatever start_epoch says

    model = nn.Linear(100, 10)
    pruner = GradualPruner(
        model, target, start_epoch=2, end_epoch=10, steps_per_epoch=100, prune_frequency=frequency
    )  # 200 to 1000
    fired = [step for step in range(1, total_steps + 1) if pruner.step(step)]
    assert fired == [300, 600, 900, 1000]
    assert pruner.get_sparsity()["zero_params"] == 500


def test_S05_the_sparsity_is_counted_and_not_assumed():
    count, assumed, pruned = 37, 0.0, 0
    for step in range(1, 41):  # the lecture: prune a fraction of what is left, then write down the target as reached
        now = 0.5 * step / 40
        pruned += round((now - assumed) / (1 - assumed) * (count - pruned))
        assumed = now
    assert assumed == 0.5 and pruned != round(0.5 * count)

    pruner = GradualPruner(nn.Linear(37, 1), 0.5, schedule="linear", end_epoch=1, steps_per_epoch=40, prune_frequency=1)
    for step in range(1, 41):
        pruner.step(step)
        sparsity = pruner.get_sparsity()
        assert sparsity["zero_params"] == round(0.5 * step / 40 * count)
        assert sparsity["overall"] == pytest.approx(sparsity["zero_params"] / count)


def lecture_norm(inputs):
    """The lecture's norm of an input (batch, tokens, channels): over dimension 1, then the mean over the batch."""
    return inputs.norm(p=2, dim=1).mean(dim=0)


def test_S06_the_norm_is_over_all_tokens_and_not_a_mean_of_norms():
    inputs = torch.tensor([[[3.0, 5.0], [4.0, 0.0]], [[0.0, 5.0], [0.0, 0.0]]])  # (2, 2, 2)
    assert lecture_norm(inputs).tolist() == [2.5, 5.0]  # sequences of 5 and 0; of 5 and 5
    layer = nn.Linear(2, 1)
    ours = input_norms(layer, {"": layer}, [inputs], num_samples=2)[""] * 4**0.5  # without the division by 4 tokens
    assert ours.tolist() == pytest.approx([5.0, 50**0.5])  # the ratio is 1.41, not 2


def test_S06_padding_does_not_count():
    model = make("bert")
    layers = prunable_layers(model, "encoder")
    name = "bert.encoder.layer.0.intermediate.dense"
    ids = torch.tensor([[2, 5, 6, 3]])
    padded = torch.cat([ids, torch.zeros(1, 12, dtype=torch.long)], dim=1)
    inputs = []
    layers[name].register_forward_hook(lambda _, args, __: inputs.append(args[0]))
    with torch.no_grad():
        model(ids)
        model(padded, attention_mask=(padded > 0).long())
    assert not torch.allclose(lecture_norm(inputs[0]), lecture_norm(inputs[1]), rtol=0.3)
    without = input_norms(model, layers, [{"input_ids": ids, "attention_mask": torch.ones_like(ids)}], 1)
    with_padding = input_norms(model, layers, [{"input_ids": padded, "attention_mask": (padded > 0).long()}], 1)
    torch.testing.assert_close(with_padding[name], without[name], rtol=1e-6, atol=1e-6)


def test_S06_a_pooled_input_keeps_its_channels():
    torch.manual_seed(0)
    layer = nn.Linear(8, 4, bias=False)
    pooled = torch.randn(32, 8) * torch.arange(1, 9)  # (batch, channels)
    assert lecture_norm(pooled).dim() == 0  # one number for all channels
    weight = {"": layer.weight.detach().abs()}
    silently_magnitude = keep_per_row({"": weight[""] * lecture_norm(pooled)}, 0.5)[""]
    assert torch.equal(silently_magnitude, keep_per_row(weight, 0.5)[""])
    ours = WandaPruner(layer).calibrate([pooled], 32).prune()[""]
    assert not torch.equal(ours, silently_magnitude)


def test_S09_the_papers_group_is_the_output_row():
    torch.manual_seed(0)
    layer = nn.Linear(64, 16, bias=False)
    layer.weight.data *= torch.linspace(0.1, 1, 16)[:, None]  # some outputs have small weights
    data = torch.randn(50, 64)
    norms = input_norms(layer, {"": layer}, [data], 50)[""].float()
    scores = layer.weight.detach().abs() * norms
    by_tensor = scores > torch.quantile(scores, 0.5)  # the lecture's default
    assert by_tensor.sum(1).min() <= 4  # an output that is all but gone
    ours = WandaPruner(layer).calibrate([data], 50).prune()[""]
    assert ours.sum(1).tolist() == [32] * 16
    assert torch.equal(by_tensor, keep_per_tensor({"": scores}, 0.5)[""])


@pytest.mark.parametrize("sequential", [False, True])
def test_S10_fine_tuning_revives_nothing(sequential):
    def train(model, masks=None):
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        if masks:
            masks.hold(optimizer)
        for _ in range(5):
            optimizer.zero_grad()
            (model(data) - data[:, :3]).square().mean().backward()
            optimizer.step()

    data = torch.randn(20, 8)
    model = make("plain")
    model[0].weight.data *= model[0].weight.abs() > model[0].weight.abs().median()  # as the lecture, and no mask
    train(model)
    assert (model[0].weight == 0).sum() == 0  # a dense matrix again

    model = make("plain")
    masks = WandaPruner(model, sequential=sequential).calibrate([data], 20).prune()
    train(model, masks)
    assert all((model[int(name)].weight[~mask] == 0).all() and not mask.all() for name, mask in masks.items())


@pytest.mark.parametrize("missing", ["_initialize_masks", "_should_prune"])
def test_S25_the_lectures_gradual_and_wanda_cannot_run_and_ours_do(missing):
    class AsPrinted:  # GradualPruner and WandaPruner: no base class, and a call of a method that is nowhere
        def __init__(self, model):
            getattr(self, missing)

    with pytest.raises(AttributeError, match=missing):
        AsPrinted(make("plain"))

    gradual = get_pruner(make("plain"), "gradual", 0.5, end_epoch=1, steps_per_epoch=4, prune_frequency=3)
    for step in range(1, 5):
        gradual.step(step)
    assert gradual.get_sparsity()["zero_params"] == 33
    wanda = get_pruner(make("plain"), "wanda", 0.5)
    wanda.calibrate([torch.randn(4, 8)], 4).prune()
    assert wanda.get_sparsity()["zero_params"] == 33
