"""Where the blocks of a model are: found once, and passed to all code that works on blocks."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from pruning_course.models.families import FAMILIES, KNOWN, STRUCTURES, Family


@dataclass(frozen=True, eq=False)
class Layout:
    """The blocks of a transformer."""

    family: Family
    path: str  # the dotted name of the list of blocks
    blocks: nn.ModuleList
    config: Any  # that of the module which owns the blocks

    def block_of(self, name: str) -> int:
        """Return the number of the block that contains the layer called `name`."""
        return int(name.removeprefix(f"{self.path}.").partition(".")[0])

    def role_of(self, name: str) -> str | None:
        """Return the role of a layer: "attention", "ffn", "other" (elsewhere in a block); None outside the blocks."""
        if not name.startswith(f"{self.path}."):
            return None
        inside = name.removeprefix(f"{self.path}.").partition(".")[2].removesuffix(".base_layer")
        return "attention" if inside in self.family.attention else "ffn" if inside in self.family.ffn else "other"

    def attention_of(self, block: int) -> nn.Module:
        """Return the module that holds the projections into the attention heads of a block."""
        return self.blocks[block].get_submodule(self.family.qkv[0].rpartition(".")[0])

    def check_cut(self, structure: str) -> None:
        """Raise ValueError if a "neuron", "head" or "layer" cannot be cut out of a model of this family."""
        if reason := self.family.uncut.get(structure):
            kind, what = self.config.model_type, STRUCTURES[structure]
            raise ValueError(f"The {what} of a model of the family {kind} cannot be cut out, because {reason}.")


def find_layout(model: nn.Module, inside: str | None = None) -> Layout:
    """Return the layout of `model`, or of the transformers model that it wraps.

    Args:
        inside: the dotted name of a part of `model`; needed if the model has several lists of blocks.

    Raises ValueError if the model, or that part of it, has no list of blocks of a known family, or several.
    """
    kind = type(model).__name__
    layouts = {name: layout for name, layout in find_layouts(model).items() if is_inside(name, inside)}
    if not layouts:
        where = f"{kind} has no blocks of a known family" + (f" inside {inside!r}" if inside else "")
        raise ValueError(f"{where}; the families are {KNOWN}.")
    if len(layouts) > 1:
        raise ValueError(f"{kind} has {len(layouts)} lists of blocks: {', '.join(layouts)}; choose one with inside=...")
    return next(iter(layouts.values()))


def find_layouts(model: nn.Module) -> dict[str, Layout]:
    """Return the path of every list of blocks of a known family, with its layout."""
    configs: dict[str, Any] = {}
    layouts = {}
    for name, module in model.named_modules():
        # Blocks belong to the innermost module that has a config of its own or takes part in one.
        own = getattr(module, "config", None)
        configs[name] = own if hasattr(own, "model_type") else configs.get(name.rpartition(".")[0])
        if not (isinstance(module, nn.ModuleList) and len(module)):
            continue
        model_type = getattr(configs[name], "model_type", "")
        for family in FAMILIES:
            # Another list may have the same name, but its modules have no feed-forward network of the family.
            if (
                model_type in family.model_types
                and f".{name}".endswith(f".{family.blocks}")
                and family.ffn_out in dict(module[0].named_modules())
            ):
                layouts[name] = Layout(family, name, module, configs[name])
    return layouts


def is_inside(name: str, inside: str | None) -> bool:
    """Return whether the module called `name` is `inside`, or a part of it; None means the whole model."""
    return not inside or name == inside or name.startswith(f"{inside}.")
