"""Whether the weights of a model are there as numbers, in the memory of this process."""

from torch import nn
from torch.nn.parameter import is_lazy

SHARDED = ("device_mesh", "_is_flat_param", "ds_id")  # attributes of the parameters of FSDP2, FSDP1 and DeepSpeed


def check_visible(model: nn.Module) -> None:
    """Make sure that every parameter of `model` has all its values in the memory of this process.

    Raises ValueError if one is on the meta device, as offloaded weights are, belongs to a lazy layer that has not seen
    data, or is spread over several processes.
    """
    for name, parameter in model.named_parameters():
        if is_lazy(parameter):
            raise ValueError(f"{name} belongs to a lazy layer without values; run the model once on a batch first.")
        if parameter.is_meta:
            raise ValueError(
                f"{name} is on the meta device, so it has no values here; load the model without offloading first."
            )
        if any(hasattr(parameter, attribute) for attribute in SHARDED):
            raise ValueError(
                f"{name} is sharded over several processes, and this one cannot see all its values; prune the model "
                "before it is sharded."
            )
