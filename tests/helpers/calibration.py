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
