import re
from pathlib import Path

import pandas as pd
import pytest
from nbval.plugin import get_sanitize_patterns

from pruning_course.teaching.about import about

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("number", "form", "shown"),
    [
        (0.0934, None, "≈ 0.093"),
        (0.0999, None, "≈ 0.10"),
        (0.8, None, "≈ 0.80"),
        (1, None, "≈ 1.0"),
        (9.96, None, "≈ 10"),
        (43.55, None, "≈ 44"),
        (45210.0, None, "≈ 45,000"),
        (-0.0123, None, "≈ -0.012"),
        (0.0, None, "≈ 0.0"),
        (0.8797, ".3f", "≈ 0.880"),
        (0.3712, ".0%", "≈ 37%"),
        (0.0123, "+.3f", "≈ +0.012"),
    ],
)
def test_a_number_has_two_significant_digits_or_its_form(number, form, shown):
    assert str(about(number, form)) == repr(about(number, form)) == f"{about(number, form)}" == shown


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_refused(number):
    with pytest.raises(ValueError, match="only a finite one"):
        about(number)


def test_only_measured_columns_of_a_table_are_marked():
    table = pd.DataFrame(
        {"method": ["random", "Wanda"], "F1": [0.1234, float("nan")], "left": [3, 5], "MB": [9.0, 8.0]}
    )
    shown = about(table)
    assert shown.to_dict("list") == {
        "method": ["random", "Wanda"],
        "F1": ["≈ 0.12", ""],
        "left": [3, 5],
        "MB": ["≈ 9.0", "≈ 8.0"],
    }
    assert about(table, {"left": ".0f"})["left"].tolist() == ["≈ 3", "≈ 5"]
    assert about(table, {"left": ".0f"})["MB"].tolist() == [9.0, 8.0]
    assert table["F1"][0] == 0.1234  # the table itself has not changed
    assert about(pd.DataFrame({3: [0.5]}))[3].tolist() == ["≈ 0.50"]
    with pytest.raises(KeyError):
        about(table, {"F2": ".3f"})


def sanitized(text: str) -> str:

    for regex, replacement in get_sanitize_patterns((ROOT / "tools/nbval.cfg").read_text(encoding="utf-8")):
        text = re.sub(regex, replacement, text)
    return text


def test_the_comparison_of_outputs_leaves_these_numbers_out_and_nothing_else():
    def table(f1: float, kept: int) -> str:
        return str(about(pd.DataFrame({"F1": [f1, 0.5], "kept": [kept, 1]}), ".3g"))

    assert sanitized(f"F1 is {about(0.88)}.") == sanitized(f"F1 is {about(-12345.0)}.")
    assert sanitized(f"{about(0.0123, '+.3f')} and 3") == sanitized(f"{about(-1.5, '+.3f')} and 3")
    assert sanitized(table(0.123456, 7)) == sanitized(table(1234.0, 7)) != sanitized(table(1234.0, 8))
    assert sanitized(f"{about(0.5)} of 3") != sanitized(f"{about(0.5)} of 4")
    assert sanitized("0.88") == "0.88"
    assert sanitized("|-----|\n|  x  |") == sanitized("|---|\n| x |")
