"""The solutions of the exercises: `x` is what `teaching.checks.check_x` asks for.

They have no type annotations, because they are the very functions that the notebook of solutions shows (a test compares
them), and learners write none.
"""

from pruning_course.teaching.solutions.choices import checked_options, choose_and_report, structured_or_not
from pruning_course.teaching.solutions.groups import (
    attention_layers,
    ffn_share,
    five_against_five,
    selected_sparsity,
    untied,
)
from pruning_course.teaching.solutions.masks import (
    bytes_on_disk,
    current_weight,
    keep_exactly,
    keep_half,
    state_to_save,
)
from pruning_course.teaching.solutions.schedules import (
    cubic_sparsity,
    fast_then_slow,
    forty_to_sixty,
    fraction_to_remove,
    pruning_steps,
    slow_fast_slow,
    sparsity_after,
)
from pruning_course.teaching.solutions.structured import (
    keep_two_of_four,
    remove_head,
    remove_neurons,
    silence_head,
)
from pruning_course.teaching.solutions.training import best_weights, step_and_hold, winning_ticket
from pruning_course.teaching.solutions.wanda import keep_per_output, wanda_rescues, wanda_scores

__all__ = [
    "attention_layers",
    "best_weights",
    "bytes_on_disk",
    "checked_options",
    "choose_and_report",
    "cubic_sparsity",
    "current_weight",
    "fast_then_slow",
    "ffn_share",
    "five_against_five",
    "forty_to_sixty",
    "fraction_to_remove",
    "keep_exactly",
    "keep_half",
    "keep_per_output",
    "keep_two_of_four",
    "pruning_steps",
    "remove_head",
    "remove_neurons",
    "selected_sparsity",
    "silence_head",
    "slow_fast_slow",
    "sparsity_after",
    "state_to_save",
    "step_and_hold",
    "structured_or_not",
    "untied",
    "wanda_rescues",
    "wanda_scores",
    "winning_ticket",
]
