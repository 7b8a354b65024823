"""No guard, strategy or model, however it behaves, makes a run that was recorded as it was look forged."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orca_guard.configuration import GuardTable, PipelineTable
from orca_guard.contracts import GuardFactory, GuardSettings, SelectorFactory
from orca_guard.plan import Arm
from orca_guard.types import Action, Attempt, Exhibit, Question, Scope, Stage, Verdict
from orca_guard.verify import Status, verify
from tests.auditing import MODELS, arm, audited, host, request
from tests.verify.forging import Forger


@dataclass(frozen=True)
class Moody:
    """Says anything, by the digest of what it is shown; of a batch it also raises."""

    name: str
    stages: frozenset[Stage]
    scope: Scope = "whole"

    def judge(self, exhibits: Sequence[Exhibit], /) -> Sequence[Verdict]:
        return [self._verdict(exhibit.text) for exhibit in exhibits]

    def _verdict(self, text: str) -> Verdict:
        mood = hashlib.sha256(f"{self.name} {text}".encode()).digest()[0] % 16
        if mood == 0:
            raise RuntimeError("not in the mood")
        said = {
            1: Action.BLOCK,
            2: Action.ABSTAIN,
            3: Action.REVISE,
            4: Action.ERROR,
            5: Action.REDACT,
            6: Action.REDACT,
        }
        action = said.get(mood, Action.ALLOW)
        spans = ((0, len(text) // 2 + 1),) if action is Action.REDACT and text else ()
        return Verdict(action=action, reason="a mood", score=0.5, threshold=0.7, spans=spans)


def moody(guard: Moody, _settings: GuardSettings) -> Moody:
    return guard


@dataclass(frozen=True)
class Trying:
    """Every strategy once, in order."""

    strategies: Sequence[str]
    name: str = "trying"
    escalates: bool = True

    def choose(self, _question: Question, attempts: Sequence[Attempt], /) -> str | None:
        return self.strategies[len(attempts)] if len(attempts) < len(self.strategies) else None


def trying(strategies: Sequence[str], _options: Mapping[str, Any]) -> Trying:
    return Trying(strategies)


def changed(found: Arm, **changes: Any) -> Arm:
    table: PipelineTable = msgspec.structs.replace(found.table, **changes)
    return Arm(found.name, table)


@pytest.mark.parametrize("on_error", ["block", "abstain", "allow"])
def test_whatever_guards_say_the_run_is_verified(tmp_path: Path, on_error: Any) -> None:
    stages = {"early": frozenset[Stage]({"input"}), "late": frozenset[Stage]({"output"})}
    makers = [
        GuardFactory(name=name, summary="moody", make=partial(moody, Moody(name, where)))
        for name, where in stages.items()
    ]
    guards = tuple(GuardTable(name=name, on_error=on_error) for name in stages)
    models = {"oracle": replace(MODELS["oracle"], writes=lambda prompt: f"Well. {MODELS['oracle'].writes(prompt)}")}
    by = host(models, guards=makers, selectors=[SelectorFactory(name="trying", summary="all", make=trying)])
    arms = (
        changed(arm("once", model="oracle"), guards=guards),
        changed(arm("often", model="oracle", selector="trying"), guards=guards, strategies=("direct", "step-by-step")),
    )
    audit, _ = audited(request(*arms), tmp_path, by=by)
    report = verify(audit.bundle.root)
    assert not report.faulty, [check for check in report.checks if check.status is Status.FAULT]
    dispositions = Counter(record["disposition"] for record in Forger(audit.bundle.root).records)
    assert len(dispositions) >= 3, "they had their moods"


@pytest.mark.parametrize("name", [*MODELS])
def test_whatever_a_model_says_the_run_is_verified(tmp_path: Path, name: str) -> None:
    arms = (arm(name), arm("stepwise", model=name, strategy="step-by-step"))
    audit, _ = audited(request(*arms, limit=12), tmp_path)
    assert not verify(audit.bundle.root).faulty
