"""Packs: rows become items, or are refused by line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orca_guard.errors import BadInput
from orca_guard.packs import read_pack


def write(path: Path, *rows: Any) -> Path:
    path.write_bytes(b"\n".join(r if isinstance(r, bytes) else json.dumps(r).encode() for r in rows) + b"\n")
    return path


def test_questions_and_requests(tmp_path: Path) -> None:
    question, request = read_pack(
        write(
            tmp_path / "p.jsonl",
            {"id": 1, "prompt": "2 + 2?", "form": "number", "gold": 4, "cluster": "c", "groups": {"kind": "sum"}},
            {"id": "b", "context": "It is", "continuations": [" so", " not"], "gold": [0, 1]},
        )
    )
    assert question.question
    assert (question.id, question.question.id, question.question.form) == ("1", "1", "number")
    assert (question.gold, question.cluster, question.groups) == (("4",), "c", {"kind": "sum"})
    assert request.request
    assert (request.request.context, request.request.continuations, request.gold) == (
        "It is",
        (" so", " not"),
        ("0", "1"),
    )


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (b"{", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"3", "not an object"),
        ({"prompt": "a"}, "an item has an id"),
        ({"id": "", "prompt": "a"}, "an item has an id"),
        ({"id": "x"}, "either a prompt or messages"),
        ({"id": "x", "prompt": "a", "golden": "b"}, "unknown key 'golden': did you mean 'gold'"),
        ({"id": "x", "prompt": "a", "gold": {"a": 1}}, "gold is a text"),
        ({"id": "x", "prompt": "a", "gold": True}, "gold is a text"),
        ({"id": "x", "prompt": "a", "groups": {"a": 1}}, "groups is an object of texts"),
        ({"id": "x", "continuations": []}, "none of them empty"),
        ({"id": "x", "continuations": ["a", ""]}, "none of them empty"),
        ({"id": "x", "continuations": ["a"], "gold": 1}, "number of a continuation, from 0 to 0"),
        ({"id": "x", "continuations": ["a"], "gold": "a"}, "number of a continuation"),
        ({"id": "x", "continuations": ["a"], "context": 3}, "context is a text"),
        ({"id": "x", "continuations": ["a"], "prompt": "a"}, "unknown key 'prompt'"),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path: Path, row: Any, words: str) -> None:
    path = write(tmp_path / "p.jsonl", {"id": "fine", "prompt": "a"}, row)
    with pytest.raises(BadInput, match=r"p.jsonl, line 2") as caught:
        read_pack(path)
    assert words in str(caught.value)


def test_a_pack_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot read"):
        read_pack(tmp_path / "gone.jsonl")
