import copy
import json

import pytest
import torch
from helpers.models import make
from torch import nn

from pruning_course import Masks, find_ticket, keep_globally, prunable_layers, rewind, shuffled
from pruning_course.scores import magnitude


def make_model(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(8, 10), nn.BatchNorm1d(10), nn.ReLU(), nn.Linear(10, 3))


class Trainer:
    """A `train` that writes down how it was called and with which weights, and can be killed in its n-th call."""

    def __init__(self, killed_in=None, hold=True):
        self.calls, self.begun, self.ended, self.keep = [], [], [], []
        self.killed_in, self.hold = killed_in, hold

    def __call__(self, model, masks, first, last):
        self.calls.append((first, last))
        self.begun.append(bits(model))
        self.keep.append(dict(masks))
        if len(self.calls) == self.killed_in:
            raise KeyboardInterrupt
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
        if self.hold:
            masks.hold(optimizer)
        for step in range(first, last):
            x = torch.randn(16, 8, generator=torch.Generator().manual_seed(step))
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), x[:, :3].argmax(1)).backward()
            optimizer.step()
        self.ended.append(copy.deepcopy(model))
        return {"loss": float(model[0].weight.detach().sum()), "steps": (first, last)}


def bits(model):
    """Floats compared as integers, so that -0.0 is not 0.0."""
    return {name: value.flatten().clone().view(torch.uint8) for name, value in model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def pruned(state, keep):
    """The bits of a state with the weights outside `keep` at 0.0, made without the library."""
    model = make_model()
    model.load_state_dict(state)
    for name, mask in keep.items():
        weight = model.get_submodule(name).weight.data
        weight.copy_(torch.where(mask, weight, torch.zeros(())))
    return bits(model)


def test_the_survivors_of_every_round_start_at_the_original_bit_for_bit():
    train = Trainer()
    found = find_ticket(make_model, train, steps=5, rounds=3, share=0.3)
    assert train.calls == [(0, 5)] * 4
    original = make_model().state_dict()
    for number, one in enumerate(found):
        assert one.number == number
        assert same(train.begun[number], pruned(original, one.keep))
        assert same(train.keep[number], one.keep)


def test_rewind_gives_back_weights_buffers_and_masks():
    found = find_ticket(make_model, Trainer(), steps=3, rounds=1)[1]
    model = make_model(seed=9)
    model[1].running_mean += 1
    masks = rewind(model, found.start, found.keep)
    assert isinstance(masks, Masks) and masks.sparsity == found.sparsity
    assert same(bits(model), pruned(make_model().state_dict(), found.keep))


def test_each_round_takes_the_smallest_of_the_survivors_globally():
    train = Trainer()
    found = find_ticket(make_model, train, steps=5, rounds=3, share=0.3)
    assert found[0].sparsity == 0
    for before, after, model in zip(found, found[1:], train.ended, strict=False):
        weights = torch.cat([model[0].weight.flatten(), model[3].weight.flatten()]).abs()
        had = torch.cat([before.keep["0"].flatten(), before.keep["3"].flatten()])
        has = torch.cat([after.keep["0"].flatten(), after.keep["3"].flatten()])
        assert not (has & ~had).any()
        assert weights[has].min() > weights[had & ~has].max()


def test_the_counts_are_exact_in_every_round():
    found = find_ticket(make_model, Trainer(), steps=1, rounds=4, share=0.2)
    kept = [sum(int(mask.sum()) for mask in one.keep.values()) for one in found]
    assert kept == [110, 88, 70, 56, 45]  # 110 weights, times 0.8 each time, rounded
    assert [one.sparsity for one in found] == pytest.approx([1 - k / 110 for k in kept])
    by_default = find_ticket(make_model, Trainer(), steps=1, rounds=1)[1]
    assert by_default.sparsity == pytest.approx(0.2)


def test_rewinding_to_a_later_step():
    train = Trainer()
    found = find_ticket(make_model, train, steps=6, rounds=2, share=0.5, rewind_step=2)
    assert train.calls == [(0, 2), (2, 6), (2, 6), (2, 6)]
    at_two = train.ended[0]
    assert not same(bits(at_two), bits(make_model()))
    assert at_two[1].num_batches_tracked == 2
    for number, one in enumerate(found):
        assert same(train.begun[number + 1], pruned(at_two.state_dict(), one.keep))
        assert train.begun[number + 1]["1.running_mean"].any()


def test_a_killed_run_goes_on_and_repeats_nothing(tmp_path):
    whole = find_ticket(make_model, Trainer(), steps=4, rounds=3, rewind_step=1)
    killed = Trainer(killed_in=4)
    with pytest.raises(KeyboardInterrupt):
        find_ticket(make_model, killed, steps=4, rounds=3, rewind_step=1, folder=tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        *("settings.json", "start.safetensors", "round-00.safetensors", "round-01.safetensors"),
    }
    train = Trainer()
    found = find_ticket(make_model, train, steps=4, rounds=3, rewind_step=1, folder=tmp_path / "run")
    assert train.calls == [(1, 4), (1, 4)]  # the round that was killed, and the one after it
    for one, other in zip(found, whole, strict=True):
        assert same(one.keep, other.keep) and same(one.start, other.start)
        assert one.result == other.result and type(one.result["steps"]) is type(other.result["steps"])

    train = Trainer()
    more = find_ticket(make_model, train, steps=4, rounds=4, rewind_step=1, folder=tmp_path / "run")
    assert train.calls == [(1, 4)] and len(more) == 5
    train = Trainer()
    assert len(find_ticket(make_model, train, steps=4, rounds=1, rewind_step=1, folder=tmp_path / "run")) == 2
    assert train.calls == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"share": 0.3}, "share"),
        ({"steps": 3}, "steps"),
        ({"rewind_step": 1}, "rewind_step"),
        ({"settings": {"lr": 0.2}}, "settings"),
        ({"make_model": lambda: make_model(seed=1)}, "initial weights"),
    ],
)
def test_a_folder_of_another_run_is_refused(tmp_path, change, named):
    request = dict(make_model=make_model, steps=2, rounds=1, folder=tmp_path, settings={"lr": 0.1})
    find_ticket(train=Trainer(), **request)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    train = Trainer()
    with pytest.raises(ValueError, match=rf"another run: its {named} differ"):
        find_ticket(train=train, **(request | change))
    assert train.calls == []
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert json.loads(before["settings.json"])["settings"] == {"lr": 0.1}


