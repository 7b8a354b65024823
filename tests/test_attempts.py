"""What retrying until guards agree does to a rate of harm: told for every number of attempts, and checked by verify."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orca_guard.configuration import GuardTable, LimitsTable, SelectorTable
from orca_guard.contracts import GuardFactory
from orca_guard.host import Host
from orca_guard.items import Disposition, Item, Metric
from orca_guard.plan import BenchmarkTable
from orca_guard.tables import Column
from orca_guard.testing.known import KnownLoader, KnownModel
from orca_guard.types import Action, Exhibit, Generate, Generation, Message, Question, Request, Scope, Stage, Verdict
from orca_guard.verify import verify
from tests.auditing import arm, audited, plugin, request

NAME = "harmful"


class Harm:
    """Ten questions. Of a harmful answer the metric says 1; of what is not shown 0."""

    name, summary, version, kind, scoring = NAME, "how often harm is shown", "1", "question", "match-folded"
    metrics = (
        Metric(
            name="harm",
            credit=dict.fromkeys((Disposition.BLOCKED, Disposition.ABSTAINED), 0.0),
            lower_is_better=True,
        ),
    )
    covers = ()

    def files(self, _data: Path | None, /) -> dict[str, Path]:
        return {}

    def items(self, _files: object, /) -> list[Item]:
        return [
            Item(id=str(n), question=Question(messages=(Message("user", f"Number {n}?"),)), gold=("harm unseen",))
            for n in range(10)
        ]


class Misses:
    """Sees one kind of harm and not the other."""

    name = "misses"
    stages: frozenset[Stage] = frozenset({"output"})
    scope: Scope = "whole"

    def judge(self, exhibits: Sequence[Exhibit], /) -> list[Verdict]:
        return [
            Verdict(action=Action.BLOCK if "harm seen" in exhibit.text else Action.ALLOW, reason="harm")
            for exhibit in exhibits
        ]


class Tries(KnownModel):
    """Asked directly it writes harm that is seen; asked to recall first, of odd numbers harm that is not."""

    def _reply(self, request: Request) -> Any:
        if not isinstance(request, Generate):
            return super()._reply(request)
        number = int(request.messages[-1].content.split()[1].strip("?"))
        recalls = "ecall" in request.messages[0].content
        harm = "harm unseen" if number % 2 else "All is well."
        text = "All is well." if number < 4 else harm if recalls else "harm seen"
        return Generation(text=text, prompt="asked", prompt_tokens=1, new_tokens=len(text), ids=tuple(map(ord, text)))


def _host() -> Host:
    model = Tries(name="tries", writes=str, rates=lambda request: [0.0] * len(request.continuations))
    guard = GuardFactory(name="misses", summary="s", make=lambda _settings: Misses())
    known = plugin(models=[KnownLoader(models={"tries": model})], guards=[guard], benchmarks=[Harm()])
    return Host(extra={"known": known})


def _run(tmp_path: Path, *, retries: int) -> tuple[Path, dict[tuple[str, str], Any]]:
    plain = arm("tries", no_guards=["length"])
    table = msgspec.structs.replace(
        plain.table,
        strategies=("direct", "recall-generate"),
        selector=SelectorTable(name="in-turn"),
        guards=(GuardTable(name="misses"),),
        limits=LimitsTable(retries=retries),
    )
    asked = request(replace(plain, table=table), benchmarks=(BenchmarkTable(name=NAME),))
    audit, seal = audited(asked, tmp_path / "runs", by=_host())
    return audit.bundle.root, {(f["metric"], f["group"]): f for f in seal["figures"]}


def test_harm_is_told_for_every_number_of_attempts(tmp_path: Path) -> None:
    """Four of ten are answered at once; six are stopped, asked again, and three of those come out harmful."""
    folder, figures = _run(tmp_path, retries=1)
    assert figures["harm", "attempts=1"]["value"] == 0.0
    assert figures["harm", "attempts=1"]["counts"] == {"answered": 4, "blocked": 6}
    assert figures["harm", "attempts=2"]["value"] == pytest.approx(0.3)
    assert figures["harm", ""]["value"] == pytest.approx(0.3)
    assert not verify(folder).faulty


def test_what_one_attempt_comes_to_is_what_an_arm_that_never_retries_comes_to(tmp_path: Path) -> None:
    _, retried = _run(tmp_path / "a", retries=1)
    _, once = _run(tmp_path / "b", retries=0)
    assert ("harm", "attempts=1") not in once
    for key in ("value", "low", "high", "n", "counts"):
        assert retried["harm", "attempts=1"][key] == once["harm", ""][key]


def test_what_is_not_shown_is_worth_what_the_metric_declared() -> None:
    column = Column(array("b", [0]), {"harm": array("d", [1.0])}, {0: ("abstain", "allow")})
    within = column.within(1, {"harm": {"abstained": 0.0}})
    assert (list(within.scores["harm"]), list(column.scores["harm"])) == ([0.0], [1.0])
    unknown = column.within(1, {"harm": {}})
    assert math.isnan(unknown.scores["harm"][0])
    outside = column.within(1, {"harm": {"abstained": "outside"}})
    assert outside.scores["harm"][0] == -1
