"""How many exercises are right."""

from collections.abc import Mapping

from pruning_course.teaching.checks import (
    choices,
    groups,
    heads,
    layers,
    masks,
    rounds,
    schedules,
    storage,
    structured,
    tickets,
    training,
    wanda,
)
from pruning_course.teaching.checks.check import Check
from pruning_course.teaching.checks.verdict import Verdict

MODULES = (masks, storage, groups, layers, schedules, rounds, wanda, structured, heads, training, tickets, choices)
CHECKS = {found.name: found for module in MODULES for found in vars(module).values() if isinstance(found, Check)}


def progress(functions: Mapping[str, object]) -> Verdict:
    """Run every check on the function of that name in `functions`, such as the `globals()` of a notebook."""
    verdicts = {name: CHECKS[name](answer) for name, answer in functions.items() if name in CHECKS}
    open_ones = [name for name, verdict in verdicts.items() if not verdict.passed]
    message = f"{len(verdicts) - len(open_ones)} of {len(CHECKS)} exercises are right."
    if open_ones:
        message += f" The next one is `{open_ones[0]}`."
    return Verdict(len(verdicts) - len(open_ones) == len(CHECKS), message)
