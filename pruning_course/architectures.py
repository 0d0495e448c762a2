"""Which layers of a model can be pruned, and which part each of them plays."""

import re
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

ROLES = ("all", "attention", "ffn", "encoder")


@dataclass(frozen=True)
class Family:
    """Where one family of transformers keeps its blocks, and what the layers of a block are called there."""

    model_types: tuple[str, ...]  # `config.model_type`, as transformers writes it
    blocks: str  # path of the list of blocks, inside the base model
    qkv: tuple[str, ...]  # projections into the heads; one name where the three are fused
    attention_output: str
    ffn_in: tuple[str, ...]  # with the gate first, where there is one
    ffn_out: str

    @property
    def attention(self) -> tuple[str, ...]:
        return (*self.qkv, self.attention_output)

    @property
    def ffn(self) -> tuple[str, ...]:
        return (*self.ffn_in, self.ffn_out)

    def role(self, name: str) -> str | None:
        """The part of the layer `name`: "attention", "ffn", "other" (elsewhere in a block); None outside the blocks."""
        found = re.search(rf"(?:^|\.){re.escape(self.blocks)}\.\d+\.(.+)$", name)
        if found is None:
            return None
        inside = found.group(1)
        return "attention" if inside in self.attention else "ffn" if inside in self.ffn else "other"


FAMILIES = (
    Family(
        model_types=("bert", "roberta"),
        blocks="encoder.layer",
        qkv=("attention.self.query", "attention.self.key", "attention.self.value"),
        attention_output="attention.output.dense",
        ffn_in=("intermediate.dense",),
        ffn_out="output.dense",
    ),
    Family(
        model_types=("distilbert",),
        blocks="transformer.layer",
        qkv=("attention.q_lin", "attention.k_lin", "attention.v_lin"),
        attention_output="attention.out_lin",
        ffn_in=("ffn.lin1",),
        ffn_out="ffn.lin2",
    ),
    Family(
        model_types=("gpt2",),
        blocks="h",
        qkv=("attn.c_attn",),
        attention_output="attn.c_proj",
        ffn_in=("mlp.c_fc",),
        ffn_out="mlp.c_proj",
    ),
    Family(
        model_types=("llama", "qwen2", "mistral"),
        blocks="layers",
        qkv=("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        attention_output="self_attn.o_proj",
        ffn_in=("mlp.gate_proj", "mlp.up_proj"),
        ffn_out="mlp.down_proj",
    ),
)


def family_of(model: nn.Module) -> Family | None:
    """The family of a transformers model, or of the one that `model` wraps; None if there is none in the table."""
    for module in model.modules():
        model_type = getattr(getattr(module, "config", None), "model_type", None)
        for family in FAMILIES:
            if model_type in family.model_types:
                return family
    return None


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
        known = ", ".join(name for known in FAMILIES for name in known.model_types)
        raise ValueError(
            f"{kind} is of no known family ({known}), so which of its layers are {prune_layers!r} is not known; "
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
