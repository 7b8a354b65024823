"""A run's folder becomes a summary: plan, seal and statements as they stand, the shards in one pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from orca_guard.errors import BadInput
from orca_guard.identity import digest_bytes, digest_of
from orca_guard.items import Item
from orca_guard.journal.bundle import Bundle
from orca_guard.journal.statements import Stated, statements
from orca_guard.reports import coverage, excerpts
from orca_guard.reports.findings import findings_of
from orca_guard.reports.gather import DISPOSITIONS, MARKS, Gathered, Table, gather
from orca_guard.reports.labels import labels_of
from orca_guard.reports.summary import (
    FORMAT,
    Account,
    Anomaly,
    Arm,
    Benchmark,
    Check,
    Corrected,
    Figure,
    Gap,
    Gate,
    GuardCount,
    Judged,
    Model,
    Run,
    Statement,
    Summary,
)
from orca_guard.reports.texts import item_at, texts_at
from orca_guard.stats import LEAST_CLUSTERS

UNSEALED = "unsealed"
_FIGURE = ("benchmark", "metric", "subject", "group")


def summarise(
    folder: Path,
    *,
    checks: Sequence[Check] = (),
    faulty: bool = False,
    reviewed: tuple[str, Mapping[int, str]] = ("", {}),
) -> Summary:
    """Everything that there is to say of a run.

    Args:
        folder: of the run, sealed or not.
        checks: what `verify` found.
        faulty: whether it found a fault.
        reviewed: the verdict with people's labels, and what the gates say, by their numbers from 0, that take some.

    Raises:
        BadInput: this is no run, or its plan, items or seal cannot be read.
    """
    bundle = Bundle(folder)
    plan = bundle.read_plan()
    seal = bundle.read_seal() if bundle.seal.exists() else {}
    try:
        made = _summary(bundle, plan, seal, tuple(checks), faulty=faulty, reviewed=reviewed)
        msgspec.convert(msgspec.to_builtins(made), Summary)  # whoever wrote the seal may have written anything
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, msgspec.MsgspecError) as error:
        told = f"{type(error).__name__}: {error}"
        raise BadInput(f"{folder} is not what an audit writes ({told}). Run: orca-guard verify {folder}") from error
    return made


def _summary(
    bundle: Bundle,
    plan: Mapping[str, Any],
    seal: Mapping[str, Any],
    checks: tuple[Check, ...],
    *,
    faulty: bool,
    reviewed: tuple[str, Mapping[int, str]],
) -> Summary:
    gathered = gather(bundle, plan)
    chosen = excerpts.chosen(gathered)
    records = list(excerpts.records_of(gathered, chosen))
    said = list(statements(bundle)) if seal else []
    texts = texts_at(bundle, _wanted(gathered) | {a for r in records for a in excerpts.addresses_of(r)})
    benchmarks = tuple(_benchmark(row, plan) for row in plan["benchmarks"])
    figures = _figures(plan, seal)
    listed = coverage.frameworks(benchmarks)
    arms = tuple(_arm(row) for row in plan["arms"])
    protocols = {row["name"]: str(row["protocol"]) for row in plan["benchmarks"] if row.get("protocol")}
    return Summary(
        format=FORMAT,
        run=_run(bundle, plan, seal, gathered),
        verdict=str(seal.get("verdict", UNSEALED)),
        faulty=faulty,
        checks=checks,
        findings=_found(gathered, texts),
        gates=tuple(_gate(row, said, reviewed[1].get(n, "")) for n, row in enumerate(seal.get("gates", ()))),
        reviewed=reviewed[0],
        figures=figures,
        accounts=tuple(
            _account(name, subject, table) for name, table in gathered.tables.items() for subject in table.columns
        ),
        arms=arms,
        models=tuple(_model(row) for row in plan["models"]),
        benchmarks=benchmarks,
        not_measured=(
            *_not_needed(gathered),
            *coverage.gaps(plan, benchmarks, listed),
            *coverage.unjudged(plan, figures),
        ),
        coverage=listed,
        limitations=coverage.limitations(benchmarks, figures, {arm.name: arm.model for arm in arms}),
        published=coverage.published(protocols, figures),
        statements=tuple(map(statement_of, said)),
        labels=labels_of(bundle, gathered, said),
        excerpts=tuple(excerpts.excerpt_of(record, texts) for record in records),
        left_out=excerpts.left_out(gathered, chosen),
        strange=gathered.strange,
    )


# --- texts and findings ------------------------------------------------------------------------


def _wanted(gathered: Gathered) -> set[str]:
    """Addresses of the texts that findings need."""
    questions = {address for table in gathered.tables.values() for address in table.questions.values()}
    columns = (column for table in gathered.tables.values() for column in table.columns.values())
    return questions | {address for column in columns for address in column.addresses.values()}


def _found(gathered: Gathered, texts: Mapping[str, str]) -> tuple[Anomaly, ...]:
    items: dict[str, dict[int, Item]] = {name: {} for name in gathered.tables}
    values: dict[int, str] = {}
    for name, table in gathered.tables.items():
        for at, address in table.questions.items():
            if item := item_at(texts, address):
                items[name][at] = item
        for column in table.columns.values():
            values |= {key: texts[address] for key, address in column.addresses.items() if address in texts}
    return findings_of(gathered, items, values)


# --- the plan and the seal ---------------------------------------------------------------------


def _run(bundle: Bundle, plan: Mapping[str, Any], seal: Mapping[str, Any], gathered: Gathered) -> Run:
    columns = [column for table in gathered.tables.values() for column in table.columns.values()]
    environment = dict(seal.get("environment", {}))
    packages = environment.pop("packages", {})
    return Run(
        folder=bundle.root.resolve().name,
        title=plan["name"],
        plan=digest_of(plan),
        seal=digest_bytes(bundle.seal.read_bytes().removesuffix(b"\n")) if seal else "",
        started=seal.get("started", ""),
        finished=seal.get("finished", ""),
        seed=plan["seed"],
        nonce=plan["nonce"],
        records=sum(column.records for column in columns),
        planned=sum(table.asked * len(table.columns) for table in gathered.tables.values()),
        attempt=seal.get("attempt", 0),
        earlier=tuple(str(row.get("run", "")) for row in seal.get("earlier", ())),
        environment={str(key): str(value) for key, value in {**environment, **packages}.items() if value},
    )


def _not_needed(gathered: Gathered) -> Iterator[Gap]:
    for name, table in gathered.tables.items():
        if left := len(table.clusters) - table.asked:
            what = f"{left} of {len(table.clusters)} items of {name}"
            yield Gap(what=what, why="asking stopped when all its gates had ruled; the bounds hold all the same")


def _arm(row: Mapping[str, Any]) -> Arm:
    identity = row["identity"]
    return Arm(
        name=row["name"],
        pipeline=row["pipeline"],
        model=row["model"],
        strategies=tuple(str(part.get("name", "")) for part in identity.get("strategies", ())),
        guards=tuple(str(part.get("name", "")) for part in identity.get("guards", ())),
        system=identity.get("system"),
        decoding=_decoding(identity.get("decoding", {})),
    )


def _decoding(table: Mapping[str, Any]) -> str:
    """In words, without what makes no difference."""
    limit = [f"at most {table['max_new_tokens']} new tokens"] if "max_new_tokens" in table else []
    if not table.get("temperature"):
        return ", ".join(["greedy", *limit])
    return ", ".join(
        [*(f"{key} {table[key]}" for key in ("temperature", "top_p", "top_k", "seed") if key in table), *limit]
    )


def _model(row: Mapping[str, Any]) -> Model:
    return Model(name=row["name"], digest=row["digest"], weights=str(row["identity"].get("weights", "")))


def _benchmark(row: Mapping[str, Any], plan: Mapping[str, Any]) -> Benchmark:
    plugin = row.get("plugin", {})
    return Benchmark(
        name=row["name"],
        version=str(row.get("version", "")),
        plugin=" ".join(str(plugin[key]) for key in ("distribution", "version") if plugin.get(key)),
        kind=row["kind"],
        scoring=row["scoring"],
        items=row["items"],
        not_covered=len(row["not_covered"]),
        covers=tuple(map(str, row.get("covers", ()))),
        sequential=any(g["benchmark"] == row["name"] and g.get("sequential") is True for g in plan["gates"]),
        credits={metric["name"]: {"answered": 1.0, **metric["credit"]} for metric in row["metrics"]},
    )


def _figures(plan: Mapping[str, Any], seal: Mapping[str, Any]) -> tuple[Figure, ...]:
    metrics = {(b["name"], m["name"]): m for b in plan["benchmarks"] for m in b["metrics"]}
    return tuple(_figure(row, metrics[row["benchmark"], row["metric"]]) for row in seal.get("figures", ()))


def _figure(row: Mapping[str, Any], metric: Mapping[str, Any]) -> Figure:
    """Bounds that say nothing, as those of too few clusters, are no interval."""
    whole = (-1.0 if metric["scale"] == "signed" else 0.0, 1.0)
    known = row["clusters"] >= LEAST_CLUSTERS and (row["low"], row["high"]) != whole
    return Figure(
        **{key: row[key] for key in ("benchmark", "subject", "metric", "group", "value", "n", "clusters", "unscored")},
        low=row["low"] if known else None,
        high=row["high"] if known else None,
        outside=row["outside"],
        lower_is_better=metric["lower_is_better"],
        signed=metric["scale"] == "signed",
        corrected=_corrected(row["corrected"]) if row.get("corrected") else None,
        circular=tuple(row.get("circular", ())),
        judged=_judged(row["judged"]) if row.get("judged") else None,
    )


def _judged(row: Mapping[str, Any]) -> Judged:
    by = tuple(f"{rubric}: {who}" for rubric, who in sorted(row["by"].items()))
    return Judged(by=by, own=tuple(row["own"]), inconclusive=row["inconclusive"])


def _corrected(row: Mapping[str, Any]) -> Corrected:
    numbers = ("value", "low", "high", "sensitivity", "specificity")
    return Corrected(**{key: row[key] for key in numbers}, assumes=row["assumes"], reason=row["reason"])


def _gate(row: Mapping[str, Any], said: Sequence[Stated], reviewed: str) -> Gate:
    return Gate(
        **{key: str(row.get(key, "")) for key in _FIGURE},
        bound=_bound(row),
        threshold=-row["margin"] if row.get("margin") is not None else row[_limit(row)],
        baseline=row.get("baseline", ""),
        value=row.get("value"),
        low=row.get("low"),
        high=row.get("high"),
        ruling=row["ruling"],
        reason=row["reason"],
        because=row.get("because", ""),
        waived=_waived(gate_title(row), said),
        reviewed=reviewed,
    )


def gate_title(row: Mapping[str, Any]) -> str:
    """What a gate of a seal is called, as where somebody waives it."""
    return " ".join([*(str(row[key]) for key in _FIGURE if row.get(key)), _bound(row)])


def _bound(row: Mapping[str, Any]) -> str:
    if row.get("margin") is not None:
        run = f" of run {row['baseline_run'].removeprefix('sha256:')[:12]}" if row.get("baseline_run") else ""
        return f"no worse than {row['baseline']}{run} by {row['margin']:g}"
    return f"{'≥' if _limit(row) == 'at_least' else '≤'} {row[_limit(row)]:g}"


def _limit(row: Mapping[str, Any]) -> str:
    return "at_most" if row.get("at_least") is None else "at_least"


def _waived(name: str, said: Sequence[Stated]) -> str:
    for stated in said:
        if stated.fields.get("kind") == "waive" and stated.fields.get("gate") == name and not stated.fault:
            return statement_of(stated).what
    return ""


def statement_of(stated: Stated) -> Statement:
    """A statement for people."""
    fields = {key: str(value) for key, value in stated.fields.items()}
    return Statement(
        kind=fields.get("kind", "unreadable"),
        at=fields.get("at", ""),
        name=fields.get("name", ""),
        role=fields.get("role", ""),
        what=_what(fields),
        key=fields.get("public_key", ""),
        fault=f"line {stated.line}: {stated.fault}" if stated.fault else stated.doubt,
    )


def _what(fields: Mapping[str, str]) -> str:
    match fields.get("kind"):
        case "sign":
            return fields.get("decision", "") + (f": {fields['comment']}" if fields.get("comment") else "")
        case "waive":
            return f"{fields.get('gate')}, until {fields.get('expires')}: {fields.get('reason')}"
        case "labels":
            return f"{fields.get('rows')} labels by {fields.get('labellers')}"
        case "noise":
            return f"{fields.get('told')}, by run {fields.get('run', '').removeprefix('sha256:')[:12]}"
        case _:
            return "a line that cannot be read"


# --- the shards --------------------------------------------------------------------------------


def _account(benchmark: str, subject: str, table: Table) -> Account:
    column = table.columns[subject]
    answered = DISPOSITIONS.index("answered")
    ended, marks = Counter(column.disposition), Counter(column.mark)
    return Account(
        benchmark=benchmark,
        subject=subject,
        records=column.records,
        missing=max(0, table.asked - column.records),
        dispositions={d.value: ended[number] for number, d in enumerate(DISPOSITIONS) if ended[number]},
        marks={mark.value: marks[number] for number, mark in enumerate(MARKS)},
        cut=sum(cut for cut, d in zip(column.cut, column.disposition, strict=True) if d == answered),
        prompt_tokens=column.tokens[0],
        new_tokens=column.tokens[1],
        seconds=round(column.seconds, 3),
        guards=tuple(
            GuardCount(guard=guard, stage=stage, action=action, count=count)
            for (guard, stage, action), count in sorted(column.guards.items())
        ),
    )
