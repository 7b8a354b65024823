"""A run's folder and the store of runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orca_guard.errors import BadInput
from orca_guard.identity import canonical, digest_of
from orca_guard.journal.bundle import Bundle, RunStore, Status
from orca_guard.journal.disk import write_whole

Run = Any
Make = Callable[..., Run]


def test_what_is_written_is_read(run: Run) -> None:
    assert run.bundle.read_plan() == run.plan
    assert digest_of(run.bundle.read_plan()) == run.digest
    assert list(run.bundle.read_items(run.plan)) == run.items
    run.write()
    assert run.bundle.read_seal()["plan"] == run.digest
    assert list(run.bundle.journals()) == list(run.bundle.all_texts()) == [0]


def test_only_shards_are_shards(run: Run) -> None:
    for name in ("journal-1.jsonl.new", "journal-01.jsonl", "journal-x.jsonl", ".journal-3.jsonl", "journal-10.jsonl"):
        (run.bundle.root / name).write_bytes(b"")
    (run.bundle.root / "journal-2.jsonl").write_bytes(b"")
    assert list(run.bundle.journals()) == [2, 10]


def test_beginning_twice_changes_nothing(run: Run) -> None:
    data = run.bundle.items.read_bytes()
    assert run.bundle.begin(run.plan, data) == run.digest
    with pytest.raises(BadInput, match="holds another plan"):
        run.bundle.begin(run.plan | {"name": "other"}, data)
    with pytest.raises(BadInput, match="are not those of its plan"):
        run.bundle.begin(run.plan, data + data)
    assert run.bundle.read_plan() == run.plan


def test_a_folder_whose_plan_was_not_written_is_begun_again(run: Run) -> None:
    run.bundle.plan.unlink()
    assert run.bundle.begin(run.plan, run.bundle.items.read_bytes()) == run.digest


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (canonical({"format": 2}) + b"\n", "is of format 2, and this version .* reads format 1. Install a newer one"),
        (canonical({"format": "1"}) + b"\n", "is of format '1', which no version"),
        (canonical({"format": True}) + b"\n", "is of format True, which no version"),
        (canonical({"format": 0}) + b"\n", "is of format 0, which no version"),
        (canonical({"name": "x"}) + b"\n", "is of format None"),
        (canonical({"format": 1}), "has no end of line"),
        (b'{"format": 1}\n', "is not canonical JSON"),
        (b"[]\n", "is not a JSON object"),
        (b"", "is not JSON"),
    ],
)
def test_a_document_is_read_with_care(run: Run, data: bytes, what: str) -> None:
    for path, read in ((run.bundle.plan, run.bundle.read_plan), (run.bundle.seal, run.bundle.read_seal)):
        path.write_bytes(data)
        with pytest.raises(BadInput, match=what):
            read()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_changed_byte_of_plan_or_items_is_found(run: Run, fast_disk: None, data: st.DataObject) -> None:
    if not run.bundle.seal.exists():
        run.write()
    path = data.draw(st.sampled_from([run.bundle.plan, run.bundle.items]))
    old = path.read_bytes()
    content = bytearray(old)
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        plan = run.bundle.read_plan()
        list(run.bundle.read_items(plan))
    except BadInput as error:
        assert path.name in str(error) or path == run.bundle.plan  # noqa: PT017  # some changes pass this far
    else:
        assert path == run.bundle.plan
        assert digest_of(plan) != run.digest  # the shards and the seal say that this is another plan
    finally:
        path.write_bytes(old)


def test_what_is_not_there_is_said_so(tmp_path: Path) -> None:
    bundle = Bundle(tmp_path / "nothing")
    for read in (bundle.read_plan, bundle.read_seal, bundle.journals, bundle.status):
        with pytest.raises(BadInput, match=r"cannot read .*: No such file"):
            read()
    with pytest.raises(BadInput, match=r"cannot read .*items\.jsonl"):
        list(bundle.read_items({"items": {"digest": ""}}))


def test_a_run_is_sealed_once(run: Run) -> None:
    run.write()
    with pytest.raises(BadInput, match="is sealed already"):
        run.bundle.write_seal({"format": 1})


def test_how_far_a_run_has_come(make_run: Make, tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs")
    assert store.runs() == {}
    run = make_run(store.run("first").root)
    (store.root / "notes").mkdir()
    (store.root / ".hidden").mkdir()
    store.secret()
    assert store.runs() == {"first": Status.PLANNED}
    with run.shard():
        assert store.runs() == {"first": Status.RUNNING}
    assert store.runs() == {"first": Status.INTERRUPTED}
    run.write()
    assert store.runs() == {"first": Status.SEALED}


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", ".secret", "-x", "a b", "a\n"])
def test_a_name_that_is_no_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="a run's name"):
        RunStore(tmp_path).run(name)


def test_a_file_is_put_in_place_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_whole(path, b"old")
    code = (
        "import resource, sys; from pathlib import Path; from orca_guard.journal.disk import write_whole\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "write_whole(Path(sys.argv[1]), b'x' * 1000)"
    )
    process = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert f"BadInput: cannot write {path}: File too large" in process.stderr
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.glob("*plan*")] == ["plan.json"]
