"""Logits, losses and F1s of a model that is trained with labels."""

import inspect
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional

from pruning_course.finetune.batches import checked, parts


def outputs(model: nn.Module, batch: Mapping[str, Tensor], inner: nn.Module | None = None) -> tuple[Tensor, Tensor]:
    """Logits (batch, labels) and the mean loss of `model` on a batch.

    The loss is the model's own where its forward takes `labels` and gives one back, as in transformers. Else it is
    the binary cross-entropy of each label, or the cross-entropy if labels are int (batch,).

    `inner` is the module that `model` wraps: its forward says which tensors of the batch are wanted. TypeError if the
    model gives no logits.
    """
    takes = inspect.signature((inner or model).forward).parameters
    takes_any = any(parameter.kind == parameter.VAR_KEYWORD for parameter in takes.values())
    found = model(**{name: t for name, t in batch.items() if name in takes or (takes_any and name != "labels")})
    logits = found.get("logits") if isinstance(found, Mapping) else getattr(found, "logits", found)
    if not isinstance(logits, Tensor):
        raise TypeError(f"The model gives {type(found).__name__}; logits are needed: a tensor, or one of that name.")
    loss = found.get("loss") if isinstance(found, Mapping) else getattr(found, "loss", None)
    return logits, label_loss(logits, batch["labels"]) if loss is None else loss


def label_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy, the mean over texts and labels; cross-entropy for int labels (batch,)."""
    if labels.dim() == 1:
        return functional.cross_entropy(logits, labels)
    return functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))


def distillation(logits: Tensor, teacher_logits: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """How far the student is from the teacher's softened answers (Hinton et al. 2015, arXiv 1503.02531).

    T² · loss(student / T, p(teacher / T)), with the loss of `label_loss`: p is a sigmoid for each label, a softmax over
    classes. T² keeps its gradient as large as at T = 1. The whole loss is then
    (1 - teacher_weight) · loss(labels) + teacher_weight · this.
    """
    soft = teacher_logits / temperature
    if labels.dim() == 1:
        return temperature**2 * functional.cross_entropy(logits / temperature, soft.softmax(-1))
    return temperature**2 * functional.binary_cross_entropy_with_logits(logits / temperature, soft.sigmoid())


def f1_scores(
    model: nn.Module, batches: Iterable, accelerator: Accelerator, micro_tokens: int | None = None
) -> tuple[float, float]:
    """Micro and macro F1 of `model` on all batches, in eval mode; each process computes its rows and gets all of them.

    A label is predicted where its probability is above 0.5; a class where its logit is the highest. A label that is
    neither there nor predicted counts as 0 in the macro F1. ValueError without batches.
    """
    from sklearn.metrics import f1_score  # here: it takes a second to load

    model.eval()
    rows = []
    with torch.inference_mode():
        for raw in batches:
            whole = checked(raw)
            for part, share in parts(whole, micro_tokens, accelerator.process_index, accelerator.num_processes):
                part = {name: value.to(accelerator.device) for name, value in part.items()}
                logits, labels = outputs(model, part)[0], part["labels"]
                predicted = logits.argmax(-1) if labels.dim() == 1 else logits > 0
                rows += zip(predicted.tolist(), labels.tolist(), strict=True) if share else []
    rows = accelerator.gather_for_metrics(rows, use_gather_object=True)
    if not rows:
        raise ValueError("val_loader gave no batches; F1 needs some, and the same ones in each epoch.")
    predicted, truth = (np.array(column, dtype=int) for column in zip(*rows, strict=True))
    return tuple(float(f1_score(truth, predicted, average=a, zero_division=0)) for a in ("micro", "macro"))
