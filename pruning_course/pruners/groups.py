"""Which weights are compared with each other, in any layout of the weights."""

from collections.abc import Mapping

from torch import Tensor, nn

from pruning_course.models import out_in, shorten
from pruning_course.scores import Scores
from pruning_course.selection import keep_n_of_m, keep_per_row, keep_per_tensor


def keep_in_groups(
    layers: Mapping[str, nn.Module],
    group: str | tuple[int, int],
    scores: Mapping[str, Tensor],
    sparsity: float,
    among: Mapping[str, Tensor] | None,
) -> dict[str, Tensor]:
    """Select within `group`: the whole "tensor", the "row" of an output, or (n, m), n of m neighbours along the inputs.

    The other arguments and the result are those of the functions in `selection`, in the shapes of the weights.
    """
    if group == "tensor":
        return keep_per_tensor(scores, sparsity, among)
    # Rows are outputs, which a Conv1D stores as columns.
    by_output = Scores(scores, lambda name: out_in(layers[name], scores[name]))
    earlier = {name: out_in(layers[name], among[name]) for name in scores if name in among} if among else None
    if isinstance(group, str):
        keep = keep_per_row(by_output, sparsity, earlier)
    else:
        keep = keep_n_of_m(by_output, *group, among=earlier)
    return {name: out_in(layers[name], mask).contiguous() for name, mask in keep.items()}


def refuse_convolutions(layers: Mapping[str, nn.Module], who: str) -> None:
    """Raise ValueError if there is a convolution among `layers`, whose rows are not the inputs of one product."""
    convolutions = [name for name, layer in layers.items() if isinstance(layer, nn.Conv2d)]
    if convolutions:
        raise ValueError(f"{who} cannot prune convolutions: {shorten(convolutions)}; leave them out with exclude=.")
