"""Modules that take the place of a layer that has lost all its attention heads or all its neurons."""

from typing import Any, cast

from torch import Tensor, nn
from transformers import Cache


class Constant(nn.Module):
    """What remains of a linear layer without inputs: its bias, or zeros if it had none.

    It takes any tensor (..., in) and returns (..., features).

    Args:
        features: the number of outputs of the layer.
        bias: (features,), or None.
    """

    def __init__(self, features: int, bias: nn.Parameter | None):
        super().__init__()
        self.features = features
        self.bias: nn.Parameter | None
        self.register_parameter("bias", bias)

    def forward(self, hidden: Tensor) -> Tensor:
        shape = (*hidden.shape[:-1], self.features)
        return hidden.new_zeros(shape) if self.bias is None else self.bias.expand(shape)

    def extra_repr(self) -> str:
        return f"{self.features}, bias={self.bias is not None}"


class HeadlessAttention(nn.Module):
    """What remains of an attention without attention heads: its output layer, a `Constant`, if that was a part of it.

    It is called like the attention in transformers 4 and 5, and returns (output, None), because there are no attention
    weights. A decoder asks the cache of its first layer how many tokens it has seen, so this module adds one key of one
    number for each token. In transformers 4, a block of Gemma 3 asks its attention whether it has a sliding window.
    """

    def __init__(self, layer_idx: int | None = None, is_sliding: bool | None = None):
        super().__init__()
        self.layer_idx = layer_idx
        self.is_sliding = is_sliding

    def forward(self, *args: Any, **kwargs: Any) -> tuple[Tensor, None]:
        arguments = [*args, *kwargs.values()]
        hidden: Tensor = arguments[0]  # (batch, tokens, hidden)
        # The argument is called past_key_value, past_key_values or cache, depending on the version of transformers.
        for cache in (value for value in arguments if isinstance(value, Cache)):
            key = hidden.new_zeros(hidden.shape[0], 1, hidden.shape[1], 1)
            cache = getattr(cache, "self_attention_cache", cache)
            layer_idx = cast(int, self.layer_idx)  # which every model with a cache has
            cache.update(key, key, layer_idx, {"cache_position": kwargs.get("cache_position")})
        for output in self.children():
            hidden = output(hidden)
        return hidden, None
