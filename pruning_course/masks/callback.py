"""Hold masks while a `transformers.Trainer` trains."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import TrainerCallback

    from pruning_course.masks.masks import Masks


def make_callback(masks: "Masks") -> "TrainerCallback":
    """Return a callback that holds the optimizer of the Trainer, and sets pruned weights to 0 when training ends."""
    from transformers import TrainerCallback  # here, because it loads what only a Trainer needs

    class HoldCallback(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            masks.hold(kwargs["optimizer"])

        def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            masks.reapply()  # load_best_model_at_end may have loaded weights from before a pruning

    return HoldCallback()
