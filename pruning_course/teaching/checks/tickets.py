"""Lottery tickets (notebook 08)."""

import torch
from torch import Tensor

from pruning_course.selection import keep_per_row
from pruning_course.teaching.checks.check import AS_FOUND, Case, Check, Mistake

INITIAL = torch.tensor([0.9, -0.1, 0.3, -0.4])
TRAINED = torch.tensor([0.2, -0.8, 0.1, 0.7])


def _kept(scores: Tensor, sparsity: float) -> Tensor:
    return keep_per_row({"": scores.abs()[None]}, sparsity)[""][0]


check_winning_ticket = Check(
    "winning_ticket",
    [
        Case("Four weights, 50%", (INITIAL, TRAINED, 0.5), torch.tensor([0.0, -0.1, 0.0, -0.4])),
        Case("25%", (INITIAL, TRAINED, 0.25), torch.tensor([0.9, -0.1, 0.0, -0.4])),
        Case("0%", (INITIAL, TRAINED, 0.0), INITIAL),
    ],
    [
        Mistake(
            lambda initial, trained, sparsity: trained * _kept(trained, sparsity),
            AS_FOUND,
            "That is a pruned network. Where does a *ticket* start to train from?",
        ),
        Mistake(
            lambda initial, trained, sparsity: initial * _kept(initial, sparsity),
            "The mask was chosen before training, from the first values.",
            "Rank by the trained weights.",
        ),
        Mistake(
            lambda initial, trained, sparsity: torch.where(_kept(trained, sparsity), initial, trained),
            "The weights that were not drawn must be 0.",
        ),
        Mistake(
            lambda initial, trained, sparsity: initial.abs().mean() * trained.sign() * _kept(trained, sparsity),
            "Those are new values with the trained signs; the ticket needs its own first values.",
        ),
    ],
    "The mask comes from `trained`, the values come from `initial`.",
)
