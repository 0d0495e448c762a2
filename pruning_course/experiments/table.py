"""Read the texts and labels of a CSV file, or refuse it with the number of a line if it could be misread."""

import codecs
import csv
import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DELIMITERS = (";", "\t", "|")
LONGEST_HEADER = 100_000  # characters; the csv module refuses longer cells
MARKS = {  # byte order marks; UTF-32 comes first, because its mark begins with that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8-sig",
}
FLAGS = {"0", "1", "0.0", "1.0", "False", "True"}  # the cells of a column that says for one label which texts have it


@dataclass(frozen=True)
class Row:
    """The cells of a row, and the numbers of its first and last line, counted from 1."""

    cells: list[str]
    first: int
    last: int


def read_table(path: str | os.PathLike[str], text_column: str, label_column: str) -> list[tuple[int, str, str]]:
    """Return the line number, the text and the label of each row of the CSV file at `path`, without any conversion.

    The file must be UTF-8, with or without a byte order mark, and the delimiter a comma. A cell with commas, quotation
    marks (each written twice) or line breaks must be in quotes. Blank lines are skipped.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if the encoding or the delimiter is another one, a quotation mark is not closed at the end of its
            cell, a row has not as many cells as the header, a column is missing or occurs twice, or there is no row.
    """
    path = Path(path)
    text = _decoded(path, {text_column, label_column})
    rows = _rows(path, text)
    header = next(rows, None)
    if header is None:
        raise ValueError(f"{path} is empty; it needs a header that names the columns of texts and labels.")
    body = []
    for row in rows:
        _check_length(path, row, len(header.cells))
        body.append(row)
    text_place = _place_of(text_column, header, path)
    if label_column not in header.cells:
        _check_flags(path, header, body, text_column, label_column)
    label_place = _place_of(label_column, header, path)
    if not body:
        raise ValueError(f"{path} has a header but no rows; it needs a row for each text.")
    _check_swallowed(path, text, body, label_place)
    return [(row.first, row.cells[text_place], row.cells[label_place]) for row in body]


def _decoded(path: Path, wanted: set[str]) -> str:
    """Return the text of the file. Raises ValueError, with a remedy, if it is not UTF-8 or not separated by commas."""
    data = path.read_bytes()
    encoding = next((name for mark, name in MARKS.items() if data.startswith(mark)), "utf-8-sig")
    if encoding == "utf-8-sig" and b"\0" in data[:2]:  # UTF-16 without its byte order mark
        encoding = "utf-16-be" if data[:1] == b"\0" else "utf-16-le"
    faults: list[str] = []
    options: dict[str, object] = {}
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if b"\0" in data:
            raise ValueError(f"{path} is not a text file; it must be a CSV file.") from error
        # They differ in 32 bytes only, where Windows has quotation marks and dashes.
        encoding = "cp1252" if any(0x80 <= byte < 0xA0 for byte in data) else "latin-1"
        text = data.decode(encoding, errors="replace")
        line = data.count(b"\n", 0, error.start) + 1
        faults = [f"is not UTF-8 in line {line} (it may be {encoding})"]
    if encoding.startswith(("utf-16", "utf-32")):
        faults = [f"is {encoding.upper()}, not UTF-8"]
    if faults:
        options["encoding"] = encoding
    delimiter = _delimiter(text, wanted)
    if delimiter != ",":
        faults.append(f"separates its columns by {_quoted(delimiter)}, not by commas")
        options["sep"] = delimiter
    if faults:
        raise ValueError(f"{path} {' and '.join(faults)}; {_remedy(path, **options)}.")
    return text


def _delimiter(text: str, wanted: set[str]) -> str:
    """Return the delimiter: a comma, unless only another one splits the first line into the `wanted` columns."""
    line = next((line for line in io.StringIO(text, newline="") if line.strip()), "")[:LONGEST_HEADER]
    columns = {delimiter: next(csv.reader([line], delimiter=delimiter), []) for delimiter in (",", *DELIMITERS)}
    if not wanted <= set(columns[","]):
        for delimiter in DELIMITERS:
            if wanted <= set(columns[delimiter]) or len(columns[","]) == 1 < len(columns[delimiter]):
                return delimiter
    return ","


