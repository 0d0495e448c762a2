"""Which labels the losses and the F1 can take, and where else they are refused."""

import torch
from torch import Tensor

KINDS = "(batch, labels) of 0 and 1 are needed, or whole numbers (batch,), one class each"


def fault_of(labels: Tensor, logits: torch.Size) -> str | None:
    """Why the F1 cannot score `labels` (batch, ...) of a model whose logits have the shape `logits`; None if it can."""
    shape = tuple(labels.shape)
    if labels.dim() not in (1, 2) or (labels.dim() == 1 and not _is_whole(labels)):
        return f"the labels are {labels.dtype} {shape}; {KINDS}"
    if len(logits) != 2:
        return f"the logits are {tuple(logits)}; (batch, labels) are needed"
    width = logits[1]
    if labels.dim() == 1:
        wrong = labels[(labels < 0) | (labels >= width)]
        says = f"the model has {width} class{'es' * (width != 1)}, numbered from 0"
    elif shape[1] != width:
        return f"the labels are {shape}, and the model has {width} logits a row"
    else:
        wrong = labels[(labels != 0) & (labels != 1)]  # NaN too
        says = "where a row has one for each class, it must be 0 or 1"
    if not len(wrong):
        return None
    number = wrong[0].item()
    return f"there is the label {f'{number:g}' if isinstance(number, float) else number}; {says}"


def as_scored(labels: Tensor) -> Tensor:
    """Labels that the F1 can score, in a dtype that the losses take: int64 (batch,), or floating (batch, labels)."""
    if labels.dim() == 1:
        return labels.long()
    return labels if labels.is_floating_point() else labels.float()


def _is_whole(labels: Tensor) -> bool:
    return not (labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool)
