"""The laboratory: the course's own model and data, prepared once and read without the network.

Importing it is cheap; each name below is loaded when it is first used.
"""

from importlib import import_module
from typing import Any

from pruning_course.extras import extra

_HOME = {
    "CacheError": "cache",
    "Digits": "digits",
    "MeanPooledClassifier": "encoder",
    "Perplexity": "language_model",
    "Phenotypes": "phenotypes",
    "RunningText": "language_model",
    "WheelError": "wheels",
    "accuracy": "digits",
    "calibration_windows": "language_model",
    "check_environment": "doctor",
    "complete": "language_model",
    "definition_text": "language_model",
    "dense_facts": "cache",
    "digit_batches": "digits",
    "evaluate": "encoder",
    "free_memory": "language_model",
    "load_batches": "encoder",
    "load_dense": "cache",
    "load_digits": "digits",
    "load_language_model": "language_model",
    "load_phenotypes": "phenotypes",
    "load_tokenizer": "encoder",
    "make_batches": "encoder",
    "make_mlp": "digits",
    "milliseconds": "timing",
    "perplexity": "language_model",
    "predict": "encoder",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"pruning_course.lab has no {name!r}, only {', '.join(_HOME)}.")
    with extra("course"):
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
