"""A seal, and shards that are not what was sealed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orca_guard.journal.chain import Fault
from orca_guard.journal.seal import check_seal

Run = Any
Make = Callable[..., Run]


@pytest.fixture
def sealed(make_run: Make, tmp_path: Path) -> Run:
    run = make_run(tmp_path / "run", [("question", 6)], world=2)
    run.write()
    assert run.faults() == []
    return run


def test_a_seal_names_every_shard(sealed: Run) -> None:
    shards = sealed.bundle.read_seal()["shards"]
    assert [(s["rank"], s["file"], s["lines"]) for s in shards] == [
        (0, "journal-0.jsonl", 7),
        (1, "journal-1.jsonl", 7),
    ]
    assert [s["head"] for s in shards] == [reader.head for reader in sealed.readers()]


def test_a_missing_shard_is_named(sealed: Run) -> None:
    sealed.bundle.journal(1).unlink()
    assert sealed.seal_faults() == [
        Fault("seal.json", 0, "it counts 12 records, and 6 are here"),
        Fault("journal-1.jsonl", 0, "is sealed, and is not here"),
    ]
    assert "6 records of 12 missing: b0/i1 under arm-0" in str(sealed.census_faults())


def test_a_shard_too_many_is_named(sealed: Run) -> None:
    shutil.copy(sealed.bundle.journal(0), sealed.bundle.journal(2))
    assert Fault("journal-2.jsonl", 0, "is here, and is not sealed") in sealed.seal_faults()
    assert Fault("journal-2.jsonl", 1, "it is the shard of rank 0, under the name of rank 2") in sealed.chain_faults()


def test_a_cut_tail_is_named(sealed: Run) -> None:
    path = sealed.bundle.journal(0)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-2]))
    assert sealed.chain_faults() == []
    assert sealed.seal_faults()[1:] == [Fault("journal-0.jsonl", 5, "has 5 lines where 7 were sealed: 2 missing")]


def test_lines_that_were_added_are_named(sealed: Run) -> None:
    seal = sealed.bundle.read_seal()
    sealed.bundle.seal.unlink()
    with sealed.shard():
        pass
    (fault,) = check_seal(seal, sealed.readers(), plan=sealed.digest)
    assert fault == Fault("journal-0.jsonl", 8, "has 8 lines where 7 were sealed: 1 too many")


def test_a_changed_last_line_is_named(sealed: Run) -> None:
    path = sealed.bundle.journal(1)
    *lines, last = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, last.replace(b"0.25", b"0.26")]))
    assert sealed.chain_faults() == []
    (fault,) = sealed.seal_faults()
    assert (fault.file, fault.line) == ("journal-1.jsonl", 7)
    assert fault.what.startswith("the last line was changed")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"plan": "sha256:other"}, "it seals plan sha256:other"),
        ({"records": 13}, "it counts 13 records, and 12 are here"),
        ({"shards": None}, "its shards are not what a run writes"),
        ({"shards": [{"rank": 0}]}, "its shards are not what a run writes"),
    ],
)
def test_a_seal_that_does_not_fit_is_named(sealed: Run, change: dict[str, Any], what: str) -> None:
    (fault,) = check_seal(sealed.bundle.read_seal() | change, sealed.readers(), plan=sealed.digest)
    assert str(fault).startswith("seal.json: ")
    assert what in fault.what


def test_shards_must_be_as_many_as_there_were_processes(sealed: Run) -> None:
    seal = sealed.bundle.read_seal()
    sealed.bundle.journal(1).unlink()
    part = seal | {"shards": seal["shards"][:1], "records": 6}
    assert check_seal(part, sealed.readers(), plan=sealed.digest) == [
        Fault("journal-0.jsonl", 1, "it is one of 2 shards, and 1 are sealed")
    ]


def test_a_rank_that_does_not_fit_its_file_is_named(sealed: Run) -> None:
    seal = sealed.bundle.read_seal()
    seal["shards"][0]["rank"] = 5
    assert check_seal(seal, sealed.readers(), plan=sealed.digest) == [
        Fault("seal.json", 0, "it gives journal-0.jsonl rank 5")
    ]
