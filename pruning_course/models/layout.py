"""Where the blocks of a model are: found once, and passed to all code that works on blocks."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from pruning_course.models.families import KNOWN, Family, family_of


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

    def attention_of(self, block: int) -> nn.Module:
        """Return the module that holds the projections into the attention heads of a block."""
        return self.blocks[block].get_submodule(self.family.qkv[0].rpartition(".")[0])


def find_layout(model: nn.Module) -> Layout:
    """Return the layout of `model`, or of the transformers model that it wraps.

    Raises ValueError if the model does not belong to a known family, or has no list of blocks.
    """
    family = family_of(model)
    config = None
    for name, module in model.named_modules():
        if family and getattr(getattr(module, "config", None), "model_type", None) in family.model_types:
            config = module.config
        if family and isinstance(module, nn.ModuleList) and f".{name}".endswith(f".{family.blocks}"):
            return Layout(family, name, module, config)
    raise ValueError(f"{type(model).__name__} has no blocks of a known family; the families are {KNOWN}.")
