"""Where the blocks of a model are: found once, and passed to whatever works on blocks."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from pruning_course.models.families import KNOWN, Family, family_of


@dataclass(frozen=True, eq=False)
class Layout:
    """The blocks of a transformer."""

    family: Family
    path: str  # dotted name of the list of blocks
    blocks: nn.ModuleList
    config: Any  # of the module that the blocks belong to

    def block_of(self, name: str) -> int:
        """The number of the block in which the layer called `name` lies."""
        return int(name.removeprefix(f"{self.path}.").partition(".")[0])

    def attention_of(self, block: int) -> nn.Module:
        """The module that holds the projections into the attention heads of a block."""
        return self.blocks[block].get_submodule(self.family.qkv[0].rpartition(".")[0])


def find_layout(model: nn.Module) -> Layout:
    """The layout of `model`, or of the transformers model that it wraps.

    Raises ValueError for a model of no known family, or one without a list of blocks.
    """
    family = family_of(model)
    config = None
    for name, module in model.named_modules():
        own = getattr(module, "config", None)
        if family and getattr(own, "model_type", None) in family.model_types:
            config = own
        if family and isinstance(module, nn.ModuleList) and f".{name}".endswith(f".{family.blocks}"):
            return Layout(family, name, module, config)
    raise ValueError(f"{type(model).__name__} has no blocks of a known family; the families are {KNOWN}.")
