"""Half of the FFN neurons cut out of BERT-base's blocks: is it as much faster as its multiply-adds promise?

Beside it Torch-Pruning 1.6.1 on the same model, in an environment of its own: once told to cut half of the neurons and
nothing else, once set up as in its own example for BERT, which halves every width, the hidden size too. All models are
then timed in turn. Four of BERT-base's twelve blocks, which are alike; random weights.
"""

import json
import statistics
import sys
import tempfile
import time
from importlib import import_module
from importlib.metadata import version

import torch
from side_by_side import BUILD, environment_with, here, in_turn, peak, print_medians, print_ratio
from transformers import BertConfig, BertModel
from transformers.utils import logging

ROUNDS, BLOCKS, BATCH, LENGTH = 2, 4, 8, 128
FILES = BUILD / "bench-structured"


def make_model():
    torch.manual_seed(0)
    return BertModel(BertConfig(num_hidden_layers=BLOCKS)).eval()


def make_batch(texts: int = BATCH) -> dict:
    ids = torch.randint(1000, 30000, (texts, LENGTH), generator=torch.Generator().manual_seed(0))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def masked(model):
    from pruning_course import StructuredPruner

    StructuredPruner(model, 0.5).prune()


def ours(model):
    from pruning_course import StructuredPruner

    pruner = StructuredPruner(model, 0.5)
    pruner.prune()
    pruner.shrink()


def theirs(model):
    neurons = {block.intermediate.dense: 0.5 for block in model.encoder.layer}
    _torch_pruning(model, pruning_ratio=0.0, pruning_ratio_dict=neurons)


def their_example(model):
    attentions = [block.attention.self for block in model.encoder.layer]
    heads = {layer: a.num_attention_heads for a in attentions for layer in (a.query, a.key, a.value)}
    settings = {"num_heads": heads, "prune_num_heads": True, "prune_head_dims": False, "head_pruning_ratio": 0.5}
    pruner = _torch_pruning(model, pruning_ratio=0.5, global_pruning=True, ignored_layers=[model.pooler], **settings)
    for attention in attentions:  # which it leaves to its user
        attention.num_attention_heads = pruner.num_heads[attention.query]
        attention.all_head_size = attention.query.out_features


def _torch_pruning(model, **settings):
    import torch_pruning

    pruner = torch_pruning.pruner.MetaPruner(
        model,
        make_batch(1),
        importance=torch_pruning.importance.MagnitudeImportance(p=2),
        output_transform=lambda output: output.pooler_output.sum(),
        **settings,
    )
    pruner.step()
    return pruner


KINDS = {
    "dense": lambda model: None,
    "masked": masked,
    "pruning_course": ours,
    "torch-pruning": theirs,
    "its example": their_example,
}
NEEDED = {  # loading code is not counted
    "masked": "pruning_course",
    "pruning_course": "pruning_course",
    "torch-pruning": "torch_pruning",
    "its example": "torch_pruning",
}


def measure_cut(kind: str) -> dict:
    """Seconds of the cutting, and what is left; the model goes into a file."""
    import_module(NEEDED.get(kind, "torch"))
    model = make_model()
    start = time.perf_counter()
    KINDS[kind](model)
    seconds = time.perf_counter() - start
    model(**make_batch())
    torch.save(model, FILES / f"{kind}.pt")  # the whole model: nothing but its own process knows the shapes
    first = model.encoder.layer[0]
    return {
        "seconds": seconds,
        "megabytes": peak(),
        "parameters": model.num_parameters() / 1e6,
        "hidden": first.intermediate.dense.in_features,
        "heads": first.attention.self.num_attention_heads,
        "neurons": first.intermediate.dense.out_features,
    }


def load(kind: str):
    return torch.load(FILES / f"{kind}.pt", weights_only=False)


def measure_time(threads: str) -> dict:
    """Median milliseconds of every model that there is."""
    from pruning_course import lab

    models, batch = {kind: load(kind) for kind in KINDS if (FILES / f"{kind}.pt").exists()}, make_batch()
    calls = {kind: lambda model=model: model(**batch) for kind, model in models.items()}
    times = lab.milliseconds(calls, rounds=2, threads=int(threads))
    return {kind: statistics.median(values) for kind, values in times.items()}


def print_speed_ups(runs: dict) -> None:
    from pruning_course.report import multiply_adds

    work = {kind: multiply_adds(load(kind), make_batch()) for kind in runs["1"][0]}
    for kind in list(work)[1:]:
        promised = work["dense"] / work[kind]
        print(f"{kind}: {promised:.2f} times as fast by its multiply-adds", end="")
        for threads, found in runs.items():
            measured = statistics.median(run["dense"] / run[kind] for run in found)
            print(f"; {measured:.2f} measured on {threads} ({measured / promised:.2f} of it)", end="")
        print()


def print_disk_seconds() -> None:
    from pruning_course.checkpoint import load_pruned, save_pruned

    logging.disable_progress_bar()
    model, seconds = load("pruning_course"), []
    with tempfile.TemporaryDirectory() as folder:
        for call in (lambda: save_pruned(model, f"{folder}/model"), lambda: load_pruned(f"{folder}/model")):
            start = time.perf_counter()
            again = call()
            seconds.append(time.perf_counter() - start)
    batch = make_batch(1)
    with torch.inference_mode():
        apart = (again(**batch).last_hidden_state - model(**batch).last_hidden_state).abs().max()
    print(f"save_pruned {seconds[0]:.2f} s, load_pruned {seconds[1]:.2f} s, largest difference {apart}")


def main():
    FILES.mkdir(parents=True, exist_ok=True)
    [path.unlink() for path in FILES.glob("*.pt")]
    pythons = here(("dense", "masked", "pruning_course"))
    try:
        python = environment_with("torch-pruning==1.6.1", f"transformers=={version('transformers')}")
        pythons |= {"torch-pruning": python, "its example": python}
    except RuntimeError as error:
        print(f"Torch-Pruning cannot be installed beside torch 2.13.0:\n{error}\n")
    print(f"BERT-base shapes, {BLOCKS} blocks, {BATCH} x {LENGTH} tokens, {ROUNDS} rounds")
    runs = in_turn(pythons, __file__, ROUNDS, "cut")
    widths = dict.fromkeys(("hidden", "heads", "neurons"), ".0f")
    print_medians(runs, {"seconds": ".2f", "megabytes": ".0f", "parameters": ".1f"} | widths)
    print_ratio(runs, "pruning_course", "torch-pruning", "seconds", "megabytes")
    print("\nMilliseconds of a forward pass, by threads")
    runs = in_turn(here(("1", "2")), __file__, ROUNDS, "time")
    print_medians(runs, dict.fromkeys(runs["1"][0], ".0f"))
    print_speed_ups(runs)
    print_disk_seconds()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["cut", kind]:
            print(json.dumps(measure_cut(kind)))
        case ["time", threads]:
            print(json.dumps(measure_time(threads)))
        case _:
            main()
