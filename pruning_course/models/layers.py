"""Which layers of a model can be pruned, and how their weights lie in memory."""

from itertools import pairwise

from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from pruning_course.models.families import KNOWN, ROLES, Family, family_of


def prunable_layers(model: nn.Module, prune_layers: str = "all", include_tied: bool = False) -> dict[str, nn.Module]:
    """The layers of `model` that play the part `prune_layers`, in model order.

    Args:
        model: any module; parts need a known family (BERT, RoBERTa, DistilBERT, GPT-2, LLaMA, Qwen2, Mistral).
        prune_layers: "all" (every `nn.Linear` and `Conv1D`), "attention", "ffn", or "encoder" (all that a block holds:
            no embedding, no pooler, no head).
        include_tied: take weights too that share their memory with another parameter, such as GPT-2's `lm_head`.

    Returns:
        Dotted module name to module. The weight of a Linear is (out, in), of a Conv1D (in, out).

    Raises:
        ValueError: an unknown part, a part of an unknown family, no such layer, or a layer that is still masked by
            `torch.nn.utils.prune`.
    """
    if prune_layers not in ROLES:
        raise ValueError(f"prune_layers is {prune_layers!r}; it can be one of {', '.join(ROLES)}.")
    seen = linear_layers(model)
    kind = type(model).__name__
    family = family_of(model)
    if prune_layers != "all" and family is None:
        raise ValueError(
            f"{kind} is of no known family ({KNOWN}), so which of its layers are {prune_layers!r} is not known; "
            f"'all' would take {_shortened(seen)}."
        )
    tied = {} if include_tied else tied_layers(model)
    chosen = {name: layer for name, layer in seen.items() if name not in tied and _plays(family, name, prune_layers)}
    if not chosen:
        why = f" ({', '.join(tied)} shares its weight with {', '.join(tied.values())})" if tied else ""
        raise ValueError(
            f"{kind} has no layer to prune for {prune_layers!r}; its linear layers: {_shortened(seen)}{why}."
        )
    for name, layer in chosen.items():
        if not isinstance(layer.weight, nn.Parameter):
            raise ValueError(
                f"{name}.weight is not a Parameter; if torch.nn.utils.prune masks it, use Masks.from_torch."
            )
    return chosen


def tied_layers(model: nn.Module) -> dict[str, str]:
    """The linear layers whose weight shares memory with another parameter: layer name to that parameter's name."""
    spans = sorted(
        (str(p.device), p.data_ptr(), p.data_ptr() + p.numel() * p.element_size(), name)
        for name, p in model.named_parameters(remove_duplicate=False)
        if p.numel() and not p.is_meta
    )
    tied = {}
    for (device, _, end, name), (next_device, start, _, next_name) in pairwise(spans):
        if device == next_device and start < end:
            tied |= {name: next_name, next_name: name}
    return {name: tied[_weight(name)] for name in linear_layers(model) if _weight(name) in tied}


def out_in(layer: nn.Module, tensor: Tensor) -> Tensor:
    """`tensor`, shaped as the weight of `layer`, as (out, in); the same call turns it back. A view."""
    return tensor.t() if isinstance(layer, Conv1D) else tensor


def linear_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Every `nn.Linear` and `Conv1D` of `model`, tied or not, in model order: dotted name to module."""
    return {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear | Conv1D)}


def _plays(family: Family | None, name: str, part: str) -> bool:
    if part == "all":
        return True
    role = family.role(name)
    return role is not None if part == "encoder" else role == part


def _weight(layer_name: str) -> str:
    return f"{layer_name}.weight".removeprefix(".")


def _shortened(names, most: int = 6) -> str:
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + more
