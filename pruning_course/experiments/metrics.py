"""What a classifier is scored by: F1 at a threshold, and average precision, which needs none."""

import numpy as np
from sklearn.metrics import average_precision_score
from torch import Tensor
from torch.nn.functional import one_hot

from pruning_course.finetune.labels import compute_f1


def average_precision(logits: Tensor, labels: Tensor) -> float:
    """Return the mean over the labels of their average precision, for logits (n, k) and labels (n, k) or classes (n,).

    The average precision of a label is the mean, over the texts that have it, of the precision among the texts with at
    least that logit. It depends on the order of the texts alone. Labels that no text has are left out.
    """
    truth = (one_hot(labels.long(), logits.shape[1]) if labels.dim() == 1 else labels).numpy() > 0
    there = truth.any(axis=0)
    if labels.dim() == 1:
        logits = logits.float().log_softmax(-1)
    return float(np.mean(average_precision_score(truth[:, there], logits.float().numpy()[:, there], average=None)))


def score(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Return micro_f1, macro_f1 and average_precision; see `compute_f1` for the F1s.

    Raises ValueError if the labels do not fit the logits.
    """
    return compute_f1(logits, labels) | {"average_precision": average_precision(logits, labels)}
