"""Thresholds that are declared before the first item is asked, and what figures make of them.

A gate looks at an interval, with every item that has no score taken for the worst. It passes where the whole interval
is on the right side, fails where the whole interval, with these items taken for the best, is on the wrong one, and
otherwise says that there is not enough evidence, which is never a pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, TypeAlias

from orca_guard.errors import BadInput, ExitCode, suggest
from orca_guard.stats import CONFIDENCE, LEAST_CLUSTERS


class Ruling(StrEnum):
    """What a gate, or all of them together, say. NONE is that there is no gate: measured, and not judged."""

    PASS = "pass"  # noqa: S105  # no password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A threshold. Exactly one of `at_least`, `at_most` and `margin` is there.

    Attributes:
        benchmark: whose figure.
        metric: of that benchmark.
        subject: an arm, or of a benchmark of requests a model; empty is each of them.
        group: `key=value`; empty is all items.
        at_least: the lower bound reaches this.
        at_most: the upper bound does not pass this.
        margin: the subject is worse than the baseline by no more than this, item by item.
        baseline: of a margin, the arm or model to compare with.
        baseline_run: where that is one of another, sealed run: its folder; in a plan, the digest of its seal.
        confidence: that the one bound holds which the gate rests on.
        because: why the threshold is what it is.
        kind: of a policy's gate, `safety`, `over-refusal` or `capability`.
        policy: that it is from. What a policy judges and an audit does not measure is inconclusive, and no mistake.
        labels: people's labels, at least, that it takes; 0 takes none. Until they are there it is inconclusive.
        sequential: whether asking may stop as soon as all gates of the benchmark have ruled.
    """

    benchmark: str
    metric: str
    subject: str = ""
    group: str = ""
    at_least: float | None = None
    at_most: float | None = None
    margin: float | None = None
    baseline: str = ""
    baseline_run: str = ""
    confidence: float = CONFIDENCE
    because: str = ""
    kind: str = ""
    policy: str = ""
    sequential: bool = False
    labels: int = 0

    def __post_init__(self) -> None:
        given = [name for name in _BOUNDS if getattr(self, name) is not None]
        if len(given) != 1:
            raise BadInput(f"it has {' and '.join(given) or 'none'} of at_least, at_most and margin; give exactly one")
        if (self.margin is None) is bool(self.baseline):
            raise BadInput("a margin has a baseline, and nothing else has one")
        if self.baseline_run and not self.baseline:
            raise BadInput("baseline_run says of which run, and baseline of which of its arms or models")
        if self.baseline and self.baseline == self.subject and not self.baseline_run:
            raise BadInput(f"{self.baseline!r} is its own baseline")
        if self.sequential and (self.baseline or self.group):
            raise BadInput("a sequential gate is at_least or at_most over all items; leave out margin and group")
        if self.labels and (self.baseline or self.group or self.sequential):
            raise BadInput(
                "a gate on labels is at_least or at_most over all items; leave out margin, group and sequential"
            )

    @property
    def threshold(self) -> float:
        """The one that is there; of a margin, the least difference there may be."""
        if self.margin is not None:
            return -self.margin
        threshold = self.at_most if self.at_least is None else self.at_least
        assert threshold is not None, "one of them is there"
        return threshold

    @property
    def sign(self) -> int:
        """1 where more is better."""
        return 1 if self.at_most is None else -1

    def __str__(self) -> str:
        of = "".join(f" {part}" for part in (self.subject, self.group) if part)
        if self.margin is not None:
            run = f" of run {self.baseline_run.removeprefix('sha256:')[:12]}" if self.baseline_run else ""
            return f"{self.benchmark} {self.metric}{of} no worse than {self.baseline}{run} by {self.margin:g}"
        return f"{self.benchmark} {self.metric}{of} {'≤' if self.at_least is None else '≥'} {self.threshold:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a gate looks at: a figure, or a difference that is above 0 where the subject is better.

    Attributes:
        value: None where nothing is scored.
        low: lower bound; `low` and `high` each hold at the gate's confidence.
        high: upper bound.
        clusters: independent parts of the evidence.
        note: what else is to be said of it.
        void: why no gate may rest on it; empty where one may.
    """

    value: float | None
    low: float
    high: float
    clusters: int
    note: str = ""
    void: str = ""


Look: TypeAlias = Callable[[Gate, str], Found | None]
"""A gate and a subject → what there is for it; None where there is no such figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """What became of a gate for one subject.

    Attributes:
        gate: what was asked.
        subject: for whom; empty where the benchmark did not run.
        ruling: PASS, FAIL or INCONCLUSIVE.
        value: the figure or difference, with its bounds `low` and `high`; None where there is none.
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
_BOUNDS = ("at_least", "at_most", "margin")
_NUMBERS = (*_BOUNDS, "confidence")
_LEAST_CONFIDENCE = 0.5


def gates_of(tables: Iterable[Mapping[str, Any]], plan: Mapping[str, Any]) -> tuple[Gate, ...]:
    """The gates in an audit file, or in a plan, each checked against what the plan will measure.

    Args:
        tables: a mapping a gate.
        plan: with `benchmarks`, `absent`, `arms` and `models`.

    Raises:
        BadInput: a gate that is none, or a gate on a figure that there will not be.
    """
    gates = tuple(_numbered(number, table, plan) for number, table in enumerate(tables, 1))
    _check_unmixed(gates)
    return gates


def sequential_of(plan: Mapping[str, Any]) -> frozenset[str]:
    """Benchmarks of a plan whose items are asked until the gates on them have ruled."""
    return frozenset(gate["benchmark"] for gate in plan.get("gates", ()) if gate.get("sequential") is True)


def _check_unmixed(gates: Sequence[Gate]) -> None:
    """A gate of the usual kind takes all items, and bounds that it could trust would not stop early."""
    stopping = {gate.benchmark for gate in gates if gate.sequential}
    for number, gate in enumerate(gates, 1):
        if gate.benchmark in stopping and not gate.sequential:
            raise BadInput(
                f"gate {number} ({gate}) takes all items, and another gate on {gate.benchmark} is sequential and may "
                "stop before; make all gates on it sequential, or none"
            )


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
    values: dict[str, Any] = {key: _reader(key)(table, key) for key in _KEYS}
    return Gate(**{key: value for key, value in values.items() if value is not None})


def _reader(key: str) -> Callable[[Mapping[str, Any], str], Any]:
    special = {**dict.fromkeys(_NUMBERS, _number), "sequential": _flag, "labels": _count}
    return special.get(key, _text)


def _text(table: Mapping[str, Any], key: str) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        raise BadInput(f"{key} is a text, not {value!r}")
    if not value and key in {"benchmark", "metric"}:
        raise BadInput(f"it names no {key}")
    return value


def _number(table: Mapping[str, Any], key: str) -> float | None:
    value = table.get(key)
    if value is None:
        return None
    least = {"confidence": _LEAST_CONFIDENCE, "margin": 0.0}.get(key, -1.0)
    if isinstance(value, bool) or not isinstance(value, float | int) or not least <= value <= 1:
        raise BadInput(f"{key} is a number from {max(0.0, least):g} to 1, not {value!r}")
    if key == "confidence" and value == 1:
        raise BadInput("confidence is less than 1: nothing is certain")
    return float(value)


def _flag(table: Mapping[str, Any], key: str) -> bool:
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise BadInput(f"{key} is true or false, not {value!r}")
    return value


def _count(table: Mapping[str, Any], key: str) -> int:
    value = table.get(key, 0)
    if type(value) is not int or (value and value < LEAST_CLUSTERS):
        raise BadInput(f"{key} is a whole number from {LEAST_CLUSTERS}, not {value!r}")
    return value


def _checked(gate: Gate, plan: Mapping[str, Any]) -> Gate:
    """The gate itself, if the plan will give a figure for it. Of a benchmark that is absent nothing more is known."""
    absent = [row["benchmark"] for row in plan["absent"]]
    benchmarks = {row["name"]: row for row in plan["benchmarks"]}
    if gate.benchmark in absent or (gate.policy and gate.benchmark not in benchmarks):
        return gate
    _look_up("benchmark", gate.benchmark, [*benchmarks, *absent])
    benchmark = benchmarks[gate.benchmark]
    metrics = {metric["name"]: metric for metric in benchmark["metrics"]}
    _look_up("metric", gate.metric, metrics)
    if gate.margin is None and gate.threshold < 0 and metrics[gate.metric]["scale"] != "signed":
        raise BadInput(f"{gate.metric} lies between 0 and 1, and the threshold is {gate.threshold:g}")
    if gate.margin is not None and (aggregate := metrics[gate.metric]["aggregate"]) in {"gap", "agreement"}:
        raise BadInput(
            f"{gate.metric} is a {aggregate}, which has no difference item by item; give at_most or at_least"
        )
    if gate.sequential and (metrics[gate.metric]["aggregate"] != "mean" or metrics[gate.metric]["quality"]):
        raise BadInput(f"{gate.metric} is no plain mean, and no bound of it holds whenever one stops; not sequential")
    first = benchmark["metrics"][0]
    if gate.labels and (gate.metric != first["name"] or first["aggregate"] != "mean" or first["scale"] == "signed"):
        raise BadInput(
            f"labels say whether an answer passes: of {gate.benchmark} that is {first['name']}, if it is a mean"
        )
    if gate.labels and benchmark["kind"] != "question":
        raise BadInput(f"{gate.benchmark} has no answers that people could label")
    if gate.labels and gate.labels > benchmark["items"]:
        raise BadInput(f"{gate.labels} labels are asked for, and {gate.benchmark} has {benchmark['items']} items")
    for name in filter(None, (gate.subject, "" if gate.baseline_run else gate.baseline)):
        what = "arm" if benchmark["kind"] == "question" else "model"
        _look_up(what, name, subjects_of(plan, benchmark))
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


def evaluate(gates: Iterable[Gate], look: Look, plan: Mapping[str, Any]) -> list[GateResult]:
    """A result for every gate and subject, in the order of the gates and of the plan."""
    return [_held(gate, subject, look(gate, subject)) for gate in gates for subject in subjects_asked(gate, plan)]


def result_json(result: GateResult) -> dict[str, Any]:
    """A result as a seal holds it, the gate's own keys first."""
    row = asdict(result)
    gate: dict[str, Any] = row.pop("gate")
    return gate | row | {"ruling": result.ruling.value}


