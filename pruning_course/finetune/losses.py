"""Logits and losses of a batch."""

import inspect
from collections.abc import Callable, Mapping

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

Loss = Callable[[Tensor, Tensor], Tensor]  # logits and labels -> the mean over the rows, one number


def run_forward(
    model: nn.Module, batch: Mapping[str, Tensor], inner: nn.Module | None = None, with_labels: bool = True
) -> tuple[Tensor, Tensor | None]:
    """Return the logits (batch, ...) of `model`, and its own loss if it takes `labels` and computes one.

    `inner` is the module that `model` wraps, whose forward says which tensors of the batch it takes. Without
    `with_labels` the labels are left out, unless forward cannot do without them.

    Raises TypeError if the model returns no logits.
    """
    plain = model if inner is None else inner
    plain = getattr(plain, "_orig_mod", plain)  # what torch.compile has wrapped
    plain = plain.module if isinstance(plain, nn.DataParallel | DistributedDataParallel) else plain
    parameters = inspect.signature(plain.forward).parameters
    takes_any = any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters.values())
    inputs = {name: t for name, t in batch.items() if name in parameters or (takes_any and name != "labels")}
    if not with_labels and "labels" in inputs and parameters["labels"].default is not inspect.Parameter.empty:
        del inputs["labels"]
    output = model(**inputs)
    if not isinstance(output, Mapping):
        output = {"logits": getattr(output, "logits", output), "loss": getattr(output, "loss", None)}
    logits = output.get("logits")
    if not isinstance(logits, Tensor):
        kind = type(logits if logits is not None else output).__name__
        raise TypeError(f"The model returns {kind}; it must return logits: a tensor, or one that is called logits.")
    return logits, output.get("loss")


def compute_label_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy for classes (batch,), or else the binary one, the mean over texts and labels."""
    if labels.dim() == 1:
        return functional.cross_entropy(logits, labels)
    return functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))


def compute_loss(
    model: nn.Module, batch: Mapping[str, Tensor], inner: nn.Module | None = None, loss: Loss | None = None
) -> tuple[Tensor, Tensor]:
    """Return the logits and the mean loss of a batch: by `loss`, by the model itself, or by `compute_label_loss`.

    For `inner` see `run_forward`. Raises TypeError if the model returns no logits.
    """
    logits, own = run_forward(model, batch, inner, with_labels=loss is None)
    if loss is None and own is not None:
        return logits, own
    return logits, (loss or compute_label_loss)(logits, batch["labels"])


def distillation(logits: Tensor, teacher_logits: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Return how far a student is from the softened answers of its teacher (Hinton et al. 2015, arXiv 1503.02531).

    It is T² loss(student / T, p(teacher / T)), with the loss that `compute_label_loss` takes for `labels`; p is a
    sigmoid for each label, or a softmax over classes. T² keeps the gradient as large as at T = 1. The whole loss of the
    training is (1 - teacher_weight) loss(labels) + teacher_weight distillation.
    """
    softened = teacher_logits / temperature
    if labels.dim() == 1:
        return temperature**2 * functional.cross_entropy(logits / temperature, softened.softmax(-1))
    return temperature**2 * functional.binary_cross_entropy_with_logits(logits / temperature, softened.sigmoid())
