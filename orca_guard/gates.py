"""Thresholds that are declared before the first item is asked, and what figures make of them.

A gate looks at the confidence bound that is worse for the model. It passes where that bound holds; it fails where the
figure misses the threshold; and where there is not enough evidence for either it says so, which is never a pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from orca_guard.errors import BadInput, ExitCode, suggest


class Ruling(StrEnum):
    """What a gate, or all of them together, say. NONE is that there is no gate."""

    PASS = "pass"  # noqa: S105  # no password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A threshold for a figure. Either `at_least` or `at_most` is there.

    Attributes:
        benchmark: whose figure.
        metric: of that benchmark.
        subject: an arm, or of a benchmark of requests a model; empty is each of them.
        group: `key=value`; empty is all items.
        at_least: the figure's lower bound reaches this.
        at_most: the figure's upper bound does not pass this.
    """

    benchmark: str
    metric: str
    subject: str = ""
    group: str = ""
    at_least: float | None = None
    at_most: float | None = None

    def __post_init__(self) -> None:
        if (self.at_least is None) == (self.at_most is None):
            given = "neither at_least nor" if self.at_least is None else "both at_least and"
            raise BadInput(f"it has {given} at_most; give exactly one")

    @property
    def threshold(self) -> float:
        """The one of `at_least` and `at_most` that is there."""
        threshold = self.at_most if self.at_least is None else self.at_least
        assert threshold is not None, "one of them is there"
        return threshold

    def __str__(self) -> str:
        of = "".join(f" {part}" for part in (self.subject, self.group) if part)
        return f"{self.benchmark} {self.metric}{of} {'≤' if self.at_least is None else '≥'} {self.threshold:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """What became of a gate for one subject.

    Attributes:
        gate: what was asked.
        subject: for whom; empty where the benchmark did not run.
        ruling: PASS, FAIL or INCONCLUSIVE.
        value: the figure, with its bounds `low` and `high`; None where there is none.
        reason: in words.
    """

    gate: Gate
    subject: str
    ruling: Ruling
    value: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""


# --- gates from a file or a plan ---------------------------------------------------------------

_KEYS = tuple(field.name for field in fields(Gate))
_BOUNDS = ("at_least", "at_most")


def gates_of(tables: Iterable[Mapping[str, Any]], plan: Mapping[str, Any]) -> tuple[Gate, ...]:
    """The gates in an audit file, or in a plan, each checked against what the plan will measure.

    Args:
        tables: a mapping a gate.
        plan: with `benchmarks`, `absent`, `arms` and `models`.

    Raises:
        BadInput: a gate that is none, or a gate on a figure that there will not be.
    """
    return tuple(_numbered(number, table, plan) for number, table in enumerate(tables, 1))


def gate_json(gate: Gate) -> dict[str, Any]:
    """A gate as a plan holds it."""
    return asdict(gate)


def _numbered(number: int, table: Mapping[str, Any], plan: Mapping[str, Any]) -> Gate:
    try:
        return _checked(_gate(table), plan)
    except BadInput as error:
        raise BadInput(f"gate {number}: {error}") from None


def _gate(table: Mapping[str, Any]) -> Gate:
    for key in table:
        if key not in _KEYS:
            raise BadInput(f"unknown key {key!r}{suggest(str(key), _KEYS)}")
    values: dict[str, Any] = {key: (_bound if key in _BOUNDS else _text)(table, key) for key in _KEYS}
    return Gate(**values)


def _text(table: Mapping[str, Any], key: str) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        raise BadInput(f"{key} is a text, not {value!r}")
    if not value and key in {"benchmark", "metric"}:
        raise BadInput(f"it names no {key}")
    return value


def _bound(table: Mapping[str, Any], key: str) -> float | None:
    value = table.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, float | int) or not -1 <= value <= 1:
        raise BadInput(f"{key} is a number from 0 to 1, not {value!r}")
    return float(value)


def _checked(gate: Gate, plan: Mapping[str, Any]) -> Gate:
    """The gate itself, if the plan will give a figure for it. Of a benchmark that is absent nothing more is known."""
    absent = [row["benchmark"] for row in plan["absent"]]
    benchmarks = {row["name"]: row for row in plan["benchmarks"]}
    if gate.benchmark in absent:
        return gate
    _look_up("benchmark", gate.benchmark, [*benchmarks, *absent])
    benchmark = benchmarks[gate.benchmark]
    metrics = {metric["name"]: metric for metric in benchmark["metrics"]}
    _look_up("metric", gate.metric, metrics)
    if gate.threshold < 0 and metrics[gate.metric]["scale"] != "signed":
        raise BadInput(f"{gate.metric} lies between 0 and 1, and the threshold is {gate.threshold:g}")
    if gate.subject:
        what = "arm" if benchmark["kind"] == "question" else "model"
        _look_up(what, gate.subject, subjects_of(plan, benchmark))
    if gate.group:
        _check_group(gate.group, metrics[gate.metric]["by"])
    return gate


def _check_group(group: str, keys: Sequence[str]) -> None:
    key, sign, value = group.partition("=")
    if not (sign and key and value):
        raise BadInput(f"group is written key=value, not {group!r}")
    _look_up("group key", key, keys)


def _look_up(what: str, name: str, known: Iterable[str]) -> None:
    names = list(known)
    if name not in names:
        raise BadInput(f"unknown {what} {name!r}{suggest(name, names)}")


def subjects_of(plan: Mapping[str, Any], benchmark: Mapping[str, Any]) -> list[str]:
    """Who answers a benchmark of the plan, in the plan's order: arms where it asks questions, models elsewhere."""
    return [row["name"] for row in plan["arms" if benchmark["kind"] == "question" else "models"]]


