"""What attention heads contribute whatever they read: their value bias, multiplied by the output layer."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pruning_course.lab.encoder import Batch, MeanPooledClassifier


class ConstantParts(NamedTuple):
    """How each attention head's constant part compares with its whole output; both float (blocks, heads).

    share: the length of the constant part, divided by the length of the whole output (root mean square over tokens).
    cosine: the mean cosine between the constant part and the rest; below 0, the two partly cancel.
    """

    share: Tensor
    cosine: Tensor


@torch.no_grad()
def constant_parts(model: MeanPooledClassifier, batch: Batch) -> ConstantParts:
    """Split what each attention head adds to the output layer's result into a constant part and the rest.

    Attention takes a mean of values with weights that sum to 1, so the value bias always arrives in full: it is the
    constant part. Only real tokens of `batch` are counted.
    """
    real, found, hooks = batch["attention_mask"].bool(), [], []
    blocks: Any = model.bert.encoder.layer
    for block in blocks:

        def record(_: nn.Module, args: tuple[Tensor, ...], attention: Any = block.attention) -> None:
            found.append(_compare(attention, args[0][real]))

        hooks.append(block.attention.output.dense.register_forward_pre_hook(record))
    try:
        model(**{name: value for name, value in batch.items() if name != "labels"})
    finally:
        for hook in hooks:
            hook.remove()
    shares, cosines = zip(*found, strict=True)
    return ConstantParts(torch.stack(shares), torch.stack(cosines))


def _compare(attention: Any, given: Tensor) -> tuple[Tensor, Tensor]:
    """The share and the cosine of each head; `given` is what enters the output layer, (tokens, hidden)."""
    value, output = attention.self.value, attention.output.dense
    heads = attention.self.num_attention_heads
    columns = output.weight.unflatten(1, (heads, -1))  # (out, heads, size)
    whole = torch.einsum("thd,ohd->tho", given.unflatten(1, (heads, -1)), columns)
    constant = torch.einsum("hd,ohd->ho", value.bias.view(heads, -1), columns)
    share = constant.norm(dim=1) / whole.square().sum(2).mean(0).sqrt()
    return share, nn.functional.cosine_similarity(whole - constant, constant[None], dim=2).mean(0)
