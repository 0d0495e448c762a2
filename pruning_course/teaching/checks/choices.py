"""Choosing a method (notebook 09)."""

from collections.abc import Mapping, Sequence

from pruning_course.teaching.checks.check import AS_FOUND, Case, Check, Mistake
from pruning_course.teaching.solutions.choices import structured_or_not

CHOICES: dict[str, str] = structured_or_not()  # type: ignore[no-untyped-call]  # solutions have no annotations
CPU, FILE, LOSS, GPU = CHOICES

check_structured_or_not = Check(
    "structured_or_not",
    [Case("Your answers", (), CHOICES)],
    [
        Mistake(lambda: dict.fromkeys(CHOICES), AS_FOUND),
        Mistake(
            lambda: dict.fromkeys(CHOICES, "structured"),
            "Structured pruning leaves no zeros: it removes whole rows and columns.",
            "Two of the four situations are about zeros that stay in the matrix.",
        ),
        Mistake(
            lambda: CHOICES | {FILE: "unstructured"},
            "A zero in a dense file has four bytes, like every other number (notebook 06).",
            "What makes a dense file smaller?",
        ),
        Mistake(
            lambda: CHOICES | {CPU: "unstructured"},
            "A dense kernel multiplies zeros like any number: notebook 06 measures no gain of time.",
            "What makes a dense product faster?",
        ),
        Mistake(
            lambda: CHOICES | {GPU: "unstructured"},
            "Sparse tensor cores skip zeros only if two of every four neighbours are zero; zeros anywhere do not help.",
            "S20: which pattern can such a GPU skip?",
        ),
        Mistake(
            lambda: CHOICES | {LOSS: "2:4"},
            "Notebook 05 measures it: with half of the weights at zero, perplexity is higher in this pattern than if "
            "the zeros of a row may be anywhere.",
            "Does anything in this situation need a pattern?",
        ),
    ],
    'Ask of each situation: who can make use of a zero? The answers are "structured", "unstructured" and "2:4".',
    tells=False,
)

VALIDATION = {"magnitude": 0.80, "gradual": 0.82, "wanda": 0.81}
TEST = {"magnitude": 0.83, "gradual": 0.79, "wanda": 0.825}

check_choose_and_report = Check(
    "choose_and_report",
    [
        Case("Three methods", (VALIDATION, TEST), ("gradual", 0.79)),
        Case("One method", ({"wanda": 0.5}, {"wanda": 0.4}), ("wanda", 0.4)),
    ],
    [
        Mistake(
            lambda validation, test: max(test.items(), key=lambda item: item[1]),
            AS_FOUND,
            "Which of the two sets may be looked at while one still chooses?",
        ),
        Mistake(
            lambda validation, test: max(validation.items(), key=lambda item: item[1]),
            "The choice is honest, but the F1 is that of the set that was chosen on; it flatters.",
            "Report the test F1 of the chosen method.",
        ),
        Mistake(
            lambda validation, test: max(((m, test[m]) for m in test), key=lambda item: validation[item[0]] + item[1]),
            "The test set has a say in the choice.",
            "Choose on validation alone.",
        ),
    ],
    "Choose on validation, then look up one number in `test`.",
)

KNOWN = {"magnitude": ["prune_layers", "global_pruning"], "wanda": ["prune_layers", "group", "norm"]}

Options = dict[str, object]


def _without_looking(known: Mapping[str, Sequence[str]], method: str, options: Options) -> Options:
    if method not in known:
        raise ValueError
    return options


def _key_error(known: Mapping[str, Sequence[str]], method: str, options: Options) -> Options:
    if set(options) - set(known[method]):
        raise ValueError
    return options


check_checked_options = Check(
    "checked_options",
    [
        Case("Known options", (KNOWN, "wanda", {"norm": "l1"}), {"norm": "l1"}),
        Case("No options", (KNOWN, "magnitude", {}), {}),
        Case("A schedule for magnitude", (KNOWN, "magnitude", {"schedule": "cubic"}), ValueError),
        Case("One known and one misspelt", (KNOWN, "wanda", {"norm": "l1", "gruop": "row"}), ValueError),
        Case("An unknown method", (KNOWN, "movement", {}), ValueError),
    ],
    [
        Mistake(
            lambda known, method, options: {k: v for k, v in options.items() if k in known.get(method, [])},
            AS_FOUND,
            "Somebody writes `gruop` for `group`. When will they find out?",
        ),
        Mistake(
            _without_looking,
            "The method is checked, its options are not: they fail later, far from the mistake.",
            "Compare the names in `options` with `known[method]`.",
        ),
        Mistake(
            _key_error,
            "A KeyError does not tell what is allowed.",
            "Treat an unknown method first: ValueError, with the methods that there are.",
        ),
        Mistake(lambda known, method, options: options, "Everything passes."),
    ],
    "Two questions, in this order: is the method known, and are all the options?",
)
