"""How large the inputs of each layer are on real data: batches in, one norm for each input channel out."""

from pruning_course.calibration.batches import Batch, as_batch, merged, run, take_samples
from pruning_course.calibration.norms import (
    NORMS,
    InputNorms,
    InputSums,
    calibrating,
    input_norms,
    part_to_run,
    real_rows,
    watched,
)

__all__ = [
    "NORMS",
    "Batch",
    "InputNorms",
    "InputSums",
    "as_batch",
    "calibrating",
    "input_norms",
    "merged",
    "part_to_run",
    "real_rows",
    "run",
    "take_samples",
    "watched",
]
