"""Which layers a name means, and which weights are shared (notebook 02)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pruning_course.models import find_layers
from pruning_course.teaching.checks.check import AS_FOUND, Case, Check, Mistake

BERT = [f"layer.0.attention.{part}" for part in ("self.query", "self.key", "self.value", "output.dense")]
OTHER = ["layer.0.intermediate.dense", "layer.0.output.dense", "pooler.dense", "keyword_head"]
LLAMA = [f"model.layers.0.self_attn.{part}" for part in ("q_proj", "k_proj", "v_proj", "o_proj")]
GPT2 = ["transformer.h.0.attn.c_attn", "transformer.h.0.attn.c_proj", "lm_head"]


def _ending(names: Sequence[str], *ends: str) -> list[str]:
    found = [name for name in names if name.endswith(ends)]
    if not found:
        raise ValueError
    return found


check_attention_layers = Check(
    "attention_layers",
    [
        Case("A block of BERT, a pooler and a layer called keyword_head", (BERT + OTHER,), BERT),
        Case("LLaMA, whose layers have other names", (LLAMA,), ValueError),
        Case("GPT-2", (GPT2,), ValueError),
    ],
    [
        Mistake(
            lambda names: [n for n in names if any(x in n.lower() for x in ("query", "key", "value", "attention"))],
            AS_FOUND,
            "Is every name with `key` in it a key? And what comes back for GPT-2?",
        ),
        Mistake(
            lambda names: [n for n in names if n in BERT],
            "An empty list comes back where no layer has such a name, and nobody notices.",
            "Nothing found is an error: raise a ValueError.",
        ),
        Mistake(
            lambda names: _ending(names, "query", "key", "value"),
            "The output layer of the attention is missing.",
            "Its name ends with `.attention.output.dense`.",
        ),
        Mistake(
            lambda names: _ending(names, "query", "key", "value", "output.dense"),
            "The FFN's `output.dense` has slipped in.",
            "Its name ends with `output.dense`, too: ask for more of the name.",
        ),
    ],
    "`name.endswith((...))` takes a tuple of endings.",
)


def _tied_model(tie: bool = True, copy_values: bool = False) -> nn.ModuleDict:
    embedding, ffn, head = nn.Embedding(5, 3), nn.Linear(3, 3), nn.Linear(3, 5)
    if tie:
        head.weight = embedding.weight
    if copy_values:
        head.weight.data.copy_(embedding.weight.data)
    return nn.ModuleDict({"embedding": embedding, "ffn": ffn, "head": head})


def _shared_pair() -> nn.ModuleDict:
    model = nn.ModuleDict({name: nn.Linear(2, 2) for name in ("first", "second", "third")})
    model["second"].weight = model["first"].weight
    return model


def _first_users(model: nn.Module) -> list[str]:
    seen, found = {id(p) for m in model.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}, []
    for name, layer in find_layers(model).items():
        if id(layer.weight) not in seen:
            found.append(name)
        seen.add(id(layer.weight))
    return found


def _unequal(model: nn.Module) -> list[str]:
    parameters = list(model.named_parameters(remove_duplicate=False))

    def twins(weight: Tensor) -> int:
        return sum(p.shape == weight.shape and torch.equal(p, weight) for _, p in parameters)

    return [name for name, layer in find_layers(model).items() if twins(layer.get_parameter("weight")) == 1]


check_untied = Check(
    "untied",
    [
        Case("A head that is the embedding", (_tied_model(),), ["ffn"]),
        Case("Nothing tied", (_tied_model(tie=False),), ["ffn", "head"]),
        Case(
            "A head that started as a copy of the embedding",
            (_tied_model(tie=False, copy_values=True),),
            ["ffn", "head"],
        ),
        Case("Two layers that share one weight", (_shared_pair(),), ["third"]),
    ],
    [
        Mistake(
            lambda model: list(find_layers(model)),
            AS_FOUND,
            "In the first model two modules have the *same* weight. How often does each parameter occur?",
        ),
        Mistake(
            lambda model: [name for name in find_layers(model) if "head" not in name],
            "A name says nothing about sharing: this leaves out every head, and finds no other pair.",
            "Compare the parameters themselves.",
        ),
        Mistake(
            _first_users,
            "The first user of a shared weight is left in; pruning it changes the second one.",
            "Count first, select afterwards.",
        ),
        Mistake(
            _unequal,
            "Equal numbers are not the same tensor: two copies can be pruned one by one.",
            "`is` or `id` compares tensors themselves, `torch.equal` their numbers.",
        ),
    ],
    "`model.named_parameters(remove_duplicate=False)` names a shared parameter once for each user.",
)
