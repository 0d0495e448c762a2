"""A CSV file is read right, or refused with the number of a line; where pandas can mend it, with the call."""

import re

import pandas as pd
import pytest

from pruning_course.experiments import Source
from pruning_course.experiments.data import read_csv
from pruning_course.experiments.table import read_table


def save(folder, text: str | bytes):
    path = folder / "texts.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def rows(path) -> list[tuple[int, str, str]]:
    return read_table(path, "text", "label")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("text,label\na,pos\nb,neg\n", [(2, "a", "pos"), (3, "b", "neg")]),
        ("label,id,text\npos,1,a\nneg,2,b", [(2, "a", "pos"), (3, "b", "neg")]),
        ("\ufefftext,label\r\na,pos\r\n\r\nb,neg\r\n\r\n  \r\n", [(2, "a", "pos"), (4, "b", "neg")]),
        ("text,label\ra,pos\rb,neg\r", [(2, "a", "pos"), (3, "b", "neg")]),
        ('"text","label"\n"a, b","pos"\n"say ""b""",neg\n', [(2, "a, b", "pos"), (3, 'say "b"', "neg")]),
        (
            'text,label\n"Dear all,\n\nI like it, pos",pos\nb,neg\n',
            [(2, "Dear all,\n\nI like it, pos", "pos"), (5, "b", "neg")],
        ),
        ('text,label\n5" film,pos\n,neg\n', [(2, '5" film', "pos"), (3, "", "neg")]),
        ("text,label,\na,pos,\nb,neg,\n", [(2, "a", "pos"), (3, "b", "neg")]),
        ("text,label,id,id\na,NA,1,2\n", [(2, "a", "NA")]),
        ("text,label\nn\u2028e\x0b,pos\n", [(2, "n\u2028e\x0b", "pos")]),  # no line ends for a CSV file
    ],
)
def test_what_is_written_is_read(tmp_path, text, expected):
    assert rows(save(tmp_path, text)) == expected


def test_a_text_of_a_books_length(tmp_path):
    book = "a word, " * 30_000
    assert rows(save(tmp_path, f'text,label\n"{book}",pos\n')) == [(2, book, "pos")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "text,label\nParis, France,place\n",
            "line 2 has 3 cells, but the header has 2; put texts with commas in",
        ),
        ("text,label\na,pos,\nb,neg,\n", "line 2 has 3 cells, but the header has 2"),
        ("text,label\na,pos\nb\n", "line 3 has 1 cell, but the header has 2; each row needs a cell for each column"),
        ('text,label\n"a\nb",pos\nc,pos,neg\n', "line 4 has 3 cells"),
        ("text,label,label\na,pos,neg\n", "has 2 columns called 'label'; give each column its own name"),
        ("text,text,label\na,b,neg\n", "has 2 columns called 'text'"),
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("\ufeff", "is empty"),
        ("text,label\n\n", "has a header but no rows"),
        ("words,class\na,pos\n", "has no column 'text'; its columns are words, class"),
        ("text,toxic\na,1\nb,0\n", "has no column 'label'; its columns are text, toxic"),
        (b"PK\x03\x04\xff\x00\x00", "is not a text file; it must be a CSV file"),
    ],
)
def test_what_is_not_a_table_is_refused(tmp_path, text, says):
    path = save(tmp_path, text)
    with pytest.raises(ValueError) as caught:
        rows(path)
    assert says in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        # The quotation mark of line 3 ends before the text of line 5, in the middle of it, or never.
        (
            'text,label\na,pos\n"b,pos\nc,neg\n"d,neg\n',
            "opens a cell in line 3 of .* is closed in line 5 before its cell",
        ),
        ('text,label\n"very" good,pos\n', "opens a cell in line 2 of .* is closed in line 2 before"),
        ('text,label\na,pos\n"b,pos\nc,neg\n', "opens a cell in line 3 of .* is never closed"),
        ('text,label\na,pos\nb,"neg\nc,"pos\n', "opens a cell in line 3 of .* is closed in line 4 before"),
        # It ends at the end of a text: strictly a text of several lines, but each of them is a row.
        (
            'text,label\na,pos\n"b,pos\nc,neg\nsay d",neg\ne,neg\n',
            "lines 3 to 5 are one text .* look like rows; write",
        ),
        ('text,label\na,pos\nb,neg\nc,"pos\nd,neg"\n', "lines 4 to 5 are one text"),
        ('label,text\npos,"a\nneg,b\npos,c"\nneg,d\npos,e\n', "lines 2 to 4 are one text"),
    ],
)
def test_a_quotation_mark_that_swallows_rows_is_refused(tmp_path, text, says):
    with pytest.raises(ValueError, match=says):
        rows(save(tmp_path, text))


