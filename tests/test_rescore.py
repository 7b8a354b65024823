"""Another scoring rule over a sealed run gives what the run would have given under it, and asks nobody."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from orca_guard import load
from orca_guard.audit import Rank, close, run
from orca_guard.cli import invoke
from orca_guard.errors import BadInput, NotAttested, OrcaGuardError, UnknownName
from orca_guard.host import Host
from orca_guard.identity import digest_of
from orca_guard.journal.bundle import Bundle
from orca_guard.journal.texts import TextsReader
from orca_guard.plan import BenchmarkTable, Request
from orca_guard.rescore import DROPPED, Rescored
from orca_guard.rescore import rescore as rescored
from orca_guard.verify import verify
from orca_guard_basics.benchmark import CHOICES, QUESTIONS, Pack
from tests.auditing import MODELS, arm, audited, begun, host, request


@dataclass(frozen=True, kw_only=True)
class Ruled(Pack):
    """A small benchmark under a name of its own, and another rule."""

    source: Pack

    def files(self, data: Path | None, /) -> Mapping[str, Path]:
        return {f"{self.name}.jsonl": path for path in self.source.files(data).values()}


def by(questions: str = "match-folded", choices: str = "likelihood") -> Host:
    """Two benchmarks under these rules, and a model that is right only where case, articles and ends do not count."""
    sloppy = replace(
        MODELS["oracle"], name="sloppy", writes=lambda prompt: f"The {MODELS['oracle'].writes(prompt)}.".upper()
    )
    made = [
        Ruled(name="q", summary="", kind="question", scoring=questions, source=QUESTIONS),
        Ruled(name="c", summary="", kind="score", scoring=choices, source=CHOICES),
    ]
    return host(MODELS | {"sloppy": sloppy}, benchmarks=made)


NAMES = ("oracle", "sloppy", "uniform", "nan", "empty", "refuser")
GATES = tuple(
    {"benchmark": name, "metric": "accuracy", "at_least": 0.6, "subject": subject}
    for name, subject in (("q", "sloppy"), ("c", "model"))
)


def asked(*names: str, questions: int = 16, **settings: Any) -> Request:
    tables = (BenchmarkTable(name="q", limit=questions), BenchmarkTable(name="c", limit=12))
    return request(*map(arm, names or NAMES), benchmarks=tables, **settings)


def measured(folder: Path, *names: str, rules: Mapping[str, str] | None = None, **settings: Any) -> Bundle:
    """A sealed run."""
    audit, _ = audited(asked(*names, **settings), folder, by=by(**(rules or {})))
    return audit.bundle


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return measured(tmp_path_factory.mktemp("source"), gates=GATES)


@pytest.fixture
def copied(source: Bundle, tmp_path: Path) -> Bundle:
    """A copy in a store of its own."""
    return Bundle(Path(shutil.copytree(source.root, tmp_path / "store" / "run")))


def records(bundle: Bundle) -> list[dict[str, Any]]:
    lines = [line for path in bundle.journals().values() for line in path.read_text("utf-8").splitlines()]
    return [fields for line in lines if (fields := json.loads(line))["kind"] == "item"]


def texts(bundle: Bundle) -> dict[str, str]:
    return {address: text for path in bundle.all_texts().values() for address, text in TextsReader(path)}


def told(bundle: Bundle) -> list[dict[str, Any]]:
    """The records with texts instead of addresses, without times and the chain."""
    known = texts(bundle)

    def spelt(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: spelt(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [spelt(inner) for inner in value]
        return known.get(value, value) if isinstance(value, str) else value

    return [{k: spelt(v) for k, v in row.items() if k not in {"n", "prev", "seconds"}} for row in records(bundle)]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def rescore(run: Path, **options: Any) -> Rescored:
    """It leaves a run that verifies."""
    made = rescored(run, **options)
    report = verify(made.bundle.root)
    assert not report.faulty, [check for check in report.checks if check.faults]
    return made


RULES = (
    {"questions": "match"},
    {"questions": "match-folded"},
    {"choices": "likelihood-per-token"},
    {"choices": "likelihood-per-character"},
    {"choices": "greedy"},
)


@pytest.mark.parametrize("rules", RULES, ids=lambda rules: next(iter(rules.values())))
def test_it_is_as_if_the_rule_had_been_there_from_the_start(copied: Bundle, tmp_path: Path, rules: Any) -> None:
    [rule] = rules.values()
    fresh = measured(tmp_path / "fresh", rules=rules, gates=GATES)
    made = rescore(copied.root, scoring=rule)
    assert told(made.bundle) == told(fresh)
    wanted = fresh.read_seal()
    for part in ("figures", "gates", "verdict", "records"):
        assert made.seal[part] == wanted[part]
    before, after = (
        [row["scores"] for row in sorted(records(b), key=lambda r: (r["benchmark"], r["item"], r["subject"]))]
        for b in (copied, made.bundle)
    )
    assert made.changed == sum(a != b for a, b in zip(before, after, strict=True))
    assert (made.changed > 0) == (rule in {"match", "likelihood-per-character", "greedy"})
    assert made.dropped == 0


def test_the_new_run_names_the_old_one_and_leaves_it_alone(copied: Bundle) -> None:
    before = contents(copied.root)
    made = rescore(copied.root, scoring="match")
    assert contents(copied.root) == before
    old, new = copied.read_plan(), made.bundle.read_plan()
    assert made.bundle.root == copied.root.parent / "run-match"
    assert new["rescored"] == {"plan": digest_of(old), "seal": digest_of(copied.read_seal())}
    changed = {key for key in new if new[key] != old.get(key)}
    assert changed - {"code"} == {"benchmarks", "rescored"}
    assert [entry["scoring"] for entry in new["benchmarks"]] == ["match", "likelihood"]
    assert made.bundle.items.read_bytes() == copied.items.read_bytes()
    assert made.seal["plan"] == digest_of(new)
    assert not texts(copied).keys() & texts(made.bundle).keys()
    assert made.seal["attempt"] == 1


def test_it_can_be_scored_again_and_back(copied: Bundle) -> None:
    there = rescore(copied.root, scoring="match")
    back = rescore(there.bundle.root, scoring="match-folded", name="back")
    assert told(back.bundle) == told(copied)
    assert back.seal["figures"] == copied.read_seal()["figures"]
    assert back.bundle.read_plan()["rescored"]["plan"] == digest_of(there.bundle.read_plan())


def test_one_benchmark_alone(tmp_path: Path) -> None:
    two = (
        Ruled(name="q1", summary="", kind="question", scoring="match-folded", source=QUESTIONS),
        Ruled(name="q2", summary="", kind="question", scoring="match-folded", source=QUESTIONS),
    )
    tables = tuple(BenchmarkTable(name=one.name, limit=9) for one in two)
    audit, _ = audited(request(arm("empty"), benchmarks=tables), tmp_path, by=host(benchmarks=two))
    made = rescore(audit.bundle.root, scoring="match", benchmark="q2")
    assert [entry["scoring"] for entry in made.bundle.read_plan()["benchmarks"]] == ["match-folded", "match"]


def test_two_shards_become_two_shards(tmp_path: Path) -> None:
    audit = begun(asked("oracle", "sloppy"), tmp_path, by=by())
    for rank in (1, 0):
        run(audit, by(), place=Rank(rank, 2), told=lambda *_: None)
    assert close(audit, place=Rank(0, 2))
    made = rescore(audit.bundle.root, scoring="match")
    assert [shard["file"] for shard in made.seal["shards"]] == ["journal-0.jsonl", "journal-1.jsonl"]
    alone = measured(tmp_path / "alone", "oracle", "sloppy", rules={"questions": "match"})
    assert made.seal["figures"] == alone.read_seal()["figures"]


@pytest.mark.parametrize("lines", [0, 1, 20])
def test_one_that_was_cut_short_goes_on(copied: Bundle, lines: int) -> None:
    made = rescore(copied.root, scoring="match")
    whole, journal = told(made.bundle), made.bundle.journal(0)
    made.bundle.seal.unlink()
    kept = journal.read_bytes().splitlines(keepends=True)[:lines]
    journal.write_bytes(b"".join(kept) + b'{"torn')
    again = rescore(copied.root, scoring="match")
    assert told(again.bundle) == whole
    assert (again.seal["results"], again.changed) == (made.seal["results"], made.changed)


# --- texts that were taken out -----------------------------------------------------------------


def drop(bundle: Bundle, *addresses: str) -> None:
    """Take texts out, as a copy for others has it."""
    path = bundle.texts(0)
    rows = path.read_bytes().splitlines(keepends=True)
    kept = [row for row in rows if json.loads(row)["digest"] not in addresses]
    assert len(kept) == len(rows) - len(set(addresses))
    path.write_bytes(b"".join(kept))


def of_answers(bundle: Bundle) -> list[dict[str, Any]]:
    return [r for r in records(bundle) if r["benchmark"] == "q" and r["disposition"] == "answered"]


ANSWER: dict[str, Callable[[dict[str, Any]], set[str]]] = {
    "the question": lambda row: {row["question"]},
    "the answer": lambda row: {row["value"], row["answer"]["text"], row["answer"]["segment"]} - {None},
}


@pytest.mark.parametrize("what", ANSWER)
def test_an_answer_whose_text_was_taken_out_is_unscored_and_says_so(copied: Bundle, what: str) -> None:
    first = of_answers(copied)[3]
    gone = ANSWER[what](first)
    drop(copied, *gone)
    made = rescore(copied.root, scoring="match")
    rows = {(r["item"], r["subject"]): r for r in records(made.bundle) if r["benchmark"] == "q"}
    unscored = {place: row for place, row in rows.items() if row["reason"] == DROPPED}
    assert made.dropped == len(unscored) > 0
    assert (first["item"], first["subject"]) in unscored
    assert unscored.keys() <= {(r["item"], r["subject"]) for r in of_answers(copied) if ANSWER[what](r) & gone}
    for row in unscored.values():
        assert (row["mark"], row["scores"], row["disposition"]) == ("unscored", {"accuracy": None}, "answered")
        assert ANSWER[what](row) & gone, "it keeps an address that leads nowhere"
    counted = sum(f["unscored"] for f in made.seal["figures"] if f["benchmark"] == "q" and not f["group"])
    assert counted == len(unscored)
    again = rescore(made.bundle.root, scoring="match-folded", name="again")
    assert again.dropped == len(unscored)


def test_a_value_that_was_taken_out_is_read_from_its_answer_again(copied: Bundle) -> None:
    [*texts_of_answers] = {r["answer"][key] for r in of_answers(copied) for key in ("text", "segment")}
    alone = {r["value"] for r in of_answers(copied)} - set(texts_of_answers)
    wanted = rescore(copied.root, scoring="match", name="whole")
    drop(copied, *alone)
    assert alone
    made = rescore(copied.root, scoring="match")
    assert made.dropped == 0
    assert made.seal["figures"] == wanted.seal["figures"]


def test_what_needs_no_text_keeps_its_score(copied: Bundle) -> None:
    """Of an item that was refused, its metric declared beforehand what it is worth."""
    refused = [r for r in records(copied) if r["disposition"] in {"refused", "empty"}]
    drop(copied, *{step["text"] for row in refused for step in row["passes"]})
    made = rescore(copied.root, scoring="match")
    assert made.dropped == 0
    assert sum(r["scores"] == {"accuracy": 0.0} for r in records(made.bundle) if r["subject"] == "refuser") == 16


def test_likelihoods_without_their_request(copied: Bundle) -> None:
    first = next(r for r in records(copied) if r["benchmark"] == "c" and r["disposition"] == "answered")
    drop(copied, first["question"])
    made = rescore(copied.root, scoring="greedy")
    lost = [r for r in records(made.bundle) if r["reason"] == DROPPED]
    assert made.dropped == len(lost)
    assert {r["item"] for r in lost} == {first["item"]}
    assert {r["mark"] for r in lost} == {"unscored"}
    assert lost[0]["likelihoods"] == first["likelihoods"]


# --- what is refused ---------------------------------------------------------------------------

REFUSED: dict[str, tuple[dict[str, Any], type[OrcaGuardError], str]] = {
    "unknown rule": ({"scoring": "matsh"}, UnknownName, "unknown scoring rule 'matsh': did you mean 'match'"),
    "unknown benchmark": ({"scoring": "match", "benchmark": "qq"}, UnknownName, "'qq': did you mean 'q'"),
    "wrong kind": (
        {"scoring": "greedy", "benchmark": "q"},
        BadInput,
        r"'greedy' is no rule for q. There is: .*match, match-folded",
    ),
    "the other wrong kind": ({"scoring": "match", "benchmark": "c"}, BadInput, "There is: greedy, likelihood,"),
    "a name that is none": ({"scoring": "match", "name": "../x"}, BadInput, "a run's name is of letters"),
    "the run itself": ({"scoring": "match", "name": "run"}, BadInput, "is there already, and sealed"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be(copied: Bundle, what: str) -> None:
    options, error, message = REFUSED[what]
    with pytest.raises(error, match=message):
        rescore(copied.root, **options)
    assert [path.name for path in copied.root.parent.iterdir()] == ["run"]


def test_no_benchmark_of_the_rules_kind(tmp_path: Path) -> None:
    audit, _ = audited(request(benchmarks=(BenchmarkTable(name="q", limit=2),)), tmp_path, by=by())
    with pytest.raises(BadInput, match="'greedy' is no rule for any benchmark of this run"):
        rescore(audit.bundle.root, scoring="greedy")


def test_a_run_that_is_not_sealed(tmp_path: Path) -> None:
    audit = begun(asked(), tmp_path, by=by())
    with pytest.raises(BadInput, match="is planned; only a sealed run is scored again"):
        rescore(audit.bundle.root, scoring="match")
    with pytest.raises(BadInput, match="cannot read"):
        rescore(tmp_path / "absent", scoring="match")


DAMAGE: dict[str, Callable[[Bundle], Any]] = {
    "a score": lambda b: b.journal(0).write_text(b.journal(0).read_text().replace('"mark":"fail"', '"mark":"pass"', 1)),
    "a text": lambda b: b.texts(0).write_text(b.texts(0).read_text().replace('"text":"', '"text":"x', 1)),
    "a figure": lambda b: b.seal.write_text(b.seal.read_text().replace('"value":1', '"value":0', 1)),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_run_with_a_fault(copied: Bundle, what: str) -> None:
    DAMAGE[what](copied)
    with pytest.raises(BadInput, match="is not as it was sealed, and is not scored again"):
        rescore(copied.root, scoring="match")
    assert [path.name for path in copied.root.parent.iterdir()] == ["run"]


def test_a_pass_by_a_rule_that_was_chosen_afterwards_attests_nothing(tmp_path: Path) -> None:
    gate = {"benchmark": "q", "metric": "accuracy", "at_least": 0.5}
    strict = measured(tmp_path, "sloppy", rules={"questions": "match"}, questions=50, gates=(gate,))
    made = rescore(strict.root, scoring="match-folded")
    assert (strict.read_seal()["verdict"], made.seal["verdict"]) == ("fail", "pass")
    with pytest.raises(NotAttested, match="it was scored again when its answers were known"):
        load(arm("sloppy").table, host=by(), attested=made.bundle.root)


# --- the command -------------------------------------------------------------------------------


def test_the_command(copied: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    code = invoke(["rescore", str(copied.root), "--scoring", "match", "--run", "other", "--json"])
    printed = capsys.readouterr()
    made = Bundle(copied.root.parent / "other")
    shown = json.loads(printed.out)
    assert (shown["run"], shown["seal"]) == (str(made.root), made.read_seal())
    assert code == {"pass": 0, "fail": 1, "inconclusive": 3}[shown["seal"]["verdict"]] == 3
    changed = sum(a["scores"] != b["scores"] for a, b in zip(records(copied), records(made), strict=True))
    assert f"{changed} of {shown['seal']['records']} records have other scores than before" in printed.err
    assert invoke(["rescore", str(copied.root), "--scoring", "macht"]) == 2
    assert "did you mean 'match'" in capsys.readouterr().err


def test_the_command_says_how_many_texts_were_taken_out(copied: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    drop(copied, next(r["question"] for r in records(copied) if r["benchmark"] == "q"))
    invoke(["rescore", str(copied.root), "--scoring", "match"])
    lost = sum(r["reason"] == DROPPED for r in records(Bundle(copied.root.parent / "run-match")))
    assert f"{lost} records are unscored: {DROPPED}" in " ".join(capsys.readouterr().err.split())
    assert lost > 0