def subjects_asked(gate: Gate, plan: Mapping[str, Any]) -> list[str]:
    """For whom a gate rules: the one it names, or all but its baseline; nobody where the benchmark did not run."""
    ran = [benchmark for benchmark in plan["benchmarks"] if benchmark["name"] == gate.benchmark]
    if gate.subject or not ran:
        return [gate.subject]
    own = "" if gate.baseline_run else gate.baseline
    return [name for name in subjects_of(plan, ran[0]) if name != own] or [""]


def _held(gate: Gate, subject: str, found: Found | None) -> GateResult:
    if found is None:
        return GateResult(gate=gate, subject=subject, ruling=Ruling.INCONCLUSIVE, reason="this was not measured")
    ruling, why = _ruled(gate, found)
    why = f"{why}; {found.note}" if found.note else why
    return GateResult(
        gate=gate, subject=subject, ruling=ruling, value=found.value, low=found.low, high=found.high, reason=why
    )


def _ruled(gate: Gate, found: Found) -> tuple[Ruling, str]:
    if found.void:
        return Ruling.INCONCLUSIVE, found.void
    if found.value is None:
        return Ruling.INCONCLUSIVE, "nothing was scored, or nothing of some class"
    if found.clusters < LEAST_CLUSTERS:
        few = f"{found.clusters} independent items are too few for an interval, which takes {LEAST_CLUSTERS}"
        return Ruling.INCONCLUSIVE, few
    worse, better = (("lower", found.low), ("upper", found.high))[:: gate.sign]
    if _holds(gate, worse[1]):
        return Ruling.PASS, f"the {worse[0]} bound {worse[1]:.4f} holds"
    if not _holds(gate, better[1]):
        return Ruling.FAIL, f"even the {better[0]} bound {better[1]:.4f} misses {gate.threshold:g}"
    met = "holds" if _holds(gate, found.value) else "misses"
    return Ruling.INCONCLUSIVE, (
        f"{found.value:.4f} {met}, and the bounds {found.low:.4f} and {found.high:.4f} lie on either side of "
        f"{gate.threshold:g}: not enough evidence"
    )


