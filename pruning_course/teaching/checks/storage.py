"""What a masked layer holds, and what is stored of it (notebook 01)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from pruning_course.teaching.checks.check import AS_FOUND, Answer, Case, Check, Mistake
from pruning_course.teaching.checks.masks import mask


def _masked_layer(weights: Sequence[float], steps: Sequence[float]) -> nn.Linear:
    """One output, masked at 50% by torch, whose trained parameter an optimizer has moved by `steps` since."""
    layer = nn.Linear(len(weights), 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([weights]))
        layer.bias.fill_(0.5)
    prune.l1_unstructured(layer, "weight", amount=0.5)
    with torch.no_grad():
        layer.get_parameter("weight_orig").add_(torch.tensor([steps]))
    return layer


LAYERS = {
    "A layer after a training step": ([0.5, -0.02, 0.3, 0.01], [0.1, 0.1, -0.1, 0.1]),
    "A layer that has not been trained": ([1.0, 2.0, -3.0, 4.0], [0.0, 0.0, 0.0, 0.0]),
}
NOW = (torch.tensor([[0.6, 0.0, 0.2, 0.0]]), torch.tensor([[0.0, 0.0, -3.0, 4.0]]))


def _on_layer(function: Answer, weights: Sequence[float], steps: Sequence[float]) -> object:
    return function(_masked_layer(weights, steps))


check_current_weight = Check(
    "current_weight",
    [Case(told, given, now) for (told, given), now in zip(LAYERS.items(), NOW, strict=True)],
    [
        Mistake(
            lambda layer: layer.weight.detach(),
            AS_FOUND,
            "`weight` is a product that was computed before the step. What was it computed from?",
        ),
        Mistake(
            lambda layer: layer.weight_orig.detach(),
            "That is what is trained, without the mask.",
            "`weight_mask` says which of them count.",
        ),
        Mistake(lambda layer: layer.weight_mask, "That is the mask itself."),
    ],
    "A masked layer has `weight_orig`, `weight_mask` and `weight`. Which of them are up to date?",
    _on_layer,
)

check_state_to_save = Check(
    "state_to_save",
    [
        Case(told, given, {"weight": now, "bias": torch.tensor([0.5])})
        for (told, given), now in zip(LAYERS.items(), NOW, strict=True)
    ],
    [
        Mistake(lambda layer: layer.state_dict(), AS_FOUND, "Which names does a plain nn.Linear look for in a file?"),
        Mistake(
            lambda layer: {"weight": layer.weight_orig.detach(), "bias": layer.bias.detach()},
            "The pruned weights are back: that is the unmasked parameter.",
            "Multiply by the mask.",
        ),
        Mistake(
            lambda layer: {"weight": layer.weight.detach(), "bias": layer.bias.detach()},
            "`weight` is one training step behind.",
            "The exercise before this one has the cure.",
        ),
        Mistake(lambda layer: {"weight": layer.weight_orig.detach() * layer.weight_mask}, "The bias is lost."),
    ],
    "Return a dict with the two names that a plain nn.Linear has.",
    _on_layer,
)


def _bytes(
    keep: Tensor, dense: int | None = None, column: int = 4, starts: bool = True, shrunk: int | None = None
) -> tuple[int, int, int]:
    rows, columns = keep.shape
    csr = int(keep.sum()) * (4 + column) + (rows + 1) * 4 * starts
    left = 4 * int(keep.any(1).sum()) * int(keep.any(0).sum())
    return 4 * rows * columns if dense is None else dense, csr, left if shrunk is None else shrunk


check_bytes_on_disk = Check(
    "bytes_on_disk",
    [
        Case("Nothing pruned, 2 x 4", (mask([1, 1, 1, 1], [1, 1, 1, 1]),), (32, 76, 32)),
        Case("Half pruned, scattered", (mask([1, 0, 1, 0], [0, 1, 0, 1]),), (32, 44, 32)),
        Case("Half pruned, a whole row", (mask([1, 1, 1, 1], [0, 0, 0, 0]),), (32, 44, 16)),
        Case("Half pruned, two whole columns", (mask([1, 0, 0, 1], [1, 0, 0, 1]),), (32, 44, 16)),
        Case("All pruned", (mask([0, 0, 0, 0], [0, 0, 0, 0]),), (32, 12, 0)),
    ],
    [
        Mistake(
            lambda keep: _bytes(keep, dense=4 * int(keep.sum())),
            "A dense file stores its zeros: pruning changes nothing there.",
        ),
        Mistake(
            lambda keep: _bytes(keep, column=0),
            "CSR must also say in which column each value stands: 4 more bytes a value.",
        ),
        Mistake(
            lambda keep: _bytes(keep, starts=False),
            "CSR also stores where each row begins, and where the last one ends: rows + 1 numbers of 4 bytes.",
        ),
        Mistake(
            lambda keep: _bytes(keep, shrunk=4 * int(keep.sum())),
            "Shrinking takes out whole rows and columns. A scattered zero stays in the matrix.",
            "`keep.any(1)` says which rows still have something.",
        ),
        Mistake(
            lambda keep: _bytes(keep, shrunk=4 * keep.shape[1] * int(keep.any(1).sum())),
            "Rows that are empty are cut; so are empty columns.",
            "`keep.any(0)` says which columns still have something.",
        ),
    ],
    "Count numbers first, then multiply by 4: each value and each index has 4 bytes.",
)
