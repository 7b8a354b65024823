"""Attested serving: a pipeline answers only where a sealed audit that passed has measured exactly this one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from orca_guard.assembly import assemble, described, lasting, opened
from orca_guard.configuration import PipelineTable
from orca_guard.errors import BadInput, NotAttested
from orca_guard.gates import Ruling
from orca_guard.host import Host
from orca_guard.identity import canonical, differences
from orca_guard.journal.bundle import Bundle, Status
from orca_guard.pipeline import Pipeline
from orca_guard.verify import Status as Checked
from orca_guard.verify import verify


def assemble_attested(table: PipelineTable, host: Host, *, run: Path, max_age: timedelta | None = None) -> Pipeline:
    """The pipeline that a file describes, if a sealed audit that passed has measured it.

    It is described before it is loaded: that digests every file anew, whatever is remembered of it, and what is refused
    costs no memory. What was loaded is held against the audit once more.

    Args:
        table: the file.
        host: where its names are looked up.
        run: folder of the audit.
        max_age: how long ago it may have been sealed; None is any time.

    Raises:
        NotAttested: the audit attests nothing, or not this pipeline; the difference is shown.
        OrcaGuardError: as `assemble` raises it.
    """
    attestation = attestation_of(run, max_age=max_age)
    attestation.check(assemble(table, host, opener=described))
    pipeline = assemble(table, host, opener=opened)
    arm = attestation.check(pipeline)
    return replace(pipeline, notices=(*pipeline.notices, f"attested by arm {arm!r} of {run}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """What a sealed audit that passed vouches for.

    Attributes:
        run: its folder.
        arms: of its plan.
        judged: names of the arms that gates have judged.
    """

    run: Path
    arms: tuple[Mapping[str, Any], ...]
    judged: frozenset[str]

    def check(self, pipeline: Pipeline) -> str:
        """The name of the arm that is this pipeline.

        Raises:
            NotAttested: there is none, and what is different about the nearest; or no gate has judged it.
        """
        identity = json.loads(canonical(lasting(pipeline.identity)))
        told: dict[str, list[str]] = {arm["name"]: _told(arm, pipeline.digest, identity) for arm in self.arms}
        name = min(told, key=lambda name: len(told[name]))
        if told[name]:
            what = f"this pipeline is none that {self.run} has measured. The nearest is arm {name!r}:"
            raise NotAttested(what, told[name])
        if name not in self.judged:
            raise NotAttested(f"{self.run} has measured this pipeline as arm {name!r}, and no gate has judged that arm")
        return name


def _told(arm: Mapping[str, Any], digest: str, identity: Mapping[str, Any]) -> list[str]:
    """What is different. Digests are compared too: an identity and a digest that do not belong together are no arm."""
    told = differences(arm["identity"], identity)
    return told or [f"pipeline: {arm['pipeline']} → {digest}"] * (arm["pipeline"] != digest)


# --- what a run is worth -----------------------------------------------------------------------

_NO_PASS = {
    Ruling.FAIL: "a gate failed",
    Ruling.INCONCLUSIVE: "there was not enough evidence",
    Ruling.NONE: "it has no gate, so nothing was held against a threshold",
}


def attestation_of(run: Path, *, max_age: timedelta | None = None, now: datetime | None = None) -> Attestation:
    """What a run vouches for.

    Args:
        run: its folder.
        max_age: how long ago it may have been sealed; None is any time.
        now: the time; None asks the clock.

    Raises:
        BadInput: `max_age` is below 0.
        NotAttested: it is not sealed, has a fault, is too old or from the future, did not pass, or was scored by a rule
            that was chosen when its answers were known.
    """
    if max_age is not None and max_age < timedelta(0):
        raise BadInput("the greatest age of an attested run must be 0 days or more")
    try:
        plan, seal = _sound(Bundle(run))
        _check_verdict(plan, seal)
        _check_age(str(seal["finished"]), max_age, now or datetime.now(UTC))
        return Attestation(run=run, arms=tuple(plan["arms"]), judged=frozenset(_judged(plan, seal)))
    except NotAttested as error:
        why = str(error).partition("\n")[0]
        raise NotAttested(f"{run} attests nothing: {why}", error.difference) from None
    except BadInput as error:
        raise NotAttested(f"{run} attests nothing: {error}") from error


def _sound(bundle: Bundle) -> tuple[dict[str, Any], dict[str, Any]]:
    status = bundle.status()
    if status is not Status.SEALED:
        raise NotAttested(f"it is {status}, and only a sealed run can be held against a pipeline")
    faults = faults_of(bundle.root)
    if faults:
        raise NotAttested("it is not as it was sealed:", faults)
    return bundle.read_plan(), bundle.read_seal()


def faults_of(run: Path) -> list[str]:
    """What is wrong with a run, a line a check; none where nothing is. Raises `BadInput` where it is no run."""
    checks = verify(run).checks
    return [f"{check.name}: {check.what}" for check in checks if check.status is Checked.FAULT]


def _check_verdict(plan: Mapping[str, Any], seal: Mapping[str, Any]) -> None:
    if "rescored" in plan:
        raise NotAttested("it was scored again when its answers were known; take the run that it was made of")
    if seal["verdict"] != Ruling.PASS:
        raise NotAttested(f"its verdict is {seal['verdict']}: {_NO_PASS[Ruling(seal['verdict'])]}")


def _check_age(finished: str, max_age: timedelta | None, now: datetime) -> None:
    age = now - _time(finished)
    if age < timedelta(0):
        raise NotAttested(
            f"it was sealed at {finished}, and the clock here says {now:%Y-%m-%dT%H:%M:%SZ}. "
            "One of the two clocks was wrong, so its age is not known"
        )
    if max_age is not None and age > max_age:
        raise NotAttested(
            f"it was sealed at {finished}, {_days(age)} ago, and {_days(max_age)} is the most. Audit again"
        )


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise NotAttested(f"when it was sealed cannot be read: {text!r}") from error
    if time.tzinfo is None:
        raise NotAttested(f"when it was sealed has no time zone: {text!r}")
    return time


def _days(span: timedelta) -> str:
    return f"{span / timedelta(days=1):.4g} days"


def _judged(plan: Mapping[str, Any], seal: Mapping[str, Any]) -> Iterable[str]:
    """The arms that gates look at. Where all gates look at models alone, the arms around those models."""
    kinds = {benchmark["name"]: benchmark["kind"] for benchmark in plan["benchmarks"]}
    arms = {gate["subject"] for gate in seal["gates"] if kinds[gate["benchmark"]] == "question"}
    models = {gate["subject"] for gate in seal["gates"] if kinds[gate["benchmark"]] == "score"}
    return arms or {arm["name"] for arm in plan["arms"] if arm["model"] in models}
