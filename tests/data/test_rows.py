"""Published files as rows: each is taken or rejected, and a broken file is told from a broken row."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.data.rows import (
    LONGEST_LINE,
    Account,
    RowFault,
    Taken,
    distinct,
    json_array,
    json_lines,
    lines,
    parsed,
    plain_lines,
    table,
)
from orca_guard.errors import BadInput
from orca_guard.items import Rejected


def written(path: Path, data: str | bytes) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def numbers(path: Path) -> Iterator[Taken[float] | Rejected]:
    return parsed(table(path, ("name", "number")), number)


def number(fields: Mapping[str, Any]) -> Taken[float]:
    try:
        return Taken(float(fields["number"]), ("a sign was mended",) if "+" in fields["number"] else ())
    except ValueError as error:
        raise RowFault("number is none") from error


def test_every_row_of_a_table_is_accounted_for(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", '\ufeffname,number\na,1\n"b, c",+2\n\nd,three\ne,4,5\n"two\nlines",6\n')
    account = Account()
    for row in numbers(path):
        account.add(row)
    assert (account.rows, account.taken) == (5, 3)
    assert account.rejected == {"number is none": 1, "it has another number of values than the header": 1}
    assert account.repaired == {"a sign was mended": 1}


@given(rows=st.lists(st.tuples(st.text(st.characters(codec="utf-8", exclude_characters="\r\x00")), st.integers())))
def test_a_table_comes_back_as_it_was_written(rows: list[tuple[str, int]], tmp_path_factory: Any) -> None:
    text = "".join(f'"{name.replace(chr(34), chr(34) * 2)}",{value}\n' for name, value in rows)
    path = written(tmp_path_factory.mktemp("t") / "t.csv", f"name,number\n{text}")
    found = [
        (row.fields["name"], int(row.fields["number"])) for row in table(path, ()) if not isinstance(row, Rejected)
    ]
    assert found == rows


def test_quotes_are_text_where_tabs_separate(tmp_path: Path) -> None:
    path = written(tmp_path / "t.tsv", 'name\tnumber\nhe said "no\t1\n')
    assert [row.fields for row in table(path, (), separator="\t") if not isinstance(row, Rejected)] == [
        {"name": 'he said "no', "number": "1"}
    ]


def test_what_is_packed_is_unpacked_whatever_its_name(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", gzip.compress(b"name,number\na,1\n"))
    assert [row.value for row in numbers(path) if not isinstance(row, Rejected)] == [1.0]


def test_a_repeated_row_is_rejected_and_counted() -> None:
    rows: list[Taken[str] | Rejected] = [Taken("a"), Rejected(2, "why"), Taken("b"), Taken("a")]
    assert [*distinct(rows)] == [Taken("a"), Rejected(2, "why"), Taken("b"), Rejected(4, "it repeats an earlier row")]


def test_a_line_keeps_its_blanks(tmp_path: Path) -> None:
    path = written(tmp_path / "t.txt", "- one\\n- \r\n two \n\nlast")
    assert [r.fields["text"] for r in plain_lines(path) if not isinstance(r, Rejected)] == [
        "- one\\n- ",
        " two ",
        "",
        "last",
    ]


BROKEN = {
    "it ends before what was packed does": gzip.compress(b"name,number\n" + b"a,1\n" * 9000)[:-20],
    "it cannot be read or unpacked": gzip.compress(b"name,number\na,1\n")[:10] + b"\xff" * 30,
    "no column number; there is name, nummer": b"name,nummer\na,1\n",
    "no column name, number; there is nothing": b"",
    "two columns have one name": b"name,number,name\na,1,b\n",
    "line 2: not UTF-8": b"name,number\n\xff,1\n",
    "unexpected end of data": b'name,number\n"a,1\n',
}


@pytest.mark.parametrize("words", BROKEN)
def test_a_broken_table_is_an_error_that_names_it(words: str, tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", BROKEN[words])
    with pytest.raises(BadInput, match=words) as caught:
        list(numbers(path))
    assert str(path) in str(caught.value)


def test_a_line_of_100_megabytes_is_an_error_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(b"name,number\n")
        for _ in range(100):
            stream.write(b"a" * (1 << 20))
    with pytest.raises(BadInput, match=f"line 2: longer than {LONGEST_LINE} bytes"):
        list(numbers(path))


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"cannot read .*: No such file"):
        list(lines(tmp_path / "nowhere.csv"))


BROKEN_JSON = {
    "a key stands twice": b'{"a": 1, "a": 2}',
    "NaN is no number": b'{"a": NaN}',
    "not valid JSON": b'{"a": ',
    "not an object": b"[1]",
    "no column a; there is b": b'{"b": 1}',
}


@pytest.mark.parametrize("words", BROKEN_JSON)
def test_broken_json_is_an_error_with_its_line(words: str, tmp_path: Path) -> None:
    path = written(tmp_path / "t.jsonl", b'{"a": 1}\n\n' + BROKEN_JSON[words] + b"\n")
    with pytest.raises(BadInput, match=words) as caught:
        list(json_lines(path, ("a",)))
    assert " 3" in str(caught.value) or "t.jsonl: " in str(caught.value)


@pytest.mark.parametrize("words", BROKEN_JSON)
def test_a_broken_array_is_an_error(words: str, tmp_path: Path) -> None:
    path = written(tmp_path / "t.json", b'[{"a": 1}, ' + BROKEN_JSON[words] + b"]")
    with pytest.raises(BadInput, match=words):
        list(json_array(path, ("a",)))


def test_json_that_is_no_array_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no JSON array"):
        list(json_array(written(tmp_path / "t.json", '{"a": 1}'), ("a",)))


def test_deep_json_is_an_error_and_no_crash(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not valid JSON"):
        list(json_lines(written(tmp_path / "t.jsonl", "[" * 100_000), ()))


@given(rows=st.lists(st.fixed_dictionaries({"a": st.text(st.characters(codec="utf-8"))}), max_size=5))
def test_an_array_and_lines_say_the_same(rows: list[dict[str, str]], tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("t")
    one = written(folder / "t.json", json.dumps(rows, ensure_ascii=False))
    other = written(folder / "t.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))
    assert list(json_array(one, ("a",))) == list(json_lines(other, ("a",)))
