"""Wanda at 50% on SmolLM2-135M, 16 x 256 tokens, layer by layer: ours against llm-compressor's WandaPruningModifier.

llm-compressor lives in an environment of its own. Both get the same weights, the same tokens, and the same text to be
measured on, as files. Then the selection alone: `keep_per_row` against a stable argsort of every row, on one matrix of
LLaMA-7B's size. Ours keeps what `undo` needs, theirs forgets it.
"""

import json
import math
import sys
import time
from functools import partial
from importlib import import_module

import torch
from side_by_side import BUILD, environment_with, here, in_turn, peak, print_medians, print_ratio

ROUNDS, SPARSITY = 3, 0.5
SAMPLES, LENGTH, MEASURED = 16, 256, 32  # windows to calibrate on, tokens of each, windows of the perplexity
ROWS, WIDTH = 4096, 11008  # a feed-forward matrix of LLaMA-7B
FILES = BUILD / "bench-wanda"


def write_files():
    """The model, the tokens to calibrate on and the tokens to measure on, for both environments."""
    from safetensors.torch import save_file

    from pruning_course import lab
    from pruning_course.lab.language_model import windows

    model, tokenizer = lab.load_language_model()
    model.save_pretrained(FILES / "model")
    tokenizer.save_pretrained(FILES / "model")  # llm-compressor asks for one, even where the data are tokens
    tokens = {
        "calibration": windows(tokenizer, lab.definition_text("train"), LENGTH, SAMPLES),
        "measured": windows(tokenizer, lab.definition_text("validation"), LENGTH, MEASURED),
    }
    save_file({name: ids.contiguous() for name, ids in tokens.items()}, FILES / "tokens.safetensors")


def ours(model, ids, remember=True):
    from pruning_course import WandaPruner

    batches = [{"input_ids": part, "attention_mask": torch.ones_like(part)} for part in ids.split(4)]
    pruner = WandaPruner(model, SPARSITY, "encoder", sequential=True, remember=remember)
    pruner.calibrate(batches, num_samples=SAMPLES).prune()


def theirs(model, ids):
    from datasets import Dataset
    from llmcompressor import oneshot
    from llmcompressor.modifiers.pruning import WandaPruningModifier

    data = Dataset.from_dict({"input_ids": ids.tolist(), "attention_mask": torch.ones_like(ids).tolist()})
    recipe = WandaPruningModifier(sparsity=SPARSITY, mask_structure="0:0", targets=["Linear"], ignore=["re:.*lm_head"])
    settings = {"max_seq_length": LENGTH, "num_calibration_samples": SAMPLES, "pipeline": "sequential"}
    oneshot(model=model, tokenizer=str(FILES / "model"), dataset=data, recipe=[recipe], **settings)


WANDA = {"dense": lambda *_: None, "pruning_course": ours, "without undo": partial(ours, remember=False)}
WANDA["llm-compressor"] = theirs
IMPORTS = {"pruning_course": ("pruning_course",), "without undo": ("pruning_course",)}
IMPORTS |= {"dense": (), "llm-compressor": ("llmcompressor", "datasets")}


def by_argsort(scores):
    lowest = scores.argsort(dim=1, stable=True)[:, : round(SPARSITY * scores.shape[1])]
    return torch.ones_like(scores, dtype=torch.bool).scatter_(1, lowest, False)


def by_ours(scores):
    from pruning_course import keep_per_row

    return keep_per_row({"": scores}, SPARSITY)[""]


SELECTION = {"keep_per_row": by_ours, "stable argsort": by_argsort}


@torch.inference_mode()
def perplexity(model, ids) -> float:
    losses = [
        torch.nn.functional.cross_entropy(model(input_ids=one[None], use_cache=False).logits[0, :-1], one[1:])
        for one in ids
    ]
    return math.exp(sum(map(float, losses)) / len(losses))


def measure_wanda(kind: str) -> dict:
    """Seconds of the imports and of the pruning, peak memory of the whole process, and the perplexity afterwards."""
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    start = time.perf_counter()
    for name in IMPORTS[kind]:
        import_module(name)
    imports = time.perf_counter() - start
    tokens = load_file(FILES / "tokens.safetensors")
    model = AutoModelForCausalLM.from_pretrained(FILES / "model", dtype=torch.float32).eval()
    start = time.perf_counter()
    WANDA[kind](model, tokens["calibration"])
    seconds, megabytes = time.perf_counter() - start, peak()
    layers = [layer.weight for name, layer in model.named_modules() if name.endswith("_proj")]
    zeros = sum(int((weight == 0).sum()) for weight in layers) / sum(weight.numel() for weight in layers)
    value = perplexity(model, tokens["measured"])
    return {"imports": imports, "seconds": seconds, "megabytes": megabytes, "perplexity": value, "sparsity": zeros}


def measure_selection(kind: str) -> dict:
    """Seconds, and the peak memory above what the process held before."""
    SELECTION[kind](torch.rand(64, WIDTH))  # the first call also loads code
    scores = torch.rand(ROWS, WIDTH, generator=torch.Generator().manual_seed(0))
    before, start = peak(), time.perf_counter()
    keep = SELECTION[kind](scores)
    return {"seconds": time.perf_counter() - start, "megabytes": peak() - before, "kept": int(keep.sum())}


def main():
    if not (FILES / "tokens.safetensors").exists():
        write_files()
    pythons = here(("dense", "pruning_course", "without undo"))
    try:
        pythons["llm-compressor"] = environment_with("llmcompressor")
    except RuntimeError as error:
        print(f"llm-compressor cannot be installed beside torch 2.13.0:\n{error}\n")
    title = f"Wanda, SmolLM2-135M, {SPARSITY:.0%}, {SAMPLES} x {LENGTH} tokens"
    print(f"{title}; perplexity on {MEASURED} x {LENGTH} tokens; {ROUNDS} rounds, {torch.get_num_threads()} threads")
    runs = in_turn(pythons, __file__, ROUNDS, "wanda")
    columns = {"imports": ".1f", "seconds": ".1f", "megabytes": ".0f", "perplexity": ".2f", "sparsity": ".4f"}
    print_medians(runs, columns)
    print_ratio(runs, "pruning_course", "llm-compressor", "seconds", "megabytes")
    print_ratio(runs, "without undo", "llm-compressor", "seconds", "megabytes")
    print(f"\nRow selection of {ROWS} x {WIDTH} scores, {SPARSITY:.0%}")
    runs = in_turn(here(SELECTION), __file__, ROUNDS, "selection")
    print_medians(runs, {"seconds": ".2f", "megabytes": ".0f", "kept": ",.0f"})
    print_ratio(runs, "keep_per_row", "stable argsort", "seconds", "megabytes")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["wanda", kind]:
            print(json.dumps(measure_wanda(kind)))
        case ["selection", kind]:
            print(json.dumps(measure_selection(kind)))
        case _:
            main()
