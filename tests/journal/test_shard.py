"""A shard that is cut, killed, or written to a full disk, and gone on with."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orca_guard.errors import BadInput
from orca_guard.journal.chain import encode
from orca_guard.journal.shard import Shard

Run = Any
Make = Callable[..., Run]

WRITER = """
import sys
from pathlib import Path
from orca_guard.journal.shard import Shard
from orca_guard.errors import BadInput
path, plan, units, size = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
before = sys.argv[5] if len(sys.argv) > 5 else ""
if before:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(before), int(before)))
try:
    with Shard(path, plan=plan, rank=0, world=1, sizes={u: 3 for u in range(units)}) as shard:
        for unit in range(units):
            if unit not in shard.done:
                shard.write(unit, [{"item": f"{unit}-{n}", "pad": "x" * size} for n in range(3)])
                print(unit, flush=True)
except BadInput as error:
    print(error)
    sys.exit(2)
"""
PLAN = "sha256:" + "0" * 64


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def kinds(path: Path) -> list[str]:
    return [line["kind"] for line in lines_of(path)]


def start(path: Path, *arguments: Any) -> subprocess.Popen[str]:
    command = (sys.executable, "-c", WRITER, path, PLAN, *arguments)
    return subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)


def opened(path: Path, units: int = 8) -> Shard:
    return Shard(path, plan=PLAN, rank=0, world=1, sizes=dict.fromkeys(range(units), 3))


def records(unit: int) -> list[dict[str, Any]]:
    return [{"item": f"{unit}-{n}"} for n in range(3)]


# --- going on ----------------------------------------------------------------------------------


def test_a_run_that_was_not_cut_has_no_trace_of_it(run: Run) -> None:
    run.write()
    assert kinds(run.bundle.journal(0)) == ["open", *["item"] * 8]
    assert run.faults() == []


def test_what_goes_on_says_so(run: Run) -> None:
    with run.shard() as shard:
        shard.write(0, run.records(0))
        began = shard.started
    with run.bundle.journal(0).open("ab") as file:
        file.write(encode({"kind": "item", "unit": 1}, n=5, prev=shard.head) + b'\n{"n":6')
    with run.shard() as shard:
        assert (shard.done, shard.dropped, shard.started) == ({0}, 2, began)
        shard.write(1, run.records(1))
    run.write()
    assert kinds(run.bundle.journal(0)) == ["open", *["item"] * 4, "resumed", *["item"] * 2, "resumed", *["item"] * 2]
    assert [line["dropped"] for line in lines_of(run.bundle.journal(0)) if line["kind"] == "resumed"] == [2, 0]
    assert run.faults() == []


def test_cutting_anywhere_loses_no_unit_that_another_followed(make_run: Make, tmp_path: Path, fast_disk: None) -> None:
    """At every byte: what was whole stays, what was not is done again, once, and the run can be sealed and verified."""
    run = make_run(tmp_path / "run", [("question", 2), ("score", 1)], arms=1, unit=1)
    with run.shard() as shard:
        shard.write(0, run.records(0))
    run.write()
    content = run.bundle.journal(0).read_bytes()
    run.bundle.seal.unlink()
    ends = {0: 2, 1: 4, 2: 5}  # unit → its last line; the third line is the resumed one
    for size in range(len(content) + 1):
        run.bundle.journal(0).write_bytes(content[:size])
        whole = content[:size].count(b"\n")
        with run.shard() as shard:
            assert shard.done == {unit for unit, line in ends.items() if line <= whole}
            kept = max((n for n in (1, 2, 3, 4, 5) if n <= whole), default=0)
            assert shard.dropped == (0 if not kept else not content[:size].endswith(b"\n"))
        run.write()
        assert run.faults() == []
        run.bundle.seal.unlink()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(data=st.data())
def test_cutting_a_random_journal_anywhere(
    make_run: Make, tmp_path_factory: pytest.TempPathFactory, fast_disk: None, data: st.DataObject
) -> None:
    benchmarks = data.draw(st.lists(st.tuples(st.sampled_from(["question", "score"]), st.integers(1, 5)), min_size=1))
    run = make_run(tmp_path_factory.mktemp("r") / "run", benchmarks, unit=data.draw(st.integers(1, 3)), world=2)
    run.write()
    run.bundle.seal.unlink()
    for rank, path in run.bundle.journals().items():
        content = path.read_bytes()
        cut = content[: data.draw(st.integers(0, len(content)))]
        whole = cut.count(b"\n")
        path.write_bytes(cut + data.draw(st.sampled_from([b"", b"\0" * 99, b"x\n" if whole else b""])))
        lines = map(json.loads, content.splitlines())
        rounds = run.schedule.rounds(2)
        last = {rounds[row["unit"]]: number for number, row in enumerate(lines, 1) if "unit" in row}
        with run.shard(rank) as shard:
            assert shard.done == {share for share, number in last.items() if number <= whole}
    run.write()
    assert run.faults() == []


def test_a_changed_unit_that_stays_is_not_gone_on_with(run: Run) -> None:
    run.write()
    run.bundle.seal.unlink()
    path = run.bundle.journal(0)
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"seconds":0.25', b'"seconds":0.24', 1))
    before = path.read_bytes()
    with pytest.raises(BadInput, match=r"journal-0\.jsonl, line 2: it was changed.*start another run"), run.shard():
        pass
    assert path.read_bytes() == before


def test_the_last_whole_unit_is_judged_by_the_half_one_after_it(run: Run) -> None:
    run.write()
    run.bundle.seal.unlink()
    lines = run.bundle.journal(0).read_bytes().splitlines(keepends=True)
    lines[4] = lines[4].replace(b'"seconds":0.25', b'"seconds":0.24')
    run.bundle.journal(0).write_bytes(b"".join(lines[:6]))
    with pytest.raises(BadInput, match="line 5: it was changed"), run.shard():
        pass


@pytest.mark.parametrize("content", [b"\n", b"notes\n", b'{"a":1}\n{"b":2}\n'])
def test_a_file_of_something_else_is_left_alone(run: Run, content: bytes) -> None:
    run.bundle.journal(0).write_bytes(content)
    with pytest.raises(BadInput, match="cannot be gone on with"), run.shard():
        pass
    assert run.bundle.journal(0).read_bytes() == content


def test_a_shard_of_another_plan_is_left_alone(make_run: Make, tmp_path: Path) -> None:
    ours, theirs = make_run(tmp_path / "a"), make_run(tmp_path / "b", name="theirs")
    with theirs.shard():
        pass
    ours.bundle.journal(0).write_bytes(theirs.bundle.journal(0).read_bytes())
    with pytest.raises(BadInput, match="belongs to another plan"), ours.shard():
        pass


def test_a_run_goes_on_with_as_many_processes_as_before(make_run: Make, tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", world=2)
    with run.shard():
        pass
    run.world = 1
    with pytest.raises(BadInput, match="begun with 2 processes, and now there are 1"), run.shard():
        pass


def test_nothing_is_added_after_the_seal(run: Run) -> None:
    run.write()
    with pytest.raises(BadInput, match="is sealed"), run.shard():
        pass


@pytest.mark.parametrize(("unit", "count"), [(0, 4), (1, 3), (99, 2)])
def test_a_unit_is_written_whole_and_once(run: Run, unit: int, count: int) -> None:
    with run.shard() as shard:
        shard.write(0, run.records(0))
        with pytest.raises(ValueError, match=f"unit {unit} is done or not this shard's"):
            shard.write(unit, [{}] * count)


def test_a_record_that_cannot_be_written_harms_nothing(run: Run) -> None:
    with run.shard() as shard:
        with pytest.raises(BadInput, match="line 2 cannot be written"):
            shard.write(0, [record | {"seconds": float("inf")} for record in run.records(0)])
        shard.write(0, run.records(0))
    run.write()
    assert run.faults() == []


# --- others, full disks, sudden death ----------------------------------------------------------


def test_two_writers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal-0.jsonl"
    with opened(path), pytest.raises(BadInput, match="another process is writing"), opened(path):
        pass
    with opened(path):
        process = start(path, 8, 10)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 2
        assert said.startswith("another process is writing")
    with opened(path):
        pass


def test_what_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "journal-0.jsonl"
    path.mkdir()
    with pytest.raises(BadInput, match=r"journal-0\.jsonl: Is a directory"), opened(path):
        pass
    path.rmdir()
    with opened(path):
        pass


@pytest.mark.parametrize("limit", [0, 100, 200, 1_000, 1_500, 3_000, 4_096])
def test_a_full_disk_is_said_so_and_the_run_goes_on(tmp_path: Path, limit: int) -> None:
    """A limit on the size of files cuts a write short and then refuses, as a full disk does."""
    path = tmp_path / "journal-0.jsonl"
    process = start(path, 8, 100, limit)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    *units, error = said.splitlines()
    assert error.startswith(f"cannot write {path}: File too large. What is there is safe: make room and run")
    assert path.stat().st_size == limit
    with opened(path) as shard:
        assert shard.done == {int(unit) for unit in units}
        assert bool(shard.dropped) == (limit > 200)
        for unit in set(range(8)) - shard.done:
            shard.write(unit, records(unit))
    with opened(path) as shard:
        assert (shard.done, shard.dropped) == (set(range(8)), 0)


def test_after_a_failure_nothing_more_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal-0.jsonl"

    def broken(_: int) -> None:
        raise OSError(5, os.strerror(5))

    with opened(path) as shard:
        shard.write(0, records(0))
        with monkeypatch.context() as patch:
            patch.setattr("os.fsync", broken)
            with pytest.raises(BadInput, match="Input/output error"):
                shard.write(1, records(1))
        with pytest.raises(BadInput, match="is not open"):
            shard.write(2, records(2))
        assert shard.done == {0}
        with opened(path):
            pass


def test_killed_again_and_again(tmp_path: Path) -> None:
    """What a process said was written is there, whatever moment it was killed at."""
    path = tmp_path / "journal-0.jsonl"
    said: set[int] = set()
    for _ in range(5):
        process = start(path, 100_000, 2_000)
        assert process.stdout
        said.add(int(process.stdout.readline()))
        time.sleep(random.uniform(0.0, 0.2))
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate()
        said |= {int(unit) for unit in rest.splitlines() if unit}
    with opened(path, 100_000) as shard:
        assert said <= shard.done
        assert len(shard.done - said) <= 5
    items = [line["item"] for line in lines_of(path) if line["kind"] == "item"]
    assert items == [f"{unit}-{n}" for unit in sorted(shard.done) for n in range(3)]
    assert kinds(path).count("resumed") == 5
