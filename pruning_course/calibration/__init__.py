"""Measure how large the inputs of each layer are on real data: one norm for each input channel."""

from pruning_course.calibration.batches import Batch, as_batch, merge_batches, run_batch, take_samples
from pruning_course.calibration.norms import (
    NORMS,
    InputNorms,
    InputSums,
    calibration_mode,
    find_body,
    input_norms,
    take_real_rows,
    watch_inputs,
)

__all__ = [
    "NORMS",
    "Batch",
    "InputNorms",
    "InputSums",
    "as_batch",
    "calibration_mode",
    "find_body",
    "input_norms",
    "merge_batches",
    "run_batch",
    "take_real_rows",
    "take_samples",
    "watch_inputs",
]
