"""Training after pruning, and lottery tickets (notebooks 07 and 08)."""
# mypy: allow-untyped-defs

import copy

import torch

from pruning_course import keep_globally


def step_and_hold(optimizer, weight, keep):
    """Let the optimizer make its step, with every pruned weight (False in `keep`) at 0 afterwards; returns `weight`."""
    optimizer.step()
    with torch.no_grad():
        weight *= keep
    return weight


def best_weights(model, epochs, train, evaluate):
    """Train for `epochs`; return the model as it was after its best epoch (of equals the first)."""
    best, state = -1.0, None
    for epoch in range(epochs):
        train(model, epoch)
        f1 = evaluate(model)
        if f1 > best:
            best, state = f1, copy.deepcopy(model.state_dict())
    model.load_state_dict(state)
    return model


def winning_ticket(initial, trained, sparsity):
    """The weights that the training of the ticket starts from; `sparsity` of them are pruned, and 0."""
    keep = keep_globally({"w": trained.abs()}, sparsity)["w"]
    return initial * keep
