"""Hold masks while a `transformers.Trainer` trains."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch.optim import Optimizer

if TYPE_CHECKING:
    from transformers import TrainerCallback


def make_callback(hold: Callable[[Optimizer], object], reapply: Callable[[], None]) -> "TrainerCallback":
    """Return a callback that calls `hold` with the optimizer of the Trainer, and `reapply` when training ends."""
    from transformers import TrainerCallback  # here, because it loads what only a Trainer needs

    class HoldCallback(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            hold(kwargs["optimizer"])

        def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            reapply()  # load_best_model_at_end may have loaded weights from before a pruning

    return HoldCallback()
