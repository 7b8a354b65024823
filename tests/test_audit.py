"""An audit from request to seal, with models whose scores are known."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orca_guard.audit import Rank, begin, close, resume, run
from orca_guard.errors import BadInput, ConfigurationChanged, NotReady
from orca_guard.freezing import freeze
from orca_guard.items import Disposition
from orca_guard.journal.bundle import RunStore
from orca_guard.journal.dealing import work
from orca_guard.journal.reading import check_shard
from orca_guard.testing.known import expected
from orca_guard_basics.benchmark import CHOICES
from tests.auditing import ITEMS, MODELS, arm, audited, begun, figures, host, request

REQUESTS = [item for item in ITEMS if item.request]


def records(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "journal-0.jsonl").read_text("utf-8").splitlines()
    return [fields for line in lines if (fields := json.loads(line))["kind"] == "item"]


def bare(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k not in {"n", "prev", "seconds", "sureness"}} for row in rows]


def test_known_models_get_the_scores_that_theory_says(tmp_path: Path) -> None:
    names = ["oracle", "always-first", "always-last", "uniform", "nan", "empty", "refuser"]
    audit, seal = audited(request(*map(arm, names)), tmp_path)
    found = figures(seal)
    of_model = {entry["model"]: entry["name"] for entry in audit.frozen.plan["arms"]}
    for model, name in of_model.items():
        figure = found["basics-choices", model, ""]
        wanted = [score for score in expected(MODELS[name], REQUESTS) if isinstance(score, float)]
        assert (figure["n"], figure["unscored"]) == (len(wanted), len(REQUESTS) - len(wanted))
        assert figure["value"] == (pytest.approx(math.fsum(wanted) / len(wanted)) if wanted else None)
    assert found["basics-questions", "oracle", ""]["value"] == 1.0
    for name, disposition in (("empty", Disposition.EMPTY), ("refuser", Disposition.REFUSED)):
        figure = found["basics-questions", name, ""]
        assert (figure["value"], figure["counts"]) == (0.0, {disposition: 50})
    assert seal["verdict"] == "none"


def test_the_pipeline_that_is_audited_is_the_one_that_run_serves(tmp_path: Path) -> None:
    asked = request(arm(), limit=3)
    audit, _ = audited(asked, tmp_path)
    from orca_guard import load

    served = load(asked.arms[0].table, host=host())
    rows = [row for row in records(audit.bundle.root) if row["benchmark"] == "basics-questions"]
    assert {row["identity"] for row in rows} == {served.digest}


def test_equal_requests_of_arms_are_asked_once(tmp_path: Path) -> None:
    asked = []

    def writes(prompt: str) -> str:
        asked.append(prompt)
        return "A"

    models = {"counted": replace(MODELS["uniform"], name="counted", writes=writes)}
    arms = [arm("with", model="counted"), arm("without", model="counted", no_guards=["length"])]
    audited(request(*arms, unit=64), tmp_path, by=host(models))
    assert len(asked) == 50


def test_what_is_blocked_is_recorded_with_its_text(tmp_path: Path) -> None:
    from orca_guard.journal.texts import TextsReader

    models = {"rude": replace(MODELS["uniform"], name="rude", writes=lambda _: "\x1b[31mred")}
    blocking = arm("rude")
    guards = tuple(
        replace_action(guard) if guard.name == "control-characters" else guard for guard in blocking_guards(blocking)
    )
    audit, _ = audited(request(with_guards(blocking, guards), limit=2), tmp_path, by=host(models))
    row = next(r for r in records(audit.bundle.root) if r["benchmark"] == "basics-questions")
    assert (row["disposition"], row["scores"], row["mark"]) == ("blocked", {"accuracy": 0, "refused": 1}, "fail")
    texts = dict(TextsReader(audit.bundle.texts(0)))
    assert texts[row["passes"][0]["text"]] == "\x1b[31mred"
    assert row["answer"] is None


def blocking_guards(found: Any) -> Any:
    from orca_guard.configuration import guards_of

    return guards_of(found.table)


def replace_action(guard: Any) -> Any:
    import msgspec

    return msgspec.structs.replace(guard, action="block")


def with_guards(found: Any, guards: Any) -> Any:
    import msgspec

    return replace(found, table=msgspec.structs.replace(found.table, guards=guards))


def test_an_arm_may_be_called_like_a_model(tmp_path: Path) -> None:
    audit, _ = audited(request(arm("model", model="oracle"), limit=2), tmp_path)
    identities = {row["benchmark"]: row["identity"] for row in records(audit.bundle.root)}
    plan = audit.frozen.plan
    assert identities["basics-questions"] == plan["arms"][0]["pipeline"]
    assert identities["basics-choices"] == plan["models"][0]["digest"]


# --- cut short and gone on with ----------------------------------------------------------------


class Cut(Exception):
    pass


def cut_after(units: int) -> Any:
    seen = []

    def told(unit: Any, _records: Any) -> None:
        seen.append(unit)
        if len(seen) == units:
            raise Cut

    return told


@pytest.mark.parametrize("units", [1, 3, 7])
def test_a_run_that_was_cut_ends_like_one_that_was_not(tmp_path: Path, units: int) -> None:
    asked = request(arm(), arm("always-first"), limit=14)
    whole, sealed = audited(asked, tmp_path / "a")
    audit = begun(asked, tmp_path / "b")
    with pytest.raises(Cut):
        run(audit, host(), place=Rank(), told=cut_after(units))
    again = resume(audit.bundle.root, host(), step=lambda *_: None)
    counted = []
    run(again, host(), place=Rank(), told=lambda _unit, rows: counted.append(len(rows)))
    assert sum(count > 0 for count in counted) == len(counted) - units
    resealed = close(again, place=Rank())
    assert resealed
    assert resealed["figures"] == sealed["figures"]
    scores = [[(r["item"], r["subject"], r["scores"]) for r in records(a.bundle.root)] for a in (whole, again)]
    assert scores[0] == scores[1]


def test_the_same_plan_twice_is_the_same_but_for_times(tmp_path: Path) -> None:
    asked = request(arm(), limit=5)
    first, a = audited(asked, tmp_path, name="a")
    second, b = audited(asked, tmp_path, name="b")
    assert first.frozen.digest == second.frozen.digest
    assert bare(records(first.bundle.root)) == bare(records(second.bundle.root))
    assert a["results"] == b["results"]
    assert first.bundle.texts(0).read_bytes() == second.bundle.texts(0).read_bytes()
    assert (a["attempt"], a["earlier"]) == (1, [])
    assert b["attempt"] == 2
    assert [(row["run"], row["status"], row["head"]) for row in b["earlier"]] == [
        ("a", "sealed", a["shards"][0]["head"])
    ]


def test_what_has_changed_is_refused_with_the_difference(tmp_path: Path) -> None:
    asked = request(arm(), limit=5)
    audit = begun(asked, tmp_path)
    other = {"oracle": replace(MODELS["oracle"], name="another")}
    with pytest.raises(ConfigurationChanged, match=r"models\[0\].identity.name: \"oracle\" → \"another\""):
        resume(audit.bundle.root, host(other), step=lambda *_: None)


def test_what_is_loaded_must_be_what_was_planned(tmp_path: Path) -> None:
    audit = begun(request(arm(), limit=5), tmp_path)
    other = {"oracle": replace(MODELS["oracle"], name="another")}
    with pytest.raises(ConfigurationChanged, match="arm 'oracle' is not what the plan says"):
        run(audit, host(other), place=Rank(), told=lambda *_: None)


def test_a_sealed_run_is_not_gone_on_with(tmp_path: Path) -> None:
    audit, _ = audited(request(arm(), limit=2), tmp_path)
    with pytest.raises(BadInput, match="complete and sealed"):
        resume(audit.bundle.root, host(), step=lambda *_: None)


def test_a_folder_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    asked = request(arm(), limit=2)
    audited(asked, tmp_path)
    with pytest.raises(BadInput, match="is there already"):
        begin(asked, freeze(asked, host()), store=RunStore(tmp_path), name="run")


def test_an_incomplete_run_is_not_sealed(tmp_path: Path) -> None:
    audit = begun(request(arm(), limit=9), tmp_path)
    with pytest.raises(Cut):
        run(audit, host(), place=Rank(), told=cut_after(1))
    with pytest.raises(BadInput, match=r"records of \d+ missing"):
        close(audit, place=Rank())
    assert not audit.bundle.seal.exists()


# --- several processes -------------------------------------------------------------------------


def test_two_processes_write_a_shard_each(tmp_path: Path) -> None:
    asked = request(arm(), limit=10)
    _, alone = audited(asked, tmp_path / "alone")
    audit = begun(asked, tmp_path / "both")
    for rank in (1, 0):
        run(audit, host(), place=Rank(rank, 2), told=lambda *_: None)
    assert close(audit, place=Rank(1, 2)) is None
    seal = close(audit, place=Rank(0, 2))
    assert seal
    assert [shard["file"] for shard in seal["shards"]] == ["journal-0.jsonl", "journal-1.jsonl"]
    assert seal["figures"] == alone["figures"]
    counts = [check_shard(audit.bundle.journal(n), plan=audit.frozen.digest, rank=n).records for n in (0, 1)]
    assert sum(counts) == audit.frozen.plan["records"]
    assert min(counts) > 0


@pytest.mark.parametrize("world", [3, 7])
def test_any_number_of_processes_comes_to_the_same(tmp_path: Path, world: int) -> None:
    """Also more than a benchmark has items, of which some then have nothing to do."""
    asked = request(arm(), limit=5, unit=2)
    whole, alone = audited(asked, tmp_path, name="alone")
    audit = begun(asked, tmp_path, name="many")
    for rank in range(world):
        run(audit, host(), place=Rank(rank, world), told=lambda *_: None)
    seal = close(audit, place=Rank(0, world))
    assert seal
    assert (seal["results"], seal["figures"]) == (alone["results"], alone["figures"])
    assert len(seal["shards"]) == world
    assert whole.frozen.digest == audit.frozen.digest


@pytest.mark.parametrize("world", [2, 3, 4, 5, 8])
@pytest.mark.parametrize("benchmark", ["basics-choices", "basics-questions"])
def test_shares_of_real_items_are_like_work(tmp_path: Path, benchmark: str, world: int) -> None:
    """Nobody has much more than a fair share, and less than whole units dealt out in turn would give somebody."""
    schedule = begun(request(arm(), unit=8), tmp_path).schedule
    section = schedule.sections[benchmark]

    def of(positions: Iterable[int]) -> int:
        return work(section.weights[range(n - section.start, n - section.start + 1)][0] for n in positions)

    shares = [list(schedule.shares(rank=rank, world=world)) for rank in range(world)]
    dealt = [sum(of(share.positions) for share in mine if share.benchmark == benchmark) for mine in shares]
    units = [unit for unit in schedule.units if unit.benchmark == benchmark]
    whole = [sum(of(range(u.start, u.stop)) for u in units if u.number % world == rank) for rank in range(world)]
    assert max(dealt) <= 1.3 * sum(dealt) / world
    assert max(dealt) < max(whole)


def test_a_run_is_gone_on_with_by_as_many_processes_as_before(tmp_path: Path) -> None:
    audit = begun(request(arm(), limit=10), tmp_path)
    run(audit, host(), place=Rank(1, 2), told=lambda *_: None)
    for place in (Rank(), Rank(2, 3)):
        with pytest.raises(BadInput, match=f"begun with 2 processes, and now there (is|are) {place.world}"):
            run(audit, host(), place=place, told=lambda *_: None)
    assert [*audit.bundle.journals()] == [1]  # a third shard could never be sealed


def test_a_process_that_died_is_not_waited_for_and_one_that_works_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = begun(request(arm(), limit=10), tmp_path)
    run(audit, host(), place=Rank(0, 2), told=lambda *_: None)
    monkeypatch.setattr("orca_guard.audit.PATIENCE_S", 0.5)
    monkeypatch.setattr("orca_guard.audit.POLL_S", 0.1)
    with pytest.raises(NotReady, match=r"process 1 has stopped before .*journal-1.*go on with 2 processes"):
        close(audit, place=Rank(0, 2))

    def slowly(bench: Any) -> None:
        time.sleep(1.5)

    late = threading.Thread(
        target=run, args=(audit, host()), kwargs={"place": Rank(1, 2), "told": lambda *_: None, "examined": slowly}
    )
    late.start()
    time.sleep(0.3)
    assert close(audit, place=Rank(0, 2))
    late.join()


def test_two_that_take_themselves_for_the_same_process_do_not_write_one_shard(tmp_path: Path) -> None:
    audit = begun(request(arm(), limit=3), tmp_path)

    def again(_share: Any, _records: Any) -> None:
        with pytest.raises(BadInput, match="another process 0 is at work"):
            run(audit, host(), place=Rank(), told=lambda *_: None)

    run(audit, host(), place=Rank(), told=again)
    assert close(audit, place=Rank())


@pytest.mark.parametrize(
    ("rank", "world", "wanted"),
    [("x", "2", None), ("2", "2", None), ("-1", "1", None), ("0", "0", None), (None, "2", None), ("0", "2", 3)],
)
def test_ranks_that_cannot_be(
    monkeypatch: pytest.MonkeyPatch, rank: str | None, world: str, wanted: int | None
) -> None:
    for name, value in (("RANK", rank), ("WORLD_SIZE", world)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    with pytest.raises(BadInput):
        Rank.here(wanted=wanted)


def test_a_process_is_what_its_launcher_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert Rank.here(wanted=1) == Rank()
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert Rank.here() == Rank.here(wanted=2) == Rank(1, 2)


def test_the_choices_are_asked_of_each_model_once(tmp_path: Path) -> None:
    arms = [arm("a", model="oracle"), arm("b", model="oracle", strategy="step-by-step")]
    audit, _ = audited(request(*arms), tmp_path)
    assert [model["name"] for model in audit.frozen.plan["models"]] == ["model"]
    assert sum(r["benchmark"] == CHOICES.name for r in records(audit.bundle.root)) == len(REQUESTS)
