"""Global magnitude pruning of BERT-base's blocks (85M weights, 50%): ours against torch.nn.utils.prune.

Each measurement is a process of its own, the three kinds in turn: a busy moment of the machine hits all of them.
Ours keeps what `undo` needs. The plain read of the weights is the limit that no method can beat.
"""

import json
import resource
import statistics
import subprocess
import sys
import time

import psutil
import torch
from torch import nn
from torch.nn.utils import prune
from tqdm import tqdm

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
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "megabytes": (peak - before) / 1e6, "pruned": pruned}


def main():
    runs = {kind: [] for kind in KINDS}
    for _ in tqdm(range(ROUNDS), desc="Rounds"):
        for kind in KINDS:
            answer = subprocess.run([sys.executable, __file__, kind], capture_output=True, text=True, check=True)
            runs[kind].append(json.loads(answer.stdout))
    print(f"Global magnitude, 84.9M weights, {SPARSITY:.0%}, {ROUNDS} rounds, {torch.get_num_threads()} threads")
    print(f"{'':22}{'seconds, median':>18}{'least':>8}{'extra MB':>10}{'pruned':>12}")
    for kind, found in runs.items():
        seconds, megabytes = ([run[key] for run in found] for key in ("seconds", "megabytes"))
        pruned = found[0]["pruned"] if kind != "read" else 0
        print(f"{kind:22}{statistics.median(seconds):18.3f}{min(seconds):8.3f}{max(megabytes):10.0f}{pruned:12,}")
    for key in ("seconds", "megabytes"):
        a, b = (
            statistics.median(run[key] for run in runs[kind]) for kind in ("torch.nn.utils.prune", "pruning_course")
        )
        print(f"torch needs {a / b:.1f} times the {key}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1])))
    else:
        main()
