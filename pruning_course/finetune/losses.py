"""Logits, losses and F1s of a model that is trained with labels."""

import inspect
from collections.abc import Callable, Iterable, Mapping

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn
from torch.nn import functional

from pruning_course.finetune.batches import checked, parts
from pruning_course.finetune.labels import fault_of

Loss = Callable[[Tensor, Tensor], Tensor]  # logits and labels to a scalar


def forward(
    model: nn.Module, batch: Mapping[str, Tensor], inner: nn.Module | None = None, with_labels: bool = True
) -> tuple[Tensor, Tensor | None]:
    """Logits (batch, ...) of `model` on a batch, and its own loss where it takes `labels` and returns one.

    `inner` is the module that `model` wraps: its forward says which tensors of the batch are wanted. Without
    `with_labels` it gets no labels, unless it needs them. TypeError if the model gives no logits.
    """
    takes = inspect.signature((inner or model).forward).parameters
    takes_any = any(parameter.kind == parameter.VAR_KEYWORD for parameter in takes.values())
    wanted = {name: t for name, t in batch.items() if name in takes or (takes_any and name != "labels")}
    if not with_labels and "labels" in takes and takes["labels"].default is not inspect.Parameter.empty:
        del wanted["labels"]
    found = model(**wanted)
    logits = found.get("logits") if isinstance(found, Mapping) else getattr(found, "logits", found)
    if not isinstance(logits, Tensor):
        raise TypeError(f"The model gives {type(found).__name__}; logits are needed: a tensor, or one of that name.")
    return logits, found.get("loss") if isinstance(found, Mapping) else getattr(found, "loss", None)


def outputs(
    model: nn.Module, batch: Mapping[str, Tensor], inner: nn.Module | None = None, loss: Loss | None = None
) -> tuple[Tensor, Tensor]:
    """Logits and the mean loss of `model` on a batch; `inner` and what is raised as in `forward`.

    The loss is `loss(logits, labels)` if it is given. Otherwise it is the model's own, as in transformers, or, of a
    model without, `label_loss`.
    """
    logits, own = forward(model, batch, inner, with_labels=loss is None)
    if loss is not None:
        return logits, loss(logits, batch["labels"])
    return logits, label_loss(logits, batch["labels"]) if own is None else own


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


def validation_rows(
    model: nn.Module, batches: Iterable, accelerator: Accelerator, micro_tokens: int | None = None
) -> tuple[Tensor, Tensor]:
    """Logits and labels of all rows, on the CPU and in their order; each process computes its rows and gets all.

    The model is set to eval. ValueError without batches, and for rows of different shapes.
    """
    model.eval()
    process, found = accelerator.process_index, []
    with torch.inference_mode():
        for number, raw in enumerate(batches):
            for part, share in parts(checked(raw), micro_tokens, process, accelerator.num_processes):
                if share:
                    part = {name: value.to(accelerator.device) for name, value in part.items()}
                    logits, _ = forward(model, part, with_labels=False)
                    found.append((number, process, logits.cpu(), part["labels"].cpu()))
    found = sorted(gather_object(found), key=lambda one: one[:2])
    logits, labels = [one[2] for one in found], [one[3] for one in found]
    check_shapes("logits", logits)
    check_shapes("labels", labels)
    return torch.cat(logits), torch.cat(labels)


def check_shapes(name: str, batches: list[Tensor]) -> None:
    """ValueError unless there are batches, and their rows have one shape."""
    shapes = sorted({tuple(tensor.shape[1:]) for tensor in batches})
    if not shapes:
        raise ValueError("val_loader gave no batches; F1 needs some, and the same ones in each epoch.")
    if len(shapes) > 1:
        raise ValueError(f"The {name} of a row are {shapes[0]} or {shapes[1]}; those of val_loader need one shape.")


def f1_scores(
    model: nn.Module, batches: Iterable, accelerator: Accelerator, micro_tokens: int | None = None
) -> tuple[float, float]:
    """Micro and macro F1 of `model` on all batches: `f1` of its `validation_rows`."""
    return f1(*validation_rows(model, batches, accelerator, micro_tokens))


def f1(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    """Micro and macro F1 of logits (n, labels) for labels (n, labels) of 0 and 1, or whole numbers (n,) of classes.

    A label is predicted where its probability is above 0.5; a class where its logit is the highest. The F1 of a label
    is 2 · hits / (predicted + true), and 0 for one that is neither there nor predicted. The macro F1 is the mean over
    all labels of the model. ValueError for labels that are not such.
    """
    if fault := fault_of(labels, logits.shape):
        raise ValueError(f"F1 cannot score these labels: {fault}.")
    if labels.dim() == 1:
        labels = functional.one_hot(labels.long(), logits.shape[1])
        predicted = functional.one_hot(logits.argmax(-1), logits.shape[1])
    else:
        predicted = (logits > 0).long()
    truth = labels.long()
    hits, total = (predicted * truth).sum(0).numpy(), (predicted + truth).sum(0).numpy()
    return float(2 * hits.sum() / max(1, total.sum())), float((2 * hits / total.clip(min=1)).mean())
