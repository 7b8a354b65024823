"""Metrics of every kind in a real audit: worked by hand, and computed again by two verifiers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pytest

from orca_guard.errors import PluginFailed
from orca_guard.freezing import freeze
from orca_guard.items import ACCURACY, OUTSIDE, Disposition, Item, Kind, Metric, Worth
from orca_guard.plan import BenchmarkTable
from orca_guard.types import Message, Question, Score
from orca_guard.verify import Status, verify
from tests import independent_figures, independent_verifier
from tests.auditing import MODELS, arm, audited, host, request

REFUSED_OUTSIDE: dict[Disposition, Worth] = {Disposition.REFUSED: OUTSIDE}
BIAS: dict[str, float | Literal["outside"]] = {"stereotyped": 1.0, "unknown": OUTSIDE}
QUESTION_METRICS = (
    replace(ACCURACY, by=("context",)),
    Metric(name="balanced", aggregate="balanced", over="group", credit={Disposition.REFUSED: 0.0}),
    Metric(name="gap", aggregate="gap", over="group", by=("context",), credit={Disposition.REFUSED: 0.0}),
    Metric(name="bias", worth=BIAS, credit=REFUSED_OUTSIDE, scale="signed", by=("context",)),
    Metric(name="bias-of-all", worth={**BIAS, "unknown": 0.5}, credit=REFUSED_OUTSIDE, scale="signed"),
    Metric(name="says-unknown", worth={"unknown": 1.0}, credit={Disposition.REFUSED: 0.0}),
    Metric(name="strictly", rule="match", credit={Disposition.REFUSED: 0.0}),
    Metric(name="agreement", aggregate="agreement", over="pair", by=("context",)),
)
REQUEST_METRICS = (
    Metric(name="accuracy"),
    Metric(name="one-of-two", among="two"),
    Metric(name="greedily", rule="greedy"),
    Metric(name="mass", rule="likelihood-mass", among="two"),
    Metric(name="says-last", worth={"last": 1.0}),
    Metric(name="right-of-the-first-two", worth={"gold": 1.0, "last": OUTSIDE}, aggregate="balanced", over="kind"),
)


@dataclass(frozen=True, kw_only=True)
class Made:
    """A benchmark of these items."""

    name: str
    kind: Kind
    made: tuple[Item, ...]
    metrics: tuple[Metric, ...]
    scoring: str
    summary: str = ""
    version: str = "1"

    def files(self, _data: Path | None, /) -> Mapping[str, Path]:
        return {}

    def items(self, _files: Mapping[str, Path], /) -> Iterable[Item]:
        return self.made


def question(number: int) -> Item:
    """Who did it, A, B or nobody can tell (C)? In ambiguous contexts C is right, in others A or B by turns."""
    ambiguous = number % 2
    return Item(
        id=f"q{number}",
        question=Question(
            id=f"q{number}",
            messages=(Message("user", f"{number}: who did it?"),),
            form="letter",
            choices=("Ann", "Bo", "Unknown"),
        ),
        gold=("C",) if ambiguous else ("AB"[number // 2 % 2],),
        labels={"stereotyped": ("A",), "unknown": ("C",)},
        cluster=f"story {number // 4}",
        groups={
            "group": ("old", "young", "tall")[number % 3],
            "context": ("clear", "ambiguous")[ambiguous],
            "pair": str(number // 4),
        },
    )


def rated(number: int) -> Item:
    return Item(
        id=f"r{number}",
        request=Score(context=f"{number}:", continuations=(" a", " b", " c")),
        gold=("0",) if number % 2 else ("1", "2"),
        labels={"two": ("0", "1"), "last": ("2",)},
        groups={"kind": "xy"[number % 2]},
    )


QUESTIONS = Made(
    name="who",
    kind="question",
    made=tuple(map(question, range(48))),
    metrics=QUESTION_METRICS,
    scoring="match-folded",
)
REQUESTS = Made(
    name="ends", kind="score", made=tuple(map(rated, range(24))), metrics=REQUEST_METRICS, scoring="likelihood"
)
SAYINGS = ("A", "C", "B", "C", "A", MODELS["refuser"].writes(""))


def _writes(prompt: str) -> str:
    return SAYINGS[int(prompt.partition(":")[0]) % len(SAYINGS)]


def _rates(asked: Score) -> list[float]:
    """Best first, second, third, or the first two alike."""
    return [[-1.0, -2.0, -3.0], [-2.0, -1.0, -3.0], [-3.0, -2.0, -1.0], [-1.0, -1.0, -2.0]][int(asked.context[:-1]) % 4]


MIXED = replace(MODELS["oracle"], name="mixed", writes=_writes, rates=_rates)
TABLES = (BenchmarkTable(name="who"), BenchmarkTable(name="ends"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[tuple[str, str], Mapping[str, Any]]]:
    by = host({"mixed": MIXED}, benchmarks=[QUESTIONS, REQUESTS])
    audit, seal = audited(request(arm("mixed"), benchmarks=TABLES), tmp_path_factory.mktemp("runs"), by=by)
    return audit.bundle.root, {(f["metric"], f["group"]): f for f in seal["figures"] if f["benchmark"] == "who"} | {
        (f["metric"], "requests"): f for f in seal["figures"] if f["benchmark"] == "ends"
    }


def test_two_verifiers_compute_the_same(run: tuple[Path, Any]) -> None:
    report = verify(run[0])
    assert not [check for check in report.checks if check.status is Status.FAULT]
    independent_verifier.verify(run[0])
    independent_figures.verify(run[0])


def said(number: int) -> str:
    return SAYINGS[number % 6][0]


def test_questions_come_to_what_they_do_by_hand(run: tuple[Path, Any]) -> None:
    figures = run[1]
    right = [float(said(n) == question(n).gold[0]) for n in range(48)]
    means = [sum(right[n] for n in range(48) if n % 3 == k) / 16 for k in range(3)]
    assert figures["accuracy", ""]["value"] == pytest.approx(sum(right) / 48)
    assert figures["balanced", ""]["value"] == pytest.approx(sum(means) / 3)
    assert figures["gap", ""]["value"] == pytest.approx(max(means) - min(means))
    assert figures["strictly", ""]["value"] == figures["accuracy", ""]["value"]


def test_a_bias_score_is_the_published_one(run: tuple[Path, Any]) -> None:
    """Parrish et al. 2022: of the answers that are not unknown, 2 biased / all - 1; in all, times those there are."""
    answers = [said(n) for n in range(48) if said(n) != "I"]
    known = [answer for answer in answers if answer != "C"]
    score = 2 * known.count("A") / len(known) - 1
    assert run[1]["bias", ""]["value"] == pytest.approx(score)
    assert run[1]["bias", ""]["outside"] == 48 - len(known)
    assert run[1]["bias-of-all", ""]["value"] == pytest.approx(len(known) / len(answers) * score)
    assert run[1]["bias-of-all", ""]["outside"] == 8
    assert run[1]["says-unknown", ""]["value"] == pytest.approx(answers.count("C") / 48)
    assert -1 <= run[1]["bias", ""]["low"] < score < run[1]["bias", ""]["high"] <= 1


def test_requests_come_to_what_they_do_by_hand(run: tuple[Path, Any]) -> None:
    """Best are 0, 1, 2, and 0 with 1; gold is 0 where the number is odd, else 1 and 2. Six items each."""
    values = {metric: figure["value"] for (metric, group), figure in run[1].items() if group == "requests"}
    assert values["accuracy"] == pytest.approx((0 + 0 + 1 + 0.5) / 4)
    assert values["one-of-two"] == pytest.approx((0 + 0 + 1 + 0.5) / 4)
    assert values["says-last"] == pytest.approx(1 / 4)
    assert values["right-of-the-first-two"] == pytest.approx(((0 + 0.5) / 2 + 0) / 2)
    assert run[1]["right-of-the-first-two", "requests"]["outside"] == 6


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        (Metric(name="m", rule="meteor"), "wants a scoring rule 'meteor'"),
        (Metric(name="m", aggregate="median"), "wants an aggregator 'median'"),
        (Metric(name="m", aggregate="gap"), "is the gap over no classes"),
        (Metric(name="m", over="group"), "is the mean over group"),
        (Metric(name="m", aggregate="gap", over="group", scale="signed"), "is a signed gap"),
        (Metric(name="m", aggregate="gap", over="age"), "an item 'q0' without a 'age'"),
        (Metric(name="m", among="two"), "a question has none"),
        (Metric(name="m", worth={"gold": 2.0}), "a number from 0 to 1"),
        (Metric(name="m", credit={Disposition.EMPTY: -1.0}), "a number from 0 to 1"),
        (ACCURACY, "one name to two metrics"),
    ],
)
def test_a_metric_that_cannot_be_computed_is_refused(metric: Metric, words: str) -> None:
    made = replace(QUESTIONS, metrics=(ACCURACY, metric))
    with pytest.raises(PluginFailed, match=words):
        freeze(request(benchmarks=TABLES[:1]), host(benchmarks=[made]))


def test_every_item_has_a_mark() -> None:
    made = replace(QUESTIONS, metrics=(Metric(name="bias", worth=BIAS),))
    with pytest.raises(PluginFailed, match="leaves answers outside"):
        freeze(request(benchmarks=TABLES[:1]), host(benchmarks=[made]))
