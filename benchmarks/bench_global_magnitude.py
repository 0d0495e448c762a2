"""Global magnitude pruning of BERT-base's blocks (85M weights, 50%): ours against torch.nn.utils.prune.

Ours keeps what `undo` needs. The plain read of the weights is the limit that no method can beat.
"""

import json
import sys
import time

import psutil
import torch
from side_by_side import here, in_turn, peak, print_medians, print_ratio
from torch import nn
from torch.nn.utils import prune

from pruning_course import MagnitudePruner

ROUNDS = 5
SPARSITY = 0.5


def bert_base_blocks(blocks: int = 12) -> nn.Module:
    """The linear layers of BERT-base's twelve blocks, without biases: 84,934,656 weights."""
    torch.manual_seed(0)
    sizes = ([(768, 768)] * 4 + [(768, 3072), (3072, 768)]) * blocks
    return nn.ModuleList([nn.Linear(*size, bias=False) for size in sizes])


def read(model):
    for layer in model:
        layer.weight.sum()


def ours(model):
    return MagnitudePruner(model, SPARSITY).prune()


def theirs(model):
    pairs = [(layer, "weight") for layer in model]
    prune.global_unstructured(pairs, prune.L1Unstructured, amount=SPARSITY)


KINDS = {"read": read, "pruning_course": ours, "torch.nn.utils.prune": theirs}


def measure(kind: str) -> dict:
    """Seconds, and the peak memory above what the process held before, in MB."""
    KINDS[kind](bert_base_blocks(blocks=1))  # the first call of a process also starts threads and loads code
    model = bert_base_blocks()
    before = psutil.Process().memory_info().rss
    start = time.perf_counter()
    result = KINDS[kind](model)
    seconds = time.perf_counter() - start
    pruned = sum(int((layer.weight == 0).sum()) for layer in model)
    del result
    return {"seconds": seconds, "megabytes": peak() - before / 1e6, "pruned": pruned}


def main():
    runs = in_turn(here(KINDS), __file__, ROUNDS)
    print(f"Global magnitude, 84.9M weights, {SPARSITY:.0%}, {ROUNDS} rounds, {torch.get_num_threads()} threads")
    print_medians(runs, {"seconds": ".3f", "megabytes": ".0f", "pruned": ",.0f"})
    print_ratio(runs, "pruning_course", "torch.nn.utils.prune", "seconds", "megabytes")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1])))
    else:
        main()
