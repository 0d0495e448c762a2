"""What no mask covers: every parameter of two or more dimensions, with the reason."""

from collections.abc import Iterable

from torch import nn

from pruning_course.models.layers import find_adapters, find_layers, find_overlaps


def find_left_out(model: nn.Module, masked: Iterable[nn.Parameter]) -> dict[str, tuple[float, str]]:
    """Return the parameters of two or more dimensions that are not in `masked`: name to (share of all, reason).

    The name is that of the layer for its weight, otherwise that of the parameter. The reason is "embedding", "expert"
    (several matrices in one parameter), "packed" (several projections in one parameter), "tied to NAME", "adapter",
    "excluded" (a layer that could be pruned), or "not a layer that is known".
    """
    known, adapters, covered = find_layers(model), find_adapters(model), {id(parameter) for parameter in masked}
    tied = find_overlaps(dict(model.named_parameters(remove_duplicate=False)))
    total = max(1, sum(parameter.numel() for parameter in model.parameters()))
    left_out = {}
    for owner, module in model.named_modules():
        for attribute, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            name = f"{owner}.{attribute}".removeprefix(".")
            if parameter.dim() < 2 or id(parameter) in covered:
                continue
            if isinstance(module, nn.Embedding):
                reason = "embedding"
            elif owner in adapters:
                reason = "adapter"
            elif name in tied:
                reason = f"tied to {tied[name]}"
            elif owner in known and attribute == "weight":
                reason = "excluded"
            elif attribute == "in_proj_weight":
                reason = "packed"
            else:
                reason = "expert" if "expert" in name.lower() else "not a layer that is known"
            left_out[owner if attribute == "weight" else name] = (parameter.numel() / total, reason)
    return left_out
