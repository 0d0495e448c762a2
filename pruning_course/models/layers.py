"""Which layers of a model can be pruned, and how their weights lie in memory."""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import cast

from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from pruning_course.models.families import KNOWN, ROLES
from pruning_course.models.layout import find_layout, find_layouts, is_inside


def prunable_layers(
    model: nn.Module,
    prune_layers: str | Sequence[str] = "all",
    include_tied: bool = False,
    exclude: Sequence[str] = (),
    inside: str | None = None,
) -> dict[str, nn.Module]:
    """Return the layers of `model` that `prune_layers` chooses, in model order: dotted module name to module.

    A layer that an adapter wraps (LoRA) has the role of the layer, under its own name (`...q_proj.base_layer`); the
    adapters are never pruned.

    Args:
        model: any module; roles need a known family (`families.KNOWN`).
        prune_layers: a role: "all" (every `nn.Linear`, `Conv1D` and `nn.Conv2d`), "attention", "ffn", or "encoder"
            (all layers of the blocks, without embeddings, pooler and classification head); or a list of patterns for
            names, such as ["*.q_proj", "decoder.*"], in which * stands for any characters.
        include_tied: include weights that share their memory with another parameter, such as GPT-2's `lm_head`; of
            several layers with one Parameter, the first.
        exclude: patterns for names to leave out.
        inside: the dotted name of a part of the model; needed for roles if the model has several lists of blocks.

    Raises ValueError if the role is unknown, if the model has no blocks of a known family for a role other than "all",
    or several lists of them, if a pattern matches nothing, if no layer is chosen, or if a layer is masked by
    `torch.nn.utils.prune`; TypeError if `exclude` is a string.
    """
    exclude = as_patterns("exclude", exclude)
    if not isinstance(prune_layers, str):
        prune_layers = as_patterns("prune_layers", prune_layers)
    layers = {name: layer for name, layer in find_layers(model).items() if is_inside(name, inside)}
    chosen = _choose(model, layers, prune_layers, inside)
    tied = {} if include_tied else tied_layers(model)
    for pattern in exclude:
        _match(pattern, layers, "exclude")
    free = [name for name in chosen if name not in tied]
    kept = {name: layers[name] for name in free if not any(fnmatchcase(name, pattern) for pattern in exclude)}
    first = {id(layer.weight): name for name, layer in reversed(kept.items())}
    kept = {name: layer for name, layer in kept.items() if first[id(layer.weight)] == name}
    if not kept:
        why = "" if free or not chosen else f" ({chosen[0]} shares its weight with {tied[chosen[0]]}; see include_tied)"
        raise ValueError(
            f"{type(model).__name__} has no layer to prune for {prune_layers!r}; its layers: {shorten(layers)}{why}."
        )
    for name, layer in kept.items():
        if not isinstance(layer.weight, nn.Parameter):
            raise ValueError(
                f"{name}.weight is not a Parameter; if torch.nn.utils.prune masks it, use Masks.from_torch."
            )
    return kept


def _choose(
    model: nn.Module, layers: Mapping[str, nn.Module], prune_layers: str | Sequence[str], inside: str | None
) -> list[str]:
    """Return the names that a role or a list of patterns chooses, tied ones included."""
    if not isinstance(prune_layers, str):
        matches = [_match(pattern, layers, "prune_layers") for pattern in prune_layers]
        return [name for name in layers if any(name in names for names in matches)]
    if prune_layers not in ROLES:
        raise ValueError(f"prune_layers is {prune_layers!r}; it can be {', '.join(ROLES)}, or a list of patterns.")
    if prune_layers == "all":
        return list(layers)
    if not find_layouts(model):
        raise ValueError(
            f"{type(model).__name__} does not belong to a known family ({KNOWN}), so its {prune_layers!r} layers are "
            f"unknown; 'all' would take {shorten(layers)}, and a list of patterns takes any of them."
        )
    layout = find_layout(model, inside)
    roles = {name: layout.role_of(name) for name in layers}
    return [name for name, role in roles.items() if role and prune_layers in (role, "encoder")]


def _match(pattern: str, layers: Mapping[str, nn.Module], option: str) -> set[str]:
    names = {name for name in layers if fnmatchcase(name, pattern)}
    if not names:
        raise ValueError(f"The pattern {pattern!r} in {option} matches no layer; the layers: {shorten(layers)}.")
    return names


def as_patterns(option: str, patterns: Iterable[str]) -> tuple[str, ...]:
    """Return the patterns as a tuple. Raises TypeError if they are one string, whose letters would be patterns."""
    if isinstance(patterns, str):
        raise TypeError(f"{option} is {patterns!r}; it must be a list of patterns, such as [{patterns!r}].")
    return tuple(patterns)


def find_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return every `nn.Linear`, `Conv1D` and `nn.Conv2d` of `model` by name, in model order, without adapters."""
    adapters = find_adapters(model)
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D | nn.Conv2d) and name not in adapters
    }


def find_adapters(model: nn.Module) -> set[str]:
    """Return the names of all modules beside the `base_layer` of a module that wraps one, as those of LoRA do."""
    names = [name for name, _ in model.named_modules()]
    inner = [name for name in names if name.rpartition(".")[2] == "base_layer"]
    outer = {name.removesuffix("base_layer").removesuffix(".") for name in inner}
    return {
        name
        for name in names
        for wrapper in outer
        if is_inside(name, wrapper) and name != wrapper and not is_inside(name, f"{wrapper}.base_layer".strip("."))
    }


def tied_layers(model: nn.Module) -> dict[str, str]:
    """Return the layers whose weight shares memory with another parameter, and the name of that parameter."""
    tied = find_overlaps(dict(model.named_parameters(remove_duplicate=False)))
    return {name: tied[_weight(name)] for name in find_layers(model) if _weight(name) in tied}


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
    """Return the weight of a layer, whose type torch does not declare for modules in general."""
    return cast(nn.Parameter, layer.weight)


def bias_of(layer: nn.Module) -> nn.Parameter | None:
    """Return the bias of a layer, or None if it has none."""
    return cast("nn.Parameter | None", layer.bias)


def out_in(layer: nn.Module, tensor: Tensor) -> Tensor:
    """Return a view of `tensor`, which is shaped as the weight of `layer`, as (out, in); the same call reverses it."""
    return tensor.t() if isinstance(layer, Conv1D) else tensor


def shorten(names: Iterable[str], most: int = 6) -> str:
    """Return the first of `names`, and how many more there are, for an error message."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + more


def _weight(layer_name: str) -> str:
    return f"{layer_name}.weight".removeprefix(".")
