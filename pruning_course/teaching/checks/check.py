"""A check runs a learner's function on fixed cases and says what is wrong, and which known mistake it looks like."""

import copy
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pruning_course.teaching.checks.compare import difference, difference_untold, kind_problem, plain, same
from pruning_course.teaching.checks.verdict import Verdict

AS_FOUND = "This is the result of the function as you found it; nothing has changed yet."
NEARLY_AS_FOUND = "The mistake of the function as you found it is still there."
# What the exercises may use; their notebook imports it in its first cell.
IMPORTED = frozenset({"TinyAttention", "copy", "keep_globally", "math", "nn", "torch"})
FROM_NOTEBOOK = object()  # in place of a function: look for it in the notebook

Answer = Callable[..., Any]  # a learner's function, or a wrong one: it may take and return anything


class Case(NamedTuple):
    told: str  # what is special about it, as the learner reads it
    given: tuple[object, ...]
    expected: object  # a value, or the class of the exception that must be raised


class Mistake(NamedTuple):
    function: Answer
    says: str  # which mistake it is
    hint: str = ""  # where to look next; not shown for AS_FOUND, which everybody sees who runs all cells


class Outcome(NamedTuple):
    value: object = None
    error: Exception | None = None
    changed: bool = False  # the function changed what it was given


class WrongKind(Exception):
    """Raised by a `run` that cannot look at an answer: what it should be, in a sentence."""


class Check:
    """`check(function) -> Verdict`; without an argument it takes the function of its name from the notebook.

    Args:
        name: what the function is called in the exercise.
        cases: what it is run on; it gets copies.
        mistakes: wrong answers to compare with, the one that fits best is named. Each fails in at least one case.
        hint: for an answer that is wrong in a way of its own.
        run: calls the function on what a case gives, and returns what is compared; needed where the answer is no plain
            data. It returns None when the function does.
        tells: whether a verdict says what was expected; not where that is the whole answer.
    """

    def __init__(
        self,
        name: str,
        cases: Sequence[Case],
        mistakes: Sequence[Mistake],
        hint: str,
        run: Answer | None = None,
        tells: bool = True,
    ) -> None:
        self.name = name
        self.cases = cases
        self.mistakes = mistakes
        self.hint = hint
        self.difference = difference if tells else difference_untold
        self._run: Answer = run or (lambda function, *given: function(*given))
        self.__doc__ = f"Run {name} on {len(cases)} cases; returns a Verdict."

    def __call__(self, function: object = FROM_NOTEBOOK) -> Verdict:
        if function is FROM_NOTEBOOK:
            # A name that is not there would end in a traceback if the cell of the check itself asked for it.
            function = vars(sys.modules["__main__"]).get(self.name, FROM_NOTEBOOK)
        if function is FROM_NOTEBOOK:
            return Verdict(False, f"`{self.name}` is not defined yet: run the cell above first.")
        if not callable(function):
            return Verdict(False, f"Pass the function itself, without brackets: `check_{self.name}({self.name})`.")
        outcomes = [self._outcome(function, case) for case in self.cases]
        if missing := next(filter(None, map(not_imported, outcomes)), ""):
            return Verdict(False, f"`{missing}` is not defined yet: run the cell with the imports, at the top, first.")
        if all(not_done(outcome) for outcome in outcomes):
            return Verdict(False, f"`{self.name}` is still to be written: it returns None.")
        for place, (case, outcome) in enumerate(zip(self.cases, outcomes, strict=True)):
            problem = self._problem(case, outcome)
            if problem:
                return self._explained(f"{case.told}: {problem}", outcomes, place)
        count = len(self.cases)
        return Verdict(True, f"`{self.name}`: {count} of {count} case{'s' if count > 1 else ''}.")

    def _outcome(self, function: Answer, case: Case) -> Outcome:
        given = copy.deepcopy(case.given)
        try:
            value = self._run(function, *given)
        except Exception as error:  # whatever a learner's function raises is told, and must not stop the notebook
            return Outcome(error=error)
        return Outcome(plain(value), changed=not same(given, case.given))

    def _problem(self, case: Case, outcome: Outcome) -> str:
        """What is wrong with this outcome, in a sentence; "" if nothing is."""
        wanted = case.expected if isinstance(case.expected, type) else None  # the class of an exception
        if isinstance(outcome.error, WrongKind):
            return str(outcome.error)
        if outcome.error is not None:
            if wanted and isinstance(outcome.error, wanted):
                return ""
            instead = f" instead of {wanted.__name__}" if wanted else ""
            text = str(outcome.error).split("\n")[0]
            return f"it raises {type(outcome.error).__name__}{instead} ({text})."
        if wanted:
            return f"it should raise {wanted.__name__}, and returns a value."
        if outcome.value is None:
            return "it returns None."
        if outcome.changed:
            return "it changes the tensors that it is given; work on a copy."
        if same(outcome.value, case.expected):
            return ""
        return kind_problem(outcome.value, case.expected) or self.difference(outcome.value, case.expected)

    def _explained(self, message: str, outcomes: list[Outcome], place: int) -> Verdict:
        """Name the known mistake that gives the same answers: in all cases, or at `place` and in most of the others."""
        most, nearest = len(self.cases) // 2, None
        for mistake in self.mistakes:
            agrees = [alike(o, self._outcome(mistake.function, c)) for o, c in zip(outcomes, self.cases, strict=True)]
            if agrees[place] and sum(agrees) > most:
                most, nearest = sum(agrees), mistake
        if nearest is None:
            return Verdict(False, message, self.hint)
        says = nearest.says
        if most < len(self.cases):  # a relative of it
            says = NEARLY_AS_FOUND if says == AS_FOUND else f"It looks like this mistake: {says}"
        if says == AS_FOUND:  # nothing was tried yet, and the hints of the task are still folded
            return Verdict(False, f"{message} {says}")
        return Verdict(False, f"{message} {says}", nearest.hint or self.hint)


def not_done(outcome: Outcome) -> bool:
    return isinstance(outcome.error, NotImplementedError) or (outcome.error is None and outcome.value is None)


def not_imported(outcome: Outcome) -> str:
    """The name that the function lacks because the cell with the imports was not run; "" if that is not the trouble."""
    name = outcome.error.name if type(outcome.error) is NameError else ""
    return name if name in IMPORTED else ""


def alike(one: Outcome, other: Outcome) -> bool:
    if one.error is not None or other.error is not None:
        return type(one.error) is type(other.error)
    return one.changed == other.changed and same(one.value, other.value)
