"""The laboratory: the course's own model and data, prepared once and read without the network.

Importing it is cheap; each name below is loaded when it is first used.
"""

from pruning_course.extras import load_lazily

_HOME = {
    "CacheError": "cache",
    "Digits": "digits",
    "MeanPooledClassifier": "encoder",
    "Perplexity": "language_model",
    "Phenotypes": "phenotypes",
    "RunningText": "language_model",
    "SavedWeights": "saved_weights",
    "WheelError": "wheels",
    "accuracy": "digits",
    "calibration_windows": "language_model",
    "check_environment": "doctor",
    "complete": "language_model",
    "definition_text": "language_model",
    "dense_facts": "cache",
    "digit_batches": "digits",
    "evaluate": "encoder",
    "fit_thresholds": "thresholds",
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
__getattr__ = load_lazily(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
