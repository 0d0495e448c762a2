"""Which layers of a model can be pruned, and how their weights lie in memory."""

from collections.abc import Iterable, Mapping
from typing import cast

from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from pruning_course.models.families import KNOWN, ROLES, Family, family_of


def prunable_layers(model: nn.Module, prune_layers: str = "all", include_tied: bool = False) -> dict[str, nn.Module]:
    """Return the layers of `model` that have the role `prune_layers`, in model order: dotted module name to module.

    The weight of a Linear is (out, in), that of a Conv1D (in, out).

    Args:
        model: any module; roles need a known family (BERT, RoBERTa, DistilBERT, GPT-2, LLaMA, Qwen2, Mistral).
        prune_layers: "all" (every `nn.Linear` and `Conv1D`), "attention", "ffn", or "encoder" (all layers of the
            blocks, without embeddings, pooler and classification head).
        include_tied: include weights that share their memory with another parameter, such as GPT-2's `lm_head`.

    Raises ValueError if the role is unknown, if the model has a role other than "all" but no known family, if no layer
    has the role, or if a layer is masked by `torch.nn.utils.prune`.
    """
    if prune_layers not in ROLES:
        raise ValueError(f"prune_layers is {prune_layers!r}; it can be one of {', '.join(ROLES)}.")
    seen = linear_layers(model)
    kind = type(model).__name__
    family = family_of(model)
    if prune_layers != "all" and family is None:
        raise ValueError(
            f"{kind} does not belong to a known family ({KNOWN}), so its {prune_layers!r} layers cannot be found; "
            f"'all' would take {shorten(seen)}."
        )
    tied = {} if include_tied else tied_layers(model)
    chosen = {name: layer for name, layer in seen.items() if name not in tied and _has_role(family, name, prune_layers)}
    if not chosen:
        why = f" ({', '.join(tied)} shares its weight with {', '.join(tied.values())})" if tied else ""
        raise ValueError(f"{kind} has no layer to prune for {prune_layers!r}; its linear layers: {shorten(seen)}{why}.")
    for name, layer in chosen.items():
        if not isinstance(layer.weight, nn.Parameter):
            raise ValueError(
                f"{name}.weight is not a Parameter; if torch.nn.utils.prune masks it, use Masks.from_torch."
            )
    return chosen


def tied_layers(model: nn.Module) -> dict[str, str]:
    """Return the linear layers whose weight shares memory with another parameter, and the name of that parameter."""
    tied = find_overlaps(dict(model.named_parameters(remove_duplicate=False)))
    return {name: tied[_weight(name)] for name in linear_layers(model) if _weight(name) in tied}


def find_overlaps(parameters: Mapping[str, Tensor]) -> dict[str, str]:
    """Return the names of tensors that share memory with another one, each with the name of such another one."""
    spans = sorted(
        (str(tensor.device), tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes, name)
        for name, tensor in parameters.items()
        if tensor.numel() and not tensor.is_meta
    )
    overlaps: dict[str, str] = {}
    last_device, last_end, last_name = "", 0, ""
    for device, start, end, name in spans:
        if device == last_device and start < last_end:
            overlaps[name] = last_name
            overlaps.setdefault(last_name, name)
        # The tensor that reaches furthest, because a large one may contain several small ones.
        if device != last_device or end > last_end:
            last_device, last_end, last_name = device, end, name
    return overlaps


def weight_of(layer: nn.Module) -> nn.Parameter:
    """Return the weight of a linear layer, whose type torch does not declare for modules in general."""
    return cast(nn.Parameter, layer.weight)


def bias_of(layer: nn.Module) -> nn.Parameter | None:
    """Return the bias of a linear layer, or None if it has none."""
    return cast("nn.Parameter | None", layer.bias)


def out_in(layer: nn.Module, tensor: Tensor) -> Tensor:
    """Return a view of `tensor`, which is shaped as the weight of `layer`, as (out, in); the same call reverses it."""
    return tensor.t() if isinstance(layer, Conv1D) else tensor


def linear_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return every `nn.Linear` and `Conv1D` of `model`, tied or not, in model order: dotted name to module."""
    return {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear | Conv1D)}


def _has_role(family: Family | None, name: str, wanted: str) -> bool:
    role = family.role(name) if family else None
    return wanted in ("all", role) or (wanted == "encoder" and role is not None)


def _weight(layer_name: str) -> str:
    return f"{layer_name}.weight".removeprefix(".")


def shorten(names: Iterable[str], most: int = 6) -> str:
    """Return the first of `names`, and how many more there are, for an error message."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + more
