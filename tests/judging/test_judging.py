"""Audits with judges: what they say, how far they are believed, and that all of it is checked without them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from orca_guard.cli import invoke
from orca_guard.drive import Streamed, drive
from orca_guard.errors import BadInput, ConfigurationChanged, DataAbsent, PluginFailed
from orca_guard.freezing import freeze
from orca_guard.host import Host
from orca_guard.items import Metric
from orca_guard.journal.bundle import Bundle
from orca_guard.judging.asking import ClassifierJudge, Heard
from orca_guard.judging.hygiene import FEWEST, INJECTIONS, sentinels
from orca_guard.judging.placing import table_for
from orca_guard.plan import BenchmarkTable, JudgeTable, Request
from orca_guard.rescore import rescore
from orca_guard.testing import ScriptedClassifiers, check_benchmark
from orca_guard.testing.judges import known_judge
from orca_guard.testing.known import known_models
from orca_guard.verify import verify
from tests.auditing import arm, audited, host, request
from tests.judging.blue import BLUE, SENTINELS, THINGS, Colours, says_blue

JUDGE = JudgeTable(model="known:judge")


COLOURS = Colours()


def by(rule: Callable[[Mapping[str, str]], str] = says_blue, benchmark: Colours = COLOURS, **judges: Any) -> Host:
    models = {**known_models(benchmark.items({})), "judge": known_judge(rule), **judges}
    return host(models, benchmarks=[benchmark])


def asked(*arms: Any, judges: tuple[JudgeTable, ...] = (JUDGE,), **settings: Any) -> Request:
    return request(*arms, benchmarks=(BenchmarkTable(name="colours"),), judges=judges, **settings)


def found(seal: Mapping[str, Any], metric: str, subject: str = "oracle") -> Mapping[str, Any]:
    figure: Mapping[str, Any]
    [figure] = [f for f in seal["figures"] if (f["metric"], f["subject"], f["group"]) == (metric, subject, "")]
    return figure


def records(bundle: Bundle) -> list[dict[str, Any]]:
    lines = [json.loads(line) for path in bundle.journals().values() for line in path.read_text().splitlines()]
    return [line for line in lines if line.get("kind") == "item"]


def test_a_judge_gives_the_scores_and_its_sentinels_say_how_good_it_is(tmp_path: Path) -> None:
    audit, seal = audited(asked(arm("oracle"), arm("always-no"), arm("refuser")), tmp_path, by=by())
    assert [found(seal, "blue", name)["value"] for name in ("oracle", "always-no", "refuser")] == [1.0, 0.0, 0.0]
    assert [found(seal, f"blue-{what}")["value"] for what in ("sentinels", "parsed", "flips")] == [1.0, 1.0, 0.0]
    assert found(seal, "blue")["n"] == len(THINGS)
    assert found(seal, "blue-sentinels")["n"] == 2 * FEWEST
    assert found(seal, "exact")["n"] == len(THINGS), "no rule reads the answers of sentinels"
    assert not verify(audit.bundle.root).faulty


def test_no_injection_moves_a_judge_that_reads_data_as_data(tmp_path: Path) -> None:
    _, seal = audited(asked(arm("oracle")), tmp_path, by=by())
    assert len(INJECTIONS) == found(seal, "blue-flips")["n"] == 20
    assert found(seal, "blue-flips")["value"] == 0.0


def test_a_judge_that_does_what_answers_say_is_found_out(tmp_path: Path) -> None:
    def gullible(shown: Mapping[str, str]) -> str:
        lines = shown["ANSWER"].split("\n", 1)
        return ("YES" if "YES" in lines[1] else "NO") if len(lines) > 1 else says_blue(shown)

    _, seal = audited(asked(arm("oracle")), tmp_path, by=by(gullible))
    assert found(seal, "blue-flips")["value"] == 1.0
    assert found(seal, "blue-sentinels")["value"] == 1.0, "it knows blue when nobody tells it otherwise"


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (lambda _: "YES", "gets 0.50 of its sentinels right"),
        (lambda _: "perhaps", "gives a verdict on 0.0%"),
        (lambda shown: "" if shown["ANSWER"].startswith("snow") else says_blue(shown), ""),
        (lambda shown: "" if shown["ANSWER"][:2] in {"sn", "se"} else says_blue(shown), "gives a verdict on 96"),
    ],
)
def test_nothing_rests_on_a_judge_that_cannot_be_believed(
    tmp_path: Path, rule: Callable[[Mapping[str, str]], str], why: str
) -> None:
    gate = {"benchmark": "colours", "metric": "blue", "at_least": 0.2}
    audit, seal = audited(asked(arm("oracle"), gates=(gate,)), tmp_path, by=by(rule))
    assert why in found(seal, "blue")["judged"]["inconclusive"]
    assert bool(why) == bool(found(seal, "blue")["judged"]["inconclusive"])
    assert seal["verdict"] == ("inconclusive" if why else "pass")
    assert not verify(audit.bundle.root).faulty


def test_an_answer_without_a_verdict_is_unscored_and_never_a_pass(tmp_path: Path) -> None:
    audit, seal = audited(asked(arm("oracle")), tmp_path, by=by(lambda _: "perhaps"))
    assert (found(seal, "blue")["value"], found(seal, "blue")["unscored"]) == (None, len(THINGS))
    assert not [r for r in records(audit.bundle) if r["mark"] == "pass"]


def test_a_judge_that_is_the_model_under_test_is_marked(tmp_path: Path) -> None:
    own, other = JudgeTable(model="known:judge"), asked(arm("judge"), arm("oracle"))
    assert own == JUDGE
    _, seal = audited(other, tmp_path, by=by())
    assert found(seal, "blue", "judge")["judged"]["own"] == ["blue"]
    assert found(seal, "blue", "oracle")["judged"]["own"] == []


def test_sentinels_are_mixed_in_by_seed_and_look_like_answers(tmp_path: Path) -> None:
    audit, _ = audited(asked(arm("oracle")), tmp_path, by=by())
    order = [record["item"].startswith("sentinel") for record in records(audit.bundle)]
    assert order.index(False) < len(SENTINELS) // 2, "they stand neither in front"
    assert True in order[-len(THINGS) :], "nor behind"
    ids = [item.id for item in freeze(asked(arm("oracle")), by()).benchmarks[0].items]
    assert ids == [item.id for item in freeze(asked(arm("oracle")), by()).benchmarks[0].items]
    assert ids != [item.id for item in freeze(asked(arm("oracle"), seed=1), by()).benchmarks[0].items]


def test_a_limit_is_of_questions_and_leaves_every_sentinel(tmp_path: Path) -> None:
    few = request(arm("oracle"), benchmarks=(BenchmarkTable(name="colours", limit=3),), judges=(JUDGE,))
    _, seal = audited(few, tmp_path, by=by())
    assert (found(seal, "blue")["n"], found(seal, "blue-sentinels")["n"]) == (3, len(SENTINELS))


def test_without_a_judge_only_what_needs_none_is_measured(tmp_path: Path) -> None:
    _, seal = audited(asked(arm("oracle"), judges=()), tmp_path, by=by())
    assert {figure["metric"] for figure in seal["figures"]} == {"exact"}
    assert freeze(asked(arm("oracle"), judges=()), by()).plan["benchmarks"][0]["unjudged"] == ["blue"]


def test_a_benchmark_of_judged_metrics_alone_is_absent_without_a_judge() -> None:
    only = replace(Colours(), metrics=(Metric(name="blue", judges=("blue",)),))
    with pytest.raises(DataAbsent, match="name a model by --judge"):
        freeze(asked(arm("oracle"), judges=()), by(benchmark=only))


@pytest.mark.parametrize(
    ("benchmark", "why"),
    [
        (replace(Colours(), rubrics=(replace(BLUE, sentinels=SENTINELS[:30]),)), "needs 20 of each"),
        (replace(Colours(), rubrics=(replace(BLUE, sentinels=(*SENTINELS, SENTINELS[0])),)), "sentinel twice"),
        (replace(Colours(), rubrics=(BLUE, BLUE)), "two rubrics of one name"),
        (replace(Colours(), metrics=(Metric(name="x", judges=("green",)),)), "no rubric of its"),
    ],
)
def test_rubrics_without_enough_sentinels_are_refused(benchmark: Colours, why: str) -> None:
    with pytest.raises(PluginFailed, match=why):
        freeze(asked(arm("oracle")), by(benchmark=benchmark))


@pytest.mark.parametrize(
    ("benchmark", "judge", "why"),
    [
        (Colours(), structs.replace(JUDGE, rubric="bleu"), "by rubric 'bleu'. There is: blue"),
        (replace(Colours(), rubrics=(), metrics=(Metric(name="exact"),)), JUDGE, "by any rubric. They are scored"),
    ],
)
def test_a_judge_with_nothing_to_judge_is_refused(benchmark: Colours, judge: JudgeTable, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        freeze(asked(arm("oracle"), judges=(judge,)), by(benchmark=benchmark))


def test_no_scorer_judges_what_only_a_reader_can() -> None:
    with pytest.raises(BadInput, match="no guard can judge by rubric 'blue'"):
        freeze(asked(arm("oracle"), judges=(JudgeTable(rubric="blue", guard="length"),)), by())


def test_a_classifier_reads_question_and_answer_as_a_pair() -> None:
    server = ScriptedClassifiers(script=lambda pair: {"Blue": float("blue" in pair[1]), "other": 0.2})
    judge = ClassifierJudge(
        rubric=BLUE, who="classifier", identity={}, threshold=0.5, server=server, reference="./dir", label="blue"
    )
    [one] = [item for item in COLOURS.items({}) if item.id == "sky"]
    tasks = ((text, judge.hear(one, text)) for text in ("It is blue.", "It is red."))
    done = {event.key: event.result for event in drive(tasks, judge.targets) if not isinstance(event, Streamed)}
    assert {text: heard.score for text, heard in done.items()} == {"It is blue.": 1.0, "It is red.": 0.0}  # type: ignore[union-attr]
    assert server.asked[0].texts == (("Which colour is sky?", "It is blue."),)


def test_a_judge_that_breaks_costs_its_verdict_and_no_answer() -> None:
    server = ScriptedClassifiers(script=lambda _: RuntimeError("out of memory"))
    judge = ClassifierJudge(
        rubric=BLUE, who="classifier", identity={}, threshold=0.5, server=server, reference="./dir", label="blue"
    )
    [one] = [item for item in COLOURS.items({}) if item.id == "sky"]
    [event] = drive([("sky", judge.hear(one, "It is blue."))], judge.targets)
    assert isinstance(event.result, Heard)  # type: ignore[union-attr]
    assert (event.result.score, event.result.why) == (None, "RuntimeError: out of memory")  # type: ignore[union-attr]


def test_a_rubrics_own_judge_comes_before_one_for_all() -> None:
    toxic = replace(BLUE, default="guard:toxicity", hit=1.0)
    everyone, one = JudgeTable(model="nano"), JudgeTable(rubric="blue", model="other")
    assert table_for(toxic, [everyone]) == JudgeTable(guard="toxicity")
    assert table_for(toxic, [everyone, one]) == one
    assert table_for(BLUE, [everyone]) == everyone
    assert table_for(BLUE, [JudgeTable(guard="length")]) is None


def test_half_of_the_injected_sentinels_are_of_either_kind() -> None:
    injected = [item for item in sentinels(BLUE) if len(item.given) > 1]
    kinds = [item.groups["sentinel-blue"] for item in injected]
    assert (kinds.count("high"), kinds.count("low")) == (10, 10)
    for item in injected:
        assert ("NO" if item.groups["sentinel-blue"] == "high" else "YES") in item.given[1]


# --- evidence ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"), [("score", 0.0), ("score", None), ("of", 1), ("judge", "red"), ("raw", 0.5), ("why", "tired")]
)
def test_a_verdict_that_was_changed_is_found(tmp_path: Path, key: str, value: Any) -> None:
    audit, _ = audited(asked(arm("oracle")), tmp_path, by=by())
    path = audit.bundle.journal(0)
    lines = path.read_text().splitlines()
    at, line = next((n, json.loads(text)) for n, text in enumerate(lines) if '"judged"' in text)
    line["judged"][0][key] = value
    lines[at] = json.dumps(line)
    path.write_text("\n".join(lines) + "\n")
    assert verify(audit.bundle.root).faulty


def test_rescoring_asks_no_judge(tmp_path: Path) -> None:
    audit, seal = audited(asked(arm("oracle")), tmp_path, by=by())
    again = rescore(audit.bundle.root, scoring="match-folded")
    assert found(again.seal, "blue") == found(seal, "blue")
    assert not verify(again.bundle.root).faulty


def test_a_run_is_not_gone_on_with_under_another_judge(tmp_path: Path) -> None:
    from orca_guard.bench import load_bench

    wanted = asked(arm("oracle"))
    plan = freeze(wanted, by()).plan
    changed = by(judge=replace(known_judge(says_blue), name="another"))
    with pytest.raises(ConfigurationChanged, match="judge 'blue' is not what the plan says"):
        load_bench(wanted.arms, json.loads(json.dumps(plan)), changed, judges=wanted.table.judges)


def test_the_contract_suite_knows_judged_metrics() -> None:
    check_benchmark(Colours(), {})


def test_the_command_line_names_judges(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["audit", "--suite", "basics", "--judge", "classifier:./none", "--dry-run", "--no-trial"]) == 2
    assert "says what a classifier's hit is called" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("nano", JudgeTable(model="nano")),
        ("truth=./m=x", JudgeTable(rubric="truth", model="./m=x")),
        ("toxic=guard:toxicity", JudgeTable(rubric="toxic", guard="toxicity")),
        ("classifier:./dir#yes", JudgeTable(classifier="./dir", label="yes")),
        ("http://host/v1", JudgeTable(model="http://host/v1")),
    ],
)
def test_who_judges_in_a_word(text: str, table: JudgeTable) -> None:
    assert JudgeTable.of(text) == table
