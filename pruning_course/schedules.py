"""How the sparsity rises while a model trains: pure functions."""


def incremental_fraction(current: float, target: float) -> float:
    """The share of the weights that are LEFT which must go to raise the sparsity from `current` to `target`.

    (target - current) / (1 - current), both shares of the original count, from 0 to 1. This is what a relative
    `amount`, such as that of torch.nn.utils.prune, has to be. Raises ValueError for a share outside [0, 1] or a
    target below `current`: a mask only grows.
    """
    if not (0 <= current <= 1 and 0 <= target <= 1):
        raise ValueError(f"current is {current} and target is {target}; both are shares from 0 to 1.")
    if target < current:
        raise ValueError(f"The target {target} is below the current sparsity {current}; pruning only ever adds.")
    return 0.0 if target == current else (target - current) / (1 - current)