def test_a_damaged_round_is_refused(tmp_path):
    find_ticket(make_model, Trainer(), steps=1, rounds=1, folder=tmp_path)
    path = tmp_path / "round-01.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ValueError, match=r"round-01.safetensors is not a valid record .* delete it"):
        find_ticket(make_model, Trainer(), steps=1, rounds=1, folder=tmp_path)


def test_a_train_that_forgets_the_masks_is_an_error():
    with pytest.raises(ValueError, match=r"changed pruned weights of 0; it must call masks.hold"):
        find_ticket(make_model, Trainer(hold=False), steps=2, rounds=1)


@pytest.mark.parametrize(
    "wrong", [{"share": 0}, {"share": 1}, {"rounds": -1}, {"rewind_step": 3}, {"rewind_step": -1}, {"steps": 0}]
)
def test_numbers_out_of_range(wrong):
    train = Trainer()
    with pytest.raises(ValueError, match="are needed"):
        find_ticket(make_model, train, **({"steps": 3, "rounds": 1} | wrong))
    assert train.calls == []


def test_a_dead_network_is_an_error():
    with pytest.raises(ValueError, match="In round 3 no weight is left"):
        find_ticket(make_model, Trainer(), steps=1, rounds=5, share=0.9)


def test_shuffled_masks_keep_the_share_of_each_layer():
    keep = keep_globally(magnitude(prunable_layers(make_model())), 0.6)
    control = shuffled(keep, seed=1)
    assert {name: int(mask.sum()) for name, mask in control.items()} == {
        name: int(mask.sum()) for name, mask in keep.items()
    }
    assert all(control[name].shape == keep[name].shape and control[name].dtype == torch.bool for name in keep)
    assert not same(control, keep)
    assert same(control, shuffled(keep, seed=1)) and not same(control, shuffled(keep, seed=2))


def test_shuffled_masks_are_spread_evenly():
    """20,000 draws: each of 6 places is kept in about a third of them (4 standard deviations are 0.014)."""
    keep = {"a": torch.tensor([[True, True, False], [False, False, False]])}
    mean = torch.stack([shuffled(keep, seed)["a"] for seed in range(20_000)]).float().mean(0)
    assert torch.allclose(mean, torch.full((2, 3), 1 / 3), atol=0.014)


def test_tied_weights_and_conv1d_survive_the_folder(tmp_path):
    begun = []

    def train(model, masks, first, last):
        begun.append(bits(model))

    request = dict(steps=2, rounds=1, share=0.5, prune_layers="ffn", folder=tmp_path)
    first = find_ticket(lambda: make("gpt2"), train, **request)
    again = find_ticket(lambda: make("gpt2"), train, **request)
    assert len(begun) == 2 and same(first[1].keep, again[1].keep)
    assert list(first[1].keep) == list(prunable_layers(make("gpt2"), "ffn"))
    model = make("gpt2", seed=1)
    rewind(model, again[1].start, again[1].keep)
    assert same(bits(model), begun[1])
    assert model.lm_head.weight is model.transformer.wte.weight
