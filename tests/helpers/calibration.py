"""Batches of token ids for calibration, and what their norms are compared with."""

import torch
from torch import nn


def texts(lengths, seed: int = 0, pad_to: int | None = None, left: bool = False) -> dict:
    """One batch of token ids from 2 up, padded with 0 under its attention_mask."""
    generator = torch.Generator().manual_seed(seed)
    width = pad_to or max(lengths)
    ids = torch.zeros(len(lengths), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        place = slice(width - length, width) if left else slice(0, length)
        ids[row, place] = torch.randint(2, 64, (length,), generator=generator)
        mask[row, place] = 1
    return {"input_ids": ids, "attention_mask": mask}


def unpadded(batch: dict):
    """Each text of a batch by itself, without its padding."""
    real = batch["attention_mask"].bool()
    written = batch.get("decoder_attention_mask", batch.get("labels", real) != -100).bool()
    for row in range(len(real)):
        masks = {name: written if name == "labels" or "decoder" in name else real for name in batch}
        yield {name: tensor[row][masks[name][row]][None] for name, tensor in batch.items()}


def brute_force(model, layers, batches, power=2):
    """The norms from the inputs themselves, all kept, text by text: what `input_norms` must equal."""
    seen = {name: [] for name in layers}
    hooks = [
        layer.register_forward_hook(lambda _, args, __, name=name: seen[name].append(args[0].double()))
        for name, layer in layers.items()
    ]
    with torch.no_grad():
        for batch in batches:
            for text in unpadded(batch):
                model(**text)
    for hook in hooks:
        hook.remove()
    rows = {name: torch.cat([x.flatten(0, -2) for x in inputs]) for name, inputs in seen.items()}
    return {name: x.abs().pow(power).mean(0).pow(1 / power) for name, x in rows.items()}


def close(norms, expected, rtol=1e-5):
    assert list(norms) == list(expected)
    for name, norm in norms.items():
        torch.testing.assert_close(norm, expected[name], rtol=rtol, atol=1e-6)


class SkipsALayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.used, self.unused = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return self.used(x)
