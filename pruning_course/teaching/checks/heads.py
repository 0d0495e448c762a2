"""Taking a head out of attention (notebook 06)."""

import copy
from collections.abc import Sequence

import torch

from pruning_course.teaching.checks.check import AS_FOUND, Answer, Case, Check, Mistake, WrongKind
from pruning_course.teaching.tiny import TinyAttention

TEXT = torch.linspace(-1, 1, 24).view(4, 6)  # 4 tokens, 6 channels


def _zeroed(
    attention: TinyAttention, head: int, matrices: Sequence[str], biases: Sequence[str] = (), rows: bool = False
) -> TinyAttention:
    silent = copy.deepcopy(attention)
    own = slice(head * attention.size, (head + 1) * attention.size)
    for name in matrices:
        weight = getattr(silent, name).weight.data
        if name == "output" and not rows:
            weight[:, own] = 0
        else:
            weight[own] = 0
    for name in biases:
        getattr(silent, name).bias.data[own] = 0
    return silent


def _answer(function: Answer, attention: TinyAttention, head: int) -> dict[str, object] | None:
    """What can be seen of the attention that `function` returns."""
    answer = function(attention, head)
    if answer is None:
        return None
    if not isinstance(answer, TinyAttention):
        raise WrongKind("it should return a TinyAttention.")
    with torch.no_grad():
        return {"heads": answer.heads, "query rows": len(answer.query.weight), "output for one token": answer(TEXT)[0]}


def _without(attention: TinyAttention, head: int, heads: int) -> dict[str, object]:
    with torch.no_grad():
        output = _zeroed(attention, head, ["output"])(TEXT)
    return {"heads": heads, "query rows": heads * attention.size, "output for one token": output[0]}


ATTENTION = TinyAttention.random()
NO_BIAS = copy.deepcopy(ATTENTION)
for _layer in (NO_BIAS.query, NO_BIAS.key, NO_BIAS.value):
    _layer.bias.data.zero_()
HEADS = {"Head 0 of 3": (ATTENTION, 0), "Head 2 of 3": (ATTENTION, 2), "Head 1, no biases": (NO_BIAS, 1)}

check_silence_head = Check(
    "silence_head",
    [Case(told, given, _without(*given, heads=3)) for told, given in HEADS.items()],
    [
        Mistake(
            lambda attention, head: _zeroed(attention, head, ["query", "key", "value"]),
            AS_FOUND,
            "Without biases it is right. What does a head put out whose weights are all 0 and whose biases are not?",
        ),
        Mistake(
            lambda attention, head: _zeroed(attention, head, ["output"], rows=True),
            "Rows of the output layer are channels of the result; the head stands in its columns.",
            "`silent.output.weight.data[:, own] = 0`",
        ),
        Mistake(
            lambda attention, head: _zeroed(attention, head, ["query", "key"], ["query", "key"]),
            "Without query and key the head looks at all tokens alike, and still passes their values on.",
            "What goes out through `output` must be cut.",
        ),
        Mistake(
            lambda attention, head: _zeroed(attention, attention.heads - 1 - head, ["output"]),
            "That silences another head: they count from 0, in the order of the rows.",
        ),
    ],
    "Everything that a head says goes through its columns of the output layer.",
    _answer,
)


def _cut(
    attention: TinyAttention, head: int, biases: bool = True, output: bool = True, output_bias: bool = True
) -> TinyAttention:
    keep = [i for i in range(attention.heads * attention.size) if i // attention.size != head]
    smaller = TinyAttention(attention.hidden, attention.heads - 1, attention.size)
    for name in ("query", "key", "value"):
        getattr(smaller, name).weight.data = getattr(attention, name).weight.data[keep]
        if biases:
            getattr(smaller, name).bias.data = getattr(attention, name).bias.data[keep]
    columns = keep if output else slice(0, len(keep))
    smaller.output.weight.data = attention.output.weight.data[:, columns]
    if output_bias:
        smaller.output.bias.data = attention.output.bias.data.clone()
    return smaller


check_remove_head = Check(
    "remove_head",
    [Case(told, given, _without(*given, heads=2)) for told, given in HEADS.items()],
    [
        Mistake(
            lambda attention, head: _zeroed(attention, head, ["output"]),
            "The head is silent, but the matrices are as large as before.",
            "Make a new TinyAttention with one head less, and copy what stays.",
        ),
        Mistake(
            lambda attention, head: _cut(attention, head, biases=False),
            "The biases of query, key and value are lost: those of a new TinyAttention are 0.",
            "Cut each bias like the rows of its weight.",
        ),
        Mistake(
            lambda attention, head: _cut(attention, head, output_bias=False),
            "The bias of the output layer is lost.",
            "It belongs to no head and stays whole.",
        ),
        Mistake(
            lambda attention, head: _cut(attention, head, output=False),
            "The output layer lost its last columns instead of those of the head.",
            "The same places stay in all four layers: rows of query, key and value, columns of output.",
        ),
        Mistake(
            lambda attention, head: _cut(attention, attention.heads - 1 - head),
            "That removes another head: they count from 0, in the order of the rows.",
        ),
    ],
    "List the channels that stay: rows of query, key and value (biases too), columns of output.",
    _answer,
)
