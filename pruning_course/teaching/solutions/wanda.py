"""Wanda (notebook 05)."""
# mypy: allow-untyped-defs


def wanda_rescues():
    """(weights, inputs), two lists: at 50% magnitude removes the first weight and Wanda keeps it."""
    return [0.1, 0.3], [8.0, 1.0]


def wanda_scores(weight, inputs, mask):
    """abs(w) times the L2 norm of its input channel over all real tokens, in the shape of `weight` (out, in)."""
    rows = inputs if mask is None else inputs[mask]
    return weight.abs() * rows.norm(dim=0)


def keep_per_output(scores, sparsity):
    """The mask of `scores` (out, in) in which every row loses exactly round(sparsity * in): of equals the later."""
    ranks = scores.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    return ranks < scores.shape[1] - round(sparsity * scores.shape[1])
