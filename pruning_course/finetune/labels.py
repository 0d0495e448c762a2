"""Labels that the F1 can score, and their F1."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

NEEDED = "(batch, labels) of 0 and 1 are needed, or whole numbers (batch,), one class each"


def find_fault(labels: Tensor, logits: torch.Size) -> str | None:
    """Return why F1 cannot score `labels` (batch, ...) of a model with logits of the shape `logits`, or None."""
    shape = tuple(labels.shape)
    is_whole = not (labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool)
    if labels.dim() not in (1, 2) or (labels.dim() == 1 and not is_whole):
        return f"the labels are {labels.dtype} {shape}; {NEEDED}"
    if len(logits) != 2:
        return f"the logits are {tuple(logits)}; (batch, labels) are needed"
    width = logits[1]
    if labels.dim() == 1:
        wrong = labels[(labels < 0) | (labels >= width)]
        allowed = f"the model has {width} class{'es' * (width != 1)}, numbered from 0"
    elif shape[1] != width:
        return f"the labels are {shape}, and the model has {width} logits a row"
    else:
        wrong = labels[(labels != 0) & (labels != 1)]  # NaN too
        allowed = "labels (batch, labels) must be 0 or 1"
    return f"there is the label {wrong[0].item():.7g}; {allowed}" if len(wrong) else None


def convert_labels(labels: Tensor) -> Tensor:
    """Return labels that F1 can score in a dtype that losses take: int64 (batch,), or floating (batch, labels)."""
    if labels.dim() == 1:
        return labels.long()
    return labels if labels.is_floating_point() else labels.float()


def compute_f1(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Return {"micro_f1", "macro_f1"} of logits (n, labels) for labels (n, labels) of 0 and 1, or classes (n,).

    A label is predicted if its probability is above 0.5, a class if its logit is the highest. The F1 of a label is
    2 hits / (predicted + true), or 0 if it is neither true nor predicted. The macro F1 is the mean over all labels of
    the model, and the micro F1 takes the hits and the counts of all labels together.

    Raises ValueError if the labels are neither, or do not fit the logits.

    >>> compute_f1(torch.tensor([[1.0, -1.0], [1.0, 1.0]]), torch.tensor([[1, 0], [0, 1]]))
    {'micro_f1': 0.8, 'macro_f1': 0.8333333333333333}
    """
    if fault := find_fault(labels, logits.shape):
        raise ValueError(f"F1 cannot score these labels: {fault}.")
    truth, predicted = labels.long(), (logits > 0).long()
    if labels.dim() == 1:
        truth, predicted = (one_hot(classes, logits.shape[1]) for classes in (truth, logits.argmax(-1)))
    hits, total = (predicted * truth).sum(0).double(), (predicted + truth).sum(0).double()
    micro, macro = 2 * hits.sum() / total.sum().clamp(min=1), (2 * hits / total.clamp(min=1)).mean()
    return {"micro_f1": micro.item(), "macro_f1": macro.item()}
