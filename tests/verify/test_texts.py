"""Texts found again by their addresses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.journal.texts import Texts, address_of
from orca_guard.verify import texts as module
from orca_guard.verify.texts import TextIndex

PLAN = "sha256:" + "0" * 64


def write(path: Path, texts: Sequence[str]) -> list[str]:
    with Texts(path, secret=bytes(32), plan=PLAN) as file:
        addresses = [file.add(text) for text in texts]
        file.flush()
    return addresses


@given(st.lists(st.text(), max_size=20), st.lists(st.text(), max_size=20))
def test_every_text_is_found(tmp_path_factory: pytest.TempPathFactory, one: list[str], other: list[str]) -> None:
    folder = tmp_path_factory.mktemp("texts")
    files = {rank: folder / f"texts-{rank}.jsonl" for rank in (0, 1)}
    addresses = write(files[0], one) + write(files[1], other)
    with TextIndex(files) as texts:
        assert [texts.get(address) for address in addresses] == one + other
        assert texts.get(address_of("never written", salt=bytes(16))) is None
        texts.mention([*addresses, None, PLAN])
        assert (texts.asked, texts.missing) == (len(addresses) + 1, 1)
    assert not texts.faults


def test_addresses_that_are_half_alike_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_key", lambda _: 7)
    written = [f"text {n}" for n in range(50)]
    addresses = write(tmp_path / "texts-0.jsonl", written)
    with TextIndex({0: tmp_path / "texts-0.jsonl"}) as texts:
        assert [texts.get(address) for address in addresses] == written
        assert texts.get(PLAN) is None


def test_more_files_than_may_be_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_OPEN", 3)
    monkeypatch.setattr(module, "_KEPT", 2)
    files = {rank: tmp_path / f"texts-{rank}.jsonl" for rank in range(10)}
    addresses = [write(path, [f"text {rank}"])[0] for rank, path in files.items()]
    with TextIndex(files) as texts:
        for _ in range(2):
            assert [texts.get(address) for address in addresses] == [f"text {rank}" for rank in files]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"digest": PLAN, "salt": "00" * 16, "text": "a"}, "does not match its address"),
        ({"digest": address_of("a", salt=bytes(17)), "salt": "00" * 17, "text": "a"}, "does not match its address"),
        ({"digest": address_of("a", salt=bytes(16)), "salt": "zz", "text": "a"}, "is no text"),
        ({"digest": PLAN, "text": "a"}, "is no text"),
        ({"digest": "", "salt": "", "text": ""}, "does not match its address"),
        ([], "is no text"),
    ],
)
def test_a_row_that_is_wrong_is_named_and_left_out(tmp_path: Path, row: object, words: str) -> None:
    path = tmp_path / "texts-0.jsonl"
    [address] = write(path, ["good"])
    path.write_bytes(json.dumps(row).encode() + b"\n" + path.read_bytes() + b'{"digest"')
    with TextIndex({0: path}) as texts:
        assert texts.get(address) == "good"
        assert texts.count == 1
    [fault] = texts.faults
    assert fault.line == 1
    assert words in fault.what
    assert [torn.line for torn in texts.torn] == [3]