def mended(path, separator: str | None = None) -> tuple[list[str], list[list[str]]]:
    """What is read after the call of pandas that the refusal names."""
    with pytest.raises(ValueError) as caught:
        rows(path)
    [call] = re.findall(r"pandas\.read_csv.*?\.to_csv\(.*?\)(?= makes)", str(caught.value))
    exec(call, {"pandas": pd})
    return read_csv(Source("model", str(path.with_name("texts_copy.csv")), separator=separator))


MARKED = [("utf-16", "utf-16"), ("utf-16-le", "utf-16-le"), ("utf-16-be", "utf-16-be"), ("utf-32", "utf-32")]


@pytest.mark.parametrize(("written", "named"), [*MARKED, ("latin-1", "latin-1"), ("cp1252", "cp1252")])
def test_another_encoding_is_refused_with_the_call_that_helps(tmp_path, written, named):
    text = "café, thé" if written == "latin-1" else "café, “thé”"
    path = save(tmp_path, f'text,label\n"{text}",pos\nNA,01\n'.encode(written))
    with pytest.raises(ValueError, match=rf'encoding="{named}"'):
        rows(path)
    assert mended(path) == ([text, "NA"], [["pos"], ["01"]])


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
@pytest.mark.parametrize("header", ["text{}label", '"text"{}"label"'])
def test_another_delimiter_is_refused_with_the_call_that_helps(tmp_path, delimiter, header):
    path = save(tmp_path, f"{header}\na, b{{}}pos\nc{{}}neg\n".replace("{}", delimiter))
    assert mended(path) == (["a, b", "c"], [["pos"], ["neg"]])
    with pytest.raises(ValueError, match=r"separates its columns by .*, not by commas"):
        read_table(path, "words", "class")


def test_encoding_and_delimiter_are_mended_by_one_call(tmp_path):
    """As Excel saves a table in Europe, and as "Unicode text"."""
    for encoding, delimiter in (("latin-1", ";"), ("utf-16", "\t")):
        path = save(tmp_path, f"text{delimiter}label\nthé, café{delimiter}pos\nb{delimiter}neg\n".encode(encoding))
        assert mended(path) == (["thé, café", "b"], [["pos"], ["neg"]])


def test_quotation_marks_that_enclose_nothing_are_mended(tmp_path):
    path = save(tmp_path, 'text,label\n"a,pos\n"b,neg\n')
    assert mended(path) == (['"a', '"b'], [["pos"], ["neg"]])


def test_a_column_for_each_label_is_mended(tmp_path):
    path = save(tmp_path, 'id,text,toxic,a insult\n7,"a, b",1,0\n8,c,1,1\n9,d,0,0\n')
    assert mended(path, separator=";") == (["a, b", "c", "d"], [["toxic"], ["toxic", "a insult"], []])


def test_an_empty_label_is_refused_unless_there_can_be_none(tmp_path):
    path = save(tmp_path, 'text,label\n"a\nb",pos\nc, \nd,neg\n')
    with pytest.raises(ValueError, match="line 4 has an empty label; a text may be without a label only if"):
        read_csv(Source("model", str(path)))
    assert read_csv(Source("model", str(path), separator=";"))[1] == [["pos"], [], ["neg"]]
