"""What stands in a model where a layer has lost all its heads or all its neurons."""

from torch import Tensor, nn
from transformers import Cache


class Constant(nn.Module):
    """What is left of a linear layer that has no inputs any more: its bias, or zeros where it had none.

    Args:
        features: outputs of the layer.
        bias: (features,), or None.

    Takes any tensor (..., in) and gives (..., features).
    """

    def __init__(self, features: int, bias: nn.Parameter | None):
        super().__init__()
        self.features = features
        self.register_parameter("bias", bias)

    def forward(self, hidden: Tensor) -> Tensor:
        shape = (*hidden.shape[:-1], self.features)
        return hidden.new_zeros(shape) if self.bias is None else self.bias.expand(shape)

    def extra_repr(self) -> str:
        return f"{self.features}, bias={self.bias is not None}"


class HeadlessAttention(nn.Module):
    """What is left of an attention without heads: its output layer, a `Constant`, where that stood inside it.

    It is called as the attention was, in transformers 4 and 5, and returns (output, None): there are no attention
    weights, so with `output_attentions` the block has None or is left out, as the version has it. A decoder asks the
    first layer's cache how many tokens there were, so this module notes as many as the other layers do: one key of one
    number for each token.
    """

    def __init__(self, layer_idx: int | None = None):
        super().__init__()
        self.layer_idx = layer_idx

    def forward(self, *args, **kwargs) -> tuple[Tensor, None]:
        given = [*args, *kwargs.values()]
        hidden = given[0]  # (batch, tokens, hidden)
        # The argument is called past_key_value, past_key_values or cache, as the version has it.
        for cache in (value for value in given if isinstance(value, Cache)):
            key = hidden.new_zeros(hidden.shape[0], 1, hidden.shape[1], 1)
            cache = getattr(cache, "self_attention_cache", cache)
            cache.update(key, key, self.layer_idx, {"cache_position": kwargs.get("cache_position")})
        for output in self.children():
            hidden = output(hidden)
        return hidden, None
