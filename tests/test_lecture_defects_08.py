"""The lecture's claim about lottery tickets that is wrong; see test_lecture_defects.py."""

from pathlib import Path

import torch
from torch import nn

from pruning_course import MagnitudePruner, find_ticket, prunable_layers, rewind, shuffled, tickets

PACKAGE = Path(tickets.__file__).parent


def make_model(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 4))


def train(model, masks, first, last):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    masks.hold(optimizer)
    x = torch.randn(64, 12, generator=torch.Generator().manual_seed(1))
    for _ in range(first, last):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), x[:, :4].argmax(1)).backward()
        optimizer.step()


def weights(model):
    return {name: layer.weight.detach() for name, layer in prunable_layers(model).items()}


def test_S21_a_ticket_is_a_mask_and_the_original_initialisation_and_needs_a_control():
    original = weights(make_model())
    _, found = find_ticket(make_model, train, steps=20, rounds=1, share=0.5)

    model = make_model()  # the lecture's picture: train, take half away, "similar accuracy"
    train(model, rewind(model, found.start, {name: torch.ones_like(w).bool() for name, w in original.items()}), 0, 20)
    masks = MagnitudePruner(model, 0.5).prune()
    assert all(torch.equal(masks[name], found.keep[name]) for name in masks)  # the same mask ...
    moved = [weights(model)[name][keep] != original[name][keep] for name, keep in masks.items()]
    assert torch.cat(moved).float().mean() > 0.9  # ... but the weights are trained ones: this is no ticket

    ticket = make_model(seed=7)
    rewind(ticket, found.start, found.keep)
    for name, keep in found.keep.items():
        assert torch.equal(weights(ticket)[name][keep], original[name][keep])
        # Two controls: other weights in the same mask, and other places with the same weights.
        assert (weights(make_model(seed=7))[name][keep] != original[name][keep]).all()
        control = shuffled(found.keep, seed=0)[name]
        assert control.sum() == keep.sum() and not torch.equal(control, keep)


def test_S21_the_authors_are_frankle_and_carbin():
    texts = {path: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    assert "Frankle and Carbin 2019 (arXiv 1803.03635)" in tickets.__doc__
    assert not [path for path, text in texts.items() if "Carlin" in text]
