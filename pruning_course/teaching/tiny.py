"""Attention that is small enough to take apart by hand."""

import torch
from torch import Tensor, nn


class TinyAttention(nn.Module):
    """Self-attention with `heads` heads of `size` channels each; a new one holds zeros.

    Head h owns the outputs h * size to (h + 1) * size - 1 of `query`, `key` and `value`, and those inputs of `output`.
    """

    def __init__(self, hidden: int, heads: int, size: int) -> None:
        super().__init__()
        self.hidden, self.heads, self.size = hidden, heads, size
        self.query, self.key, self.value = (nn.Linear(hidden, heads * size) for _ in range(3))
        self.output = nn.Linear(heads * size, hidden)
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def forward(self, inputs: Tensor) -> Tensor:
        """(tokens, hidden) to (tokens, hidden)."""
        query, key, value = (
            layer(inputs).unflatten(-1, (self.heads, self.size)).transpose(0, 1) for layer in self._qkv
        )
        weights = (query @ key.transpose(1, 2) / self.size**0.5).softmax(-1)  # (heads, tokens, tokens)
        outputs: Tensor = self.output((weights @ value).transpose(0, 1).flatten(1))
        return outputs

    @property
    def _qkv(self) -> tuple[nn.Linear, ...]:
        return self.query, self.key, self.value

    @classmethod
    def random(cls, hidden: int = 6, heads: int = 3, size: int = 2, seed: int = 0) -> "TinyAttention":
        """The same for the same seed, biases included."""
        attention, generator = cls(hidden, heads, size), torch.Generator().manual_seed(seed)
        for parameter in attention.parameters():
            nn.init.normal_(parameter, generator=generator)
        return attention
