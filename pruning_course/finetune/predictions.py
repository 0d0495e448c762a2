"""Logits for whole data sets."""

from collections.abc import Iterable, Sequence

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn

from pruning_course.finetune.batches import check_batch, split_batch
from pruning_course.finetune.losses import run_forward
from pruning_course.models import eval_mode


def predict_rows(
    model: nn.Module, batches: Iterable[object], accelerator: Accelerator, micro_tokens: int | None = None
) -> tuple[Tensor, Tensor]:
    """Return the logits and labels of all rows, on the CPU and in their order; the model is in eval mode meanwhile.

    Each process computes its own rows, in parts of about `micro_tokens` tokens, and gets all of them.

    Raises ValueError if there are no batches, one has no labels, or rows have different shapes; TypeError if a batch is
    not a mapping, or the model returns no logits.
    """
    process, device, rows = accelerator.process_index, next(model.parameters()).device, []
    with eval_mode(model), torch.inference_mode():
        for number, raw in enumerate(batches):
            for part, share in split_batch(check_batch(raw), micro_tokens, process, accelerator.num_processes):
                if share:
                    part = {name: value.to(device) for name, value in part.items()}
                    logits, _ = run_forward(model, part, with_labels=False)
                    rows.append((number, process, logits.cpu(), part["labels"].cpu()))
    rows = sorted(gather_object(rows), key=lambda row: row[:2])
    logits_of_parts, labels_of_parts = [row[2] for row in rows], [row[3] for row in rows]
    check_shapes("logits", logits_of_parts)
    check_shapes("labels", labels_of_parts)
    return torch.cat(logits_of_parts), torch.cat(labels_of_parts)


def check_shapes(name: str, batches: Sequence[Tensor]) -> None:
    """Raise ValueError if there are no batches, or if their rows do not all have the same shape."""
    shapes = sorted({tuple(tensor.shape[1:]) for tensor in batches})
    if not shapes:
        raise ValueError("There are no batches to score: at least one is needed, in every epoch.")
    if len(shapes) > 1:
        raise ValueError(f"The {name} of a row are {shapes[0]} or {shapes[1]}; all rows need the same shape.")
