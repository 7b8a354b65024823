"""Answers about texts: what is asked of which, and how what is invented is counted."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orca_guard.errors import BadInput
from orca_guard.items import Disposition, Item, gathered
from orca_guard.plan import BenchmarkTable, JudgeTable
from orca_guard.testing.judges import known_judge
from orca_guard.testing.known import known_models
from orca_guard_grounded import tasks
from orca_guard_grounded.benchmark import BENCHMARKS, NOTE, Grounded
from orca_guard_grounded.rubrics import HALLUCINATION, QUALITY, UNSUPPORTED
from tests.auditing import arm, audited, host, request
from tests.packs import ASKED, MEETING, columns, write, write_all

ACI, MEETINGS, SPANS, MARCO = BENCHMARKS


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    return write_all(tmp_path / "data")


def items(benchmark: Grounded, data: Path) -> list[Item]:
    return gathered(benchmark.items(benchmark.files(data)))[0]


def documents(item: Item) -> list[str]:
    assert item.question is not None
    return [document.text for document in item.question.documents]


def test_every_question_has_its_text_and_its_answer(pack: Path) -> None:
    [first, _] = items(ACI, pack)
    assert first.question is not None
    assert (first.question.prompt, first.groups) == (NOTE, {"kind": "virtassist", "split": "valid"})
    assert documents(first) == ["[doctor] any pain ? [patient] no , just a cough ."]
    whole, one = items(MEETINGS, pack)
    assert documents(whole) == documents(one) == ["Ann: When do we open the mill ?\nBob: In May .\nAnn: Fine ."]
    assert whole.cluster == one.cluster
    [spans] = items(SPANS, pack)
    assert documents(spans) == ["Bob: In May ."]
    [answer] = items(MARCO, pack)
    assert documents(answer) == ["The mill opened in 1921.", "The bridge is of larch."]
    assert answer.gold == ("In 1921.",)


def test_what_has_no_answer_or_no_marked_turn_is_rejected_and_counted(pack: Path) -> None:
    assert gathered(MARCO.items(MARCO.files(pack)))[1] == {"it has no answer": 1}
    assert gathered(SPANS.items(SPANS.files(pack)))[1] == {"people marked nothing that bears on it": 1}


@pytest.mark.parametrize("form", ["columns", "columns, packed", "lines", "lines, packed"])
def test_ms_marco_is_read_in_every_form_that_was_published(form: str, tmp_path: Path) -> None:
    lines = "\n".join(map(json.dumps, ASKED))
    data = (json.dumps(columns(ASKED)) if form.startswith("columns") else lines).encode()
    path = tmp_path / "dev.json"
    path.write_bytes(gzip.compress(data) if form.endswith("packed") else data)
    taken, rejected = tasks.read_queries(path)
    assert taken.value.question == "when did the mill open"  # type: ignore[union-attr]
    assert taken.value.spans == ("The mill opened in 1921.",)  # type: ignore[union-attr]
    assert (rejected.row, rejected.reason) == (2, "it has no answer")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda c: c.pop("query"), "not MS MARCO's columns"),
        (lambda c: c["answers"].pop("1"), "different rows"),
        (lambda c: c.update(query=["a"]), "not MS MARCO's columns"),
    ],
    ids=["none of the queries", "an answer too few", "queries in a list"],
)
def test_columns_that_do_not_fit_are_an_error(change: Any, match: str, tmp_path: Path) -> None:
    held = {name: dict(column) for name, column in columns(ASKED).items()}
    held = {"answers": held.pop("answers"), **held}
    change(held)
    path = tmp_path / "dev.json"
    path.write_text(json.dumps(held), "utf-8")
    with pytest.raises(BadInput, match=match):
        list(tasks.read_queries(path))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"meeting_transcripts": []}, "its meeting has no turn"),
        ({"general_query_list": [{"query": "What?"}]}, "a query of it has no answer"),
        ({"meeting_transcripts": [{"speaker": "Ann"}]}, "a turn of it has no speaker or no content"),
        ({"specific_query_list": "none"}, "its specific_query_list is no list of objects"),
    ],
)
def test_a_meeting_that_cannot_be_used_says_why(change: dict[str, Any], reason: str, tmp_path: Path) -> None:
    path = write(tmp_path / "val.jsonl", [{**MEETING[0], **change}])
    [row] = tasks.read_meetings(path)
    assert row.reason == reason  # type: ignore[union-attr]


def test_two_encounters_with_one_id_are_an_error(tmp_path: Path) -> None:
    rows = [{"dataset": "aci", "encounter_id": "E1", "dialogue": "a", "note": "b"}] * 2
    with pytest.raises(BadInput, match="two rows have the id 'E1'"):
        list(tasks.read_encounters(write(tmp_path / "valid.csv", rows)))


# --- in an audit ---------------------------------------------------------------------------------


def _judge() -> Any:
    """Says that whatever is no sentence of the text is made up, and calls everything good but what drifts."""

    def rule(texts: Any) -> str:
        if "useful" in str(texts):
            return "GOOD"
        return "NO" if texts["ANSWER"].strip(".") in texts["SOURCE"] else "YES"

    return known_judge(rule, name="rule")


def test_what_the_text_does_not_say_is_counted_by_scorer_and_judge(pack: Path, tmp_path: Path) -> None:
    every = items(MARCO, pack)
    models = {**known_models(every), "rule": _judge()}
    asked = request(
        arm("always-first", no_guards=["length"]),
        benchmarks=(BenchmarkTable(name="ms-marco"),),
        judges=(JudgeTable(rubric="hallucination", model="known:rule"),),
        data=str(pack),
    )
    _, seal = audited(asked, tmp_path / "runs", by=host(models))
    figures = {(f["metric"], f["group"]): f for f in seal["figures"]}
    assert figures["hallucination", ""]["value"] == 1.0
    assert ("quality", "") not in figures, "nobody is named to judge that"
    assert figures["unsupported-sentinels", ""]["value"] == pytest.approx(0.85)
    assert figures["rouge-l", ""]["value"] == 0.0


def test_what_is_longer_than_the_context_is_left_out_of_the_plan_and_counted(pack: Path, tmp_path: Path) -> None:
    turns = [{"speaker": "Ann", "content": "We talk on . " * 50}]
    write(pack / "qmsum/val.jsonl.gz", [*MEETING, {**MEETING[0], "meeting_transcripts": turns}])
    small = replace(known_models([])["empty"], name="small", context=100)
    asked = request(
        arm("small", no_guards=["length"]), benchmarks=(BenchmarkTable(name="qmsum"),), data=str(pack), judges=()
    )
    audit, _ = audited(asked, tmp_path / "runs", by=host({"small": small}))
    [entry] = json.loads((audit.bundle.root / "plan.json").read_text("utf-8"))["benchmarks"]
    assert entry["items"] == 2 + len(UNSUPPORTED.sentinels)
    assert len(entry["not_covered"]) == 2
    assert all("tokens" in left["reason"] for left in entry["not_covered"])


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda b: b.name)
def test_who_says_nothing_invents_nothing_and_is_of_no_use(benchmark: Grounded) -> None:
    for metric in benchmark.metrics:
        assert metric.credit[Disposition.REFUSED] == 0.0
        assert not {Disposition.EMPTY, Disposition.TRUNCATED} & metric.credit.keys()


@pytest.mark.parametrize("rubric", [HALLUCINATION, UNSUPPORTED, QUALITY], ids=lambda r: r.name)
def test_sentinels_differ_by_their_answers_alone(rubric: Any) -> None:
    """Each text has an answer of both kinds, so that no judge gets them right by looking at texts."""
    high, low = ({s.source for s in rubric.sentinels if s.score == score} for score in (1.0, 0.0))
    assert high == low
    assert len(high) == 20
