"""Checks of the exercises: `check_x(function)` says whether `function` is right, and if not, what it looks like."""

from pruning_course.teaching.checks.check import Check
from pruning_course.teaching.checks.choices import (
    check_checked_options,
    check_choose_and_report,
    check_structured_or_not,
)
from pruning_course.teaching.checks.groups import (
    check_ffn_share,
    check_five_against_five,
    check_selected_sparsity,
)
from pruning_course.teaching.checks.heads import check_remove_head, check_silence_head
from pruning_course.teaching.checks.layers import check_attention_layers, check_untied
from pruning_course.teaching.checks.masks import (
    check_keep_exactly,
    check_keep_half,
)
from pruning_course.teaching.checks.progress import CHECKS, progress
from pruning_course.teaching.checks.rounds import check_forty_to_sixty, check_fraction_to_remove, check_sparsity_after
from pruning_course.teaching.checks.schedules import (
    check_cubic_sparsity,
    check_fast_then_slow,
    check_pruning_steps,
    check_slow_fast_slow,
)
from pruning_course.teaching.checks.storage import check_bytes_on_disk, check_current_weight, check_state_to_save
from pruning_course.teaching.checks.structured import check_keep_two_of_four, check_remove_neurons
from pruning_course.teaching.checks.tickets import check_winning_ticket
from pruning_course.teaching.checks.training import check_best_weights, check_step_and_hold
from pruning_course.teaching.checks.verdict import Verdict
from pruning_course.teaching.checks.wanda import check_keep_per_output, check_wanda_rescues, check_wanda_scores

__all__ = [
    "CHECKS",
    "Check",
    "Verdict",
    "check_attention_layers",
    "check_best_weights",
    "check_bytes_on_disk",
    "check_checked_options",
    "check_choose_and_report",
    "check_cubic_sparsity",
    "check_current_weight",
    "check_fast_then_slow",
    "check_ffn_share",
    "check_five_against_five",
    "check_forty_to_sixty",
    "check_fraction_to_remove",
    "check_keep_exactly",
    "check_keep_half",
    "check_keep_per_output",
    "check_keep_two_of_four",
    "check_pruning_steps",
    "check_remove_head",
    "check_remove_neurons",
    "check_selected_sparsity",
    "check_silence_head",
    "check_slow_fast_slow",
    "check_sparsity_after",
    "check_state_to_save",
    "check_step_and_hold",
    "check_structured_or_not",
    "check_untied",
    "check_wanda_rescues",
    "check_wanda_scores",
    "check_winning_ticket",
    "progress",
]
