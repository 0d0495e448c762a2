"""Measure how large the inputs of each layer are on real data: one norm for each input channel."""

from pruning_course.calibration.batches import Batch, as_batch, is_target, take_samples
from pruning_course.calibration.norms import NORMS, InputNorms, InputSums, input_norms, watch_inputs
from pruning_course.calibration.padding import merge_batches, split_square, take_real_rows
from pruning_course.calibration.running import calibration_mode, find_body, fit_batch, run_batch

__all__ = [
    "NORMS",
    "Batch",
    "InputNorms",
    "InputSums",
    "as_batch",
    "calibration_mode",
    "find_body",
    "fit_batch",
    "input_norms",
    "is_target",
    "merge_batches",
    "run_batch",
    "split_square",
    "take_real_rows",
    "take_samples",
    "watch_inputs",
]