def rules(gate: Gate, found: Found | None) -> bool:
    """Whether it passes or fails on this."""
    return found is not None and _ruled(gate, found)[0] is not Ruling.INCONCLUSIVE


def _holds(gate: Gate, number: float) -> bool:
    return number * gate.sign >= gate.threshold * gate.sign


# --- what cannot be had --------------------------------------------------------------------------


def unreachable(gates: Iterable[Gate], best: Look, plan: Mapping[str, Any]) -> list[str]:
    """Gates that not even a perfect model could pass with the items there are, each with the arithmetic.

    Args:
        gates: of the plan.
        best: what there would be to look at if every item came out right.
        plan: with its benchmarks.
    """
    told, measured = [], {row["name"] for row in plan["benchmarks"]}
    for number, gate in enumerate(gates, 1):
        found = best(gate, subjects_asked(gate, plan)[0])
        if found is None and gate.group and gate.margin is None and gate.benchmark in measured:
            told.append(f"gate {number} ({gate}) cannot pass: no item that is asked is of {gate.group}")
        if found is None or _ruled(gate, found)[0] is Ruling.PASS:
            continue
        bound = found.low if gate.sign > 0 else found.high
        why = f"if every item came out right, the bound at {gate.confidence:.0%} would still be {bound:.4f}"
        few = found.clusters < LEAST_CLUSTERS
        told.append(f"gate {number} ({gate}) cannot pass: {_ruled(gate, found)[1] if few else why}")
    return told


# --- all of them ---------------------------------------------------------------------------------


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
    Ruling.NONE: ExitCode.INCONCLUSIVE,
    Ruling.FAIL: ExitCode.FAILED,
    Ruling.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
}
"""What a verdict tells the shell."""