def _rows(path: Path, text: str) -> Iterator[Row]:
    """Yield the header and the rows that are not blank. Raises ValueError if a quotation mark is not closed."""
    before = csv.field_size_limit(max(len(text), csv.field_size_limit()))  # too low for a text as long as a book
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        while True:
            first = reader.line_num + 1
            cells = next(reader, None)
            if cells is None:
                return
            if len(cells) > 1 or "".join(cells).strip():
                yield Row(cells, first, reader.line_num)
    except csv.Error as error:
        fault = "is never closed"
        if "expected after" in str(error):
            fault = f"is closed in line {reader.line_num} before its cell ends"
        raise ValueError(
            f"The quotation mark that opens a cell in line {first} of {path} {fault}; put a text with quotation marks "
            "in quotes and write each of them twice, or, if the file never puts a cell in quotes, "
            f"{_remedy(path, quoting=3)}."
        ) from error
    finally:
        csv.field_size_limit(before)


def _check_length(path: Path, row: Row, columns: int) -> None:
    cells = len(row.cells)
    if cells != columns:
        advice = "put texts with commas in quotes" if cells > columns else "each row needs a cell for each column"
        raise ValueError(
            f"In {path}, line {row.first} has {cells} cell{'s' * (cells != 1)}, but the header has {columns}; {advice}."
        )


def _place_of(column: str, header: Row, path: Path) -> int:
    count = header.cells.count(column)
    if count == 0:
        raise ValueError(f"{path} has no column {column!r}; its columns are {', '.join(header.cells)}.")
    if count > 1:
        raise ValueError(f"{path} has {count} columns called {column!r}; give each column its own name.")
    return header.cells.index(column)


def _check_flags(path: Path, header: Row, body: list[Row], text_column: str, label_column: str) -> None:
    """Raise ValueError, with a remedy, if each label has its own column of 0 and 1."""
    names = [name for place, name in enumerate(header.cells) if {row.cells[place] for row in body} <= FLAGS]
    if body and len(names) > 1:
        call = (
            f"pandas.read_csv({_quoted(path)}).set_index({_quoted(text_column)})[{_quoted(names)}].astype(int)"
            f'.pipe(lambda t: t.dot(t.columns + ";")).str.rstrip(";").to_csv({_quoted(_copy(path))}, '
            f"header=[{_quoted(label_column)}])"
        )
        raise ValueError(
            f"{path} has no column {label_column!r}, but columns of 0 and 1 ({', '.join(names)}); if each of them is "
            f"for one label, {call} makes a copy with one column of labels, separated by ';'."
        )


def _check_swallowed(path: Path, text: str, body: list[Row], label_place: int) -> None:
    """Raise ValueError if most lines of a row look like rows: a stray quotation mark has joined them to one text."""
    if all(row.first == row.last for row in body):
        return
    lines = io.StringIO(text, newline="").readlines()
    labels = {row.cells[label_place] for row in body if row.first == row.last} - {""}
    for row in body:
        own = lines[row.first - 1 : row.last]
        alone = [cells for cells in csv.reader(own, quoting=csv.QUOTE_NONE) if len(cells) == len(row.cells)]
        like_rows = sum(cells[label_place].strip('"') in labels for cells in alone)
        if len(own) > 1 and 2 * like_rows > len(own):
            raise ValueError(
                f"In {path}, lines {row.first} to {row.last} are one text in quotation marks, but most of them look "
                "like rows; write a quotation mark that belongs to a text twice, and put that text in quotes."
            )


def _remedy(path: Path, **options: object) -> str:
    """Return a sentence with a call of pandas that makes a readable copy of the file, with unchanged cells."""
    arguments = ", ".join(f"{name}={_quoted(value)}" for name, value in options.items())
    read = f"pandas.read_csv({_quoted(path)}, {arguments}, dtype=str, keep_default_na=False)"
    return f"{read}.to_csv({_quoted(_copy(path))}, index=False) makes a copy that can be read"


def _copy(path: Path) -> Path:
    return path.with_name(f"{path.stem}_copy.csv")


def _quoted(value: object) -> str:
    """Return `value` as a Python literal, with double quotation marks."""
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)