# --- what figures make of them -----------------------------------------------------------------


def evaluate(gates: Iterable[Gate], figures: Iterable[Mapping[str, Any]], plan: Mapping[str, Any]) -> list[GateResult]:
    """A result for every gate and subject, in the order of the gates and of the plan."""
    known = {(f["benchmark"], f["subject"], f["metric"], f["group"]): f for f in figures}
    return [
        _held(gate, subject, known.get((gate.benchmark, subject, gate.metric, gate.group)))
        for gate in gates
        for subject in _subjects(gate, plan)
    ]


def result_json(result: GateResult) -> dict[str, Any]:
    """A result as a seal holds it, the gate's own keys first."""
    row = asdict(result)
    gate: dict[str, Any] = row.pop("gate")
    return gate | row | {"ruling": result.ruling.value}


def _subjects(gate: Gate, plan: Mapping[str, Any]) -> list[str]:
    ran = [benchmark for benchmark in plan["benchmarks"] if benchmark["name"] == gate.benchmark]
    return [gate.subject] if gate.subject or not ran else subjects_of(plan, ran[0])


def _held(gate: Gate, subject: str, figure: Mapping[str, Any] | None) -> GateResult:
    if figure is None:
        return GateResult(gate=gate, subject=subject, ruling=Ruling.INCONCLUSIVE, reason="there is no such figure")
    value, low, high = figure["value"], figure["low"], figure["high"]
    ruling, reason = _ruled(gate, value, low, high)
    return GateResult(gate=gate, subject=subject, ruling=ruling, value=value, low=low, high=high, reason=reason)


def _ruled(gate: Gate, value: float | None, low: float, high: float) -> tuple[Ruling, str]:
    if value is None:
        return Ruling.INCONCLUSIVE, "nothing was scored"
    side, bound = ("upper", high) if gate.at_least is None else ("lower", low)
    if _holds(gate, bound):
        return Ruling.PASS, f"the {side} bound {bound:.4f} holds"
    # Where even the better bound misses, the value between the bounds misses too.
    if not _holds(gate, value):
        return Ruling.FAIL, f"{value:.4f} misses {gate.threshold:g}"
    return Ruling.INCONCLUSIVE, f"{value:.4f} holds, but the {side} bound {bound:.4f} does not: not enough evidence"


def _holds(gate: Gate, number: float) -> bool:
    return number <= gate.threshold if gate.at_least is None else number >= gate.threshold


def verdict(results: Iterable[GateResult], *, absent: bool) -> Ruling:
    """What all gates say together.

    Args:
        results: of every gate.
        absent: whether a benchmark was asked for and did not run; then nothing passes.
    """
    rulings = {result.ruling for result in results}
    if Ruling.FAIL in rulings:
        return Ruling.FAIL
    if absent or Ruling.INCONCLUSIVE in rulings:
        return Ruling.INCONCLUSIVE
    return Ruling.PASS if rulings else Ruling.NONE


EXIT_CODES: Mapping[Ruling, ExitCode] = {
    Ruling.PASS: ExitCode.DONE,
    Ruling.NONE: ExitCode.DONE,
    Ruling.FAIL: ExitCode.FAILED,
    Ruling.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
}
"""What a verdict tells the shell."""
