"""The laboratory: the course's own model and data, prepared once and read without the network.

Importing it is cheap; each name below is loaded when it is first used.
"""

from importlib import import_module

_HOME = {
    "CacheError": "cache",
    "MeanPooledClassifier": "encoder",
    "Phenotypes": "phenotypes",
    "WheelError": "wheels",
    "check_environment": "doctor",
    "dense_facts": "cache",
    "evaluate": "encoder",
    "load_batches": "encoder",
    "load_dense": "cache",
    "load_phenotypes": "phenotypes",
    "load_tokenizer": "encoder",
    "make_batches": "encoder",
    "predict": "encoder",
}
__all__ = list(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"pruning_course.lab has no {name!r}, only {', '.join(_HOME)}.")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
