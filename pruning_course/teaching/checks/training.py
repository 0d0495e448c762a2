"""Training after pruning (notebook 07)."""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from pruning_course.teaching.checks.check import AS_FOUND, Answer, Case, Check, Mistake, WrongKind
from pruning_course.teaching.checks.masks import mask

KEEP = mask([1, 0, 1, 1])


def _train(step: Answer, name: str) -> dict[str, bool] | None:
    """Three steps dense, then pruning, then three steps with the learner's `step`: what became of the weights.

    The third weight is kept, and happens to be exactly 0 when training goes on.
    """
    weight = nn.Parameter(torch.tensor([0.8, 0.1, 0.5, -0.6]))
    optimizers: dict[str, Callable[[], Optimizer]] = {
        "Adam": lambda: torch.optim.Adam([weight], lr=0.1),
        "SGD without momentum": lambda: torch.optim.SGD([weight], lr=0.1),
    }
    optimizer = optimizers[name]()

    def gradient() -> None:
        weight.grad = torch.tensor([1.0, -1.0, -1.0, 1.0])

    for _ in range(3):
        gradient()
        optimizer.step()
    with torch.no_grad():
        weight.mul_(KEEP)
        weight[2] = 0
    for _ in range(3):
        gradient()
        answer = step(optimizer, weight, KEEP.clone())
        if answer is None:
            return None
    if not isinstance(answer, torch.Tensor) or answer.shape != weight.shape:
        raise WrongKind("it should return `weight`, a tensor.")
    return {
        "the pruned weight stays 0": bool(answer[1] == 0),
        "a kept weight that is 0 may train": bool(answer[2] != 0),
        "the other weights train": bool(answer[0] < 0.3 and answer[3] < -1.1),
    }


def _without_gradient(optimizer: Optimizer, weight: Tensor, keep: Tensor) -> Tensor:
    assert weight.grad is not None
    weight.grad *= keep
    optimizer.step()
    return weight


def _by_zeros(optimizer: Optimizer, weight: Tensor, keep: Tensor) -> Tensor:
    zero = weight == 0
    optimizer.step()
    with torch.no_grad():
        weight[zero] = 0
    return weight


def _before(optimizer: Optimizer, weight: Tensor, keep: Tensor) -> Tensor:
    with torch.no_grad():
        weight *= keep
    optimizer.step()
    return weight


def _as_the_lecture(optimizer: Optimizer, weight: Tensor, keep: Tensor) -> Tensor:
    assert weight.grad is not None
    weight.grad *= weight != 0
    optimizer.step()
    return weight


check_step_and_hold = Check(
    "step_and_hold",
    [
        Case(
            f"Three more steps of {name} after pruning",
            (name,),
            {
                "the pruned weight stays 0": True,
                "a kept weight that is 0 may train": True,
                "the other weights train": True,
            },
        )
        for name in ("Adam", "SGD without momentum")
    ],
    [
        Mistake(
            _as_the_lecture,
            AS_FOUND,
            "Two things are wrong. Does Adam stand still without a gradient? And is every weight that is 0 pruned?",
        ),
        Mistake(
            _without_gradient,
            "Without a gradient Adam still moves the weight: its momentum is from before.",
            "Apply the mask to the weight, after the step.",
        ),
        Mistake(
            _by_zeros,
            "A weight that happens to be 0 is frozen for ever, though nobody pruned it.",
            "`keep` says what is pruned; zeros do not.",
        ),
        Mistake(_before, "The mask comes before the step, so the step has the last word.", "Step first."),
    ],
    "Let the optimizer step, then multiply the weight by `keep` under `torch.no_grad()`.",
    _train,
)


Train = Callable[[nn.Module, int], object]
Evaluate = Callable[[nn.Module], float]


def _epochs(function: Answer, f1: Sequence[float]) -> str | None:
    """The epoch whose weights come back: training writes the number of the epoch into the only weight."""
    model = nn.Linear(1, 1)

    def train(model: nn.Linear, epoch: int) -> None:
        with torch.no_grad():
            model.weight.fill_(epoch)

    answer = function(model, len(f1), train, lambda model: f1[int(model.weight)])
    if answer is None:
        return None
    if not isinstance(answer, nn.Linear):
        raise WrongKind("it should return the model.")
    return f"the weights of epoch {int(answer.weight)}"


def _best(better: Callable[[float, float], bool]) -> Answer:
    def answer(model: nn.Module, epochs: int, train: Train, evaluate: Evaluate) -> nn.Module:
        best, state = None, {}
        for epoch in range(epochs):
            train(model, epoch)
            f1 = evaluate(model)
            if best is None or better(f1, best):
                best, state = f1, copy.deepcopy(model.state_dict())
        model.load_state_dict(state)
        return model

    return answer


def _from_zero(model: nn.Module, epochs: int, train: Train, evaluate: Evaluate) -> nn.Module:
    best, state = 0.0, None
    for epoch in range(epochs):
        train(model, epoch)
        if evaluate(model) > best:
            best, state = evaluate(model), copy.deepcopy(model.state_dict())
    model.load_state_dict(state)  # type: ignore[arg-type]  # None if no F1 is above 0: that is the mistake
    return model


check_best_weights = Check(
    "best_weights",
    [
        Case("F1 of 0.5, 0.8, 0.6", ([0.5, 0.8, 0.6],), "the weights of epoch 1"),
        Case("F1 that rises to the end", ([0.5, 0.6, 0.7],), "the weights of epoch 2"),
        Case("Two equal epochs", ([0.4, 0.8, 0.8],), "the weights of epoch 1"),
        Case("F1 of 0 in every epoch", ([0.0, 0.0],), "the weights of epoch 0"),
    ],
    [
        Mistake(
            _best(lambda new, old: True),
            AS_FOUND,
            "The best F1 is noted, the best weights are not. (`state_dict()` alone is a view: later epochs change it.)",
        ),
        Mistake(
            _best(lambda new, old: new >= old),
            "Of two equal epochs the later one came back; the first was asked for.",
            "`>` instead of `>=`.",
        ),
        Mistake(_best(lambda new, old: new < old), "That is the worst epoch."),
        Mistake(
            _from_zero,
            "If no epoch is better than 0, nothing was stored.",
            "Start with a best F1 that every epoch beats, such as -1.",
        ),
    ],
    "Keep a deep copy of `model.state_dict()` whenever the F1 is better, and load it at the end.",
    _epochs,
)
