"""Take over the masks of torch.nn.utils.prune."""

from torch import Tensor, nn
from torch.nn.utils import prune


def take_from_torch(model: nn.Module) -> dict[str, Tensor]:
    """Return the masks that torch.nn.utils.prune has put on a model, and turn its weights into dense Parameters again.

    Raises ValueError if torch masks nothing, or masks a parameter that is neither `weight` nor `bias`.
    """
    pruned = [
        (prefix, module, buffer.removesuffix("_mask"))
        for prefix, module in model.named_modules()
        for buffer, _ in list(module.named_buffers(recurse=False))
        if buffer.endswith("_mask") and hasattr(module, buffer.removesuffix("_mask") + "_orig")
    ]
    if not pruned:
        raise ValueError(f"{type(model).__name__} has no parameter that torch.nn.utils.prune masks.")
    for prefix, _, name in pruned:
        if name not in ("weight", "bias"):
            raise ValueError(f"torch masks {prefix}.{name}; only parameters called weight or bias can be taken over.")
    keep = {}
    for prefix, module, name in pruned:
        original = getattr(module, name + "_orig").detach().clone()
        keep[prefix if name == "weight" else f"{prefix}.bias"] = getattr(module, name + "_mask").bool()
        prune.remove(module, name)
        getattr(module, name).detach().copy_(original)
    return keep
