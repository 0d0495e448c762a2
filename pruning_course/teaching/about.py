"""Numbers that differ a little between machines, shown as `≈ 0.88`; the comparison of outputs leaves them out."""

import math
from collections.abc import Mapping
from typing import Any, overload

import pandas as pd

MARK = "≈"
DIGITS = 2  # significant ones, unless a form says otherwise


class About(str):
    """Text that a notebook shows without quotation marks."""

    def __repr__(self) -> str:
        return str(self)


@overload
def about(value: float, form: str | None = None) -> About: ...
@overload
def about(value: pd.DataFrame, form: str | Mapping[str, str] | None = None) -> pd.DataFrame: ...


def about(value: Any, form: Any = None) -> Any:
    """Mark a measured number, or the floating-point columns of a table, as about that large.

    Args:
        value: a number or a DataFrame. NaN in a DataFrame becomes an empty cell.
        form: how to write the number, in the language of `format`, such as ".3f" or ".0%". For a DataFrame it can be a
            dict from columns to their forms; its other columns then stay as they are. Without it, a number has two
            significant digits.

    Raises:
        ValueError: if a number is not finite.
        KeyError: if a column in `form` is not in the table.

    >>> about(0.0934), about(0.3712, ".0%"), about(45210.0)
    (≈ 0.093, ≈ 37%, ≈ 45,000)
    """
    if not isinstance(value, pd.DataFrame):
        return _write(float(value), form)
    forms = form if isinstance(form, Mapping) else dict.fromkeys(value.select_dtypes("floating").columns, form)
    table = value.copy()
    for name, one in forms.items():
        table[name] = value[name].map(lambda number, one=one: "" if pd.isna(number) else _write(number, one))
    return table


def _write(number: float, form: str | None) -> About:
    if not math.isfinite(number):
        raise ValueError(f"The number is {number}; only a finite one can be shown.")
    if form is not None:
        return About(f"{MARK} {number:{form}}")
    # 0.0934 becomes 0.093, 0.8 becomes 0.80, 45210 becomes 45,000; 0.0999 is rounded first and becomes 0.10.
    places = DIGITS - 1 - int(f"{number:.{DIGITS - 1}e}".split("e")[1])
    return About(f"{MARK} {round(number, places):,.{max(places, 0)}f}")
