"""A journal's lines, and everything that can be done to them."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from orca_guard.errors import BadInput
from orca_guard.identity import digest_bytes
from orca_guard.journal import chain
from orca_guard.journal.chain import Fault, decode, encode
from orca_guard.journal.reading import check_shard

Run = Any
Make = Callable[..., Run]
PLAN = digest_bytes(b"plan")

numbers = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
objects = st.dictionaries(st.text(), values, max_size=6)


# --- one line ----------------------------------------------------------------------------------


@given(objects)
@example({"a": 1.0, "b": [1e-7, 1e22, -1.5e17, 1e16, 2.0**53], "c": -0.0})
@example({"\ue000": 1, "\U00010000": 2})
def test_what_is_canonical_can_be_read(value: dict[str, Any]) -> None:
    assert decode(rfc8785.dumps(value)) == value


@given(objects)
@example({"a": 1.0})
@example({"a": [1.0]})
@example({"a": [0, 1.0]})
@example({"a": 1e16})
@example({"a": 1e-6})
@example({"\ue000": 1, "\U00010000": 2})
def test_no_other_spelling_passes(value: dict[str, Any]) -> None:
    """The fast check must never take msgspec's spelling, or Python's, for the canonical one."""
    canonical = rfc8785.dumps(value)
    for other in (chain._encoder.encode(value), json.dumps(value).encode(), json.dumps(value, indent=1).encode()):
        if other != canonical:
            with pytest.raises(ValueError, match="is not canonical JSON"):
                decode(other)


def test_every_character_is_spelt_alike_by_both_encoders() -> None:
    characters = [chr(n) for n in range(sys.maxunicode + 1) if not 0xD800 <= n < 0xE000]
    assert chain._encoder.encode(characters) == rfc8785.dumps(characters)


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"[]", "is not a JSON object"),
        (b'{"a":NaN}', "is not JSON"),
        (b'{"a":"\xff"}', "is not JSON"),
        (b'{"a":1,"a":1}', "is not canonical"),
        (b'{"b":1,"a":1}', "is not canonical"),
        (b'{"a": 1}', "is not canonical"),
        (b'{"a":-0}', "is not canonical"),
        (b'{"a":9007199254740993}', "is not canonical"),
        (b'{"a":' + b"9" * 400 + b"}", "is not canonical"),
        (b'{"a":"\\u0041"}', "is not canonical"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "is not JSON"),
    ],
)
def test_what_is_wrong_with_a_line_is_said(raw: bytes, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        decode(raw)


def test_a_number_that_is_none_cannot_be_written() -> None:
    with pytest.raises(BadInput, match="line 4 cannot be written"):
        encode({"kind": "item", "scores": {"logprob": float("-inf")}}, n=3, prev=PLAN)


# --- what is done to a file --------------------------------------------------------------------

plans = st.fixed_dictionaries(
    {
        "benchmarks": st.lists(
            st.tuples(st.sampled_from(["question", "score"]), st.integers(1, 5)), min_size=1, max_size=3
        ),
        "arms": st.integers(1, 2),
        "models": st.integers(1, 2),
        "unit": st.integers(1, 3),
        "world": st.integers(1, 2),
    }
)
slowly = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=40)


class Written:
    """A random sealed run, and one of its shards, of which a test makes something else."""

    def __init__(self, make: Make, folder: Path, plan: dict[str, Any], random: random.Random) -> None:
        self.run = make(folder, **plan)
        self.run.write()
        self.path: Path = random.choice(list(self.run.bundle.journals().values()))
        self.lines = self.path.read_bytes().splitlines(keepends=True)

    def put(self, *lines: bytes) -> list[Fault]:
        """Write other lines, and return what the chain says; what the seal says if that is nothing."""
        assert not self.run.faults()
        self.path.write_bytes(b"".join(lines))
        assert self.run.faults()
        found = self.run.chain_faults() or self.run.seal_faults()
        return [fault for fault in found if fault.file == self.path.name]


@pytest.fixture
def write(make_run: Make, tmp_path_factory: pytest.TempPathFactory, fast_disk: None) -> Callable[..., Written]:
    return lambda plan, random: Written(make_run, tmp_path_factory.mktemp("r") / "run", plan, random)


Write = Callable[..., Written]


@slowly
@given(plan=plans, data=st.data(), random=st.randoms(use_true_random=False))
def test_a_changed_byte_is_named_once(write: Write, plan: Any, data: st.DataObject, random: random.Random) -> None:
    written = write(plan, random)
    content = bytearray(b"".join(written.lines))
    place = data.draw(st.integers(0, len(content) - 1))
    old, content[place] = content[place], data.draw(st.integers(0, 255).filter(lambda b: b != content[place]))
    number = bytes(content[:place]).count(b"\n") + 1
    faults = written.put(bytes(content))
    assert faults[0].line == number
    whole = ord("\n") not in {old, content[place]}
    assert len(faults) == 1 if whole else {fault.line for fault in faults} <= {number, number + 1}


@slowly
@given(plan=plans, data=st.data(), random=st.randoms(use_true_random=False))
def test_a_changed_value_is_named_once(write: Write, plan: Any, data: st.DataObject, random: random.Random) -> None:
    """Somebody who takes care to leave a line canonical is found by the line after it, or by the seal."""
    written = write(plan, random)
    place = data.draw(st.integers(0, len(written.lines) - 1))
    row = json.loads(written.lines[place])
    key = data.draw(st.sampled_from(sorted(row)))
    row[key] = row[key] + 1 if type(row[key]) is int else data.draw(st.sampled_from(["other", PLAN]))
    faults = written.put(*written.lines[:place], rfc8785.dumps(row) + b"\n", *written.lines[place + 1 :])
    if key == "prev" and row[key] == PLAN and place:
        assert {fault.line for fault in faults} <= {place, place + 1}  # which of the two it was, nobody can tell
    else:
        assert [fault.line for fault in faults] == [place + 1]


@slowly
@given(plan=plans, data=st.data(), random=st.randoms(use_true_random=False))
def test_a_dropped_line_is_named(write: Write, plan: Any, data: st.DataObject, random: random.Random) -> None:
    written = write(plan, random)
    first = data.draw(st.integers(0, len(written.lines) - 1))
    count = data.draw(st.integers(1, len(written.lines) - first))
    (fault,) = written.put(*written.lines[:first], *written.lines[first + count :])
    if first + count < len(written.lines):
        assert fault.line == first + 1
        assert fault.what.startswith(f"n is {first + count} where {first} was expected")
        assert ("a line is missing" if count == 1 else f"{count} lines are missing") in fault.what
    elif first:
        assert fault.line == first
        assert fault.what.endswith(f"{count} missing")
    else:
        assert fault.what.startswith("is empty")


@slowly
@given(plan=plans, data=st.data(), random=st.randoms(use_true_random=False))
def test_a_line_that_stands_twice_is_named(write: Write, plan: Any, data: st.DataObject, random: random.Random) -> None:
    written = write(plan, random)
    which = data.draw(st.integers(0, len(written.lines) - 1))
    where = data.draw(st.integers(which + 1, len(written.lines)))
    (fault,) = written.put(*written.lines[:where], written.lines[which], *written.lines[where:])
    assert fault.line == where + 1
    assert fault.what == f"n is {which} where {where} was expected: that line stands a second time"


@slowly
@given(plan=plans, data=st.data(), random=st.randoms(use_true_random=False))
def test_a_moved_line_is_named_once(write: Write, plan: Any, data: st.DataObject, random: random.Random) -> None:
    written = write(plan, random)
    if len(written.lines) < 2:
        return
    old, new = data.draw(st.lists(st.integers(0, len(written.lines) - 1), min_size=2, max_size=2, unique=True))
    moved = [*written.lines]
    moved.insert(new, moved.pop(old))
    (fault,) = written.put(*moved)
    assert fault.line == min(old, new) + 1
    assert "out of order" in fault.what


@slowly
@given(plan=plans, data=st.data(), random=st.randoms(use_true_random=False))
def test_shuffled_lines_are_found(write: Write, plan: Any, data: st.DataObject, random: random.Random) -> None:
    written = write(plan, random)
    shuffled = data.draw(st.permutations(written.lines))
    if shuffled != written.lines:
        first = next(n for n, (a, b) in enumerate(zip(shuffled, written.lines, strict=True), 1) if a != b)
        assert written.put(*shuffled)[0].line == first


@slowly
@given(plan=plans, data=st.data(), random=st.randoms(use_true_random=False))
def test_a_cut_file_is_found(write: Write, plan: Any, data: st.DataObject, random: random.Random) -> None:
    written = write(plan, random)
    content = b"".join(written.lines)
    kept = content[: data.draw(st.integers(0, len(content) - 1))]
    (fault,) = written.put(kept)
    whole = kept.count(b"\n")
    if kept.endswith(b"\n") or not kept:
        assert fault.line == whole
    else:
        assert fault == Fault(written.path.name, whole + 1, "torn: the file ends within this line")


@slowly
@given(plan=plans, data=st.data(), random=st.randoms(use_true_random=False))
def test_a_line_that_was_put_in_is_named(write: Write, plan: Any, data: st.DataObject, random: random.Random) -> None:
    written = write(plan, random)
    where = data.draw(st.integers(0, len(written.lines)))
    garbage = data.draw(st.sampled_from([b"\n", b"{}\n", b'{"kind":"item","n":0,"prev":1}\n', b"\x00" * 9 + b"\n"]))
    (fault,) = written.put(*written.lines[:where], garbage, *written.lines[where:])
    assert fault.line == where + 1


@slowly
@given(plan=plans, random=st.randoms(use_true_random=False), count=st.integers(1, 5))
def test_many_changes_do_not_hide_one_another(write: Write, plan: Any, random: random.Random, count: int) -> None:
    """Every line with another value in it is named, however many there are, but for the last, which the seal names."""
    written = write(plan, random)
    places = sorted(random.sample(range(1, len(written.lines)), min(count, len(written.lines) - 1)))
    changed = [*written.lines]
    for place in places:
        changed[place] = rfc8785.dumps(json.loads(changed[place]) | {"seconds": 99}) + b"\n"
    if places:
        expected = [p + 1 for p in places if p + 1 < len(changed)] or [len(changed)]
        assert [fault.line for fault in written.put(*changed)] == expected


# --- the first line ----------------------------------------------------------------------------


def test_a_shard_of_another_plan_is_named(make_run: Make, tmp_path: Path) -> None:
    ours, theirs = make_run(tmp_path / "a"), make_run(tmp_path / "b", name="theirs")
    ours.write()
    theirs.write()
    ours.bundle.journal(0).write_bytes(theirs.bundle.journal(0).read_bytes())
    (fault,) = ours.chain_faults()
    assert fault.line == 1
    assert f"it begins from plan {theirs.digest}, not {ours.digest}" in fault.what


def test_a_shard_under_another_name_is_named(make_run: Make, tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", world=2)
    run.write()
    run.bundle.journal(1).write_bytes(run.bundle.journal(0).read_bytes())
    assert Fault("journal-1.jsonl", 1, "it is the shard of rank 0, under the name of rank 1") in run.chain_faults()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"kind": "item"}, "the first line is the open one"),
        ({"world": 0}, "rank 0 of 0 processes"),
        ({"rank": False}, "rank False of 1"),
        ({"plan": "sha256:other"}, "it belongs to plan sha256:other"),
        ({"started": None}, "started None"),
    ],
)
def test_a_first_line_must_say_where_it_belongs(tmp_path: Path, change: dict[str, Any], what: str) -> None:
    opening = {"kind": "open", "plan": PLAN, "rank": 0, "world": 1, "started": "2026-01-01T00:00:00Z"}
    path = tmp_path / "journal-0.jsonl"
    path.write_bytes(encode(opening | change, n=0, prev=PLAN) + b"\n")
    (fault,) = check_shard(path, plan=PLAN, rank=0).faults
    assert what in str(fault)
    assert str(fault).startswith("journal-0.jsonl, line 1: ")


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"cannot read .*journal-0\.jsonl: No such file"):
        check_shard(tmp_path / "journal-0.jsonl", plan=PLAN, rank=0)
