"""Choosing a method (notebook 09)."""
# mypy: allow-untyped-defs


def structured_or_not():
    """For each situation "structured", "unstructured" or "2:4"."""
    return {
        "the model must answer faster on a CPU, with dense kernels": "structured",
        "the file of dense matrices, not compressed, must get smaller": "structured",
        "half of the weights become zeros, and only perplexity counts": "unstructured",
        "sparse tensor cores of a GPU must skip half of the weights": "2:4",
    }


def choose_and_report(validation, test):
    """(method, its test F1), chosen honestly; both arguments are dicts from method to F1."""
    best = max(validation, key=validation.get)
    return best, test[best]


def checked_options(known, method, options):
    """`options`, if `known` (method to a list of option names) has the method and all of them; else ValueError."""
    if method not in known:
        raise ValueError(f"method is {method!r}; the methods are {', '.join(known)}.")
    unknown = [name for name in options if name not in known[method]]
    if unknown:
        raise ValueError(f"{method} has no option {', '.join(unknown)}; it has {', '.join(known[method])}.")
    return options
