"""A run as an EvalLog of Inspect, version 2: all its records as samples, its figures as results."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orca_guard.errors import BadInput
from orca_guard.items import Item
from orca_guard.journal.bundle import Bundle
from orca_guard.journal.reading import raw_lines
from orca_guard.reports.excerpts import addresses_of, asked
from orca_guard.reports.gather import Record, record_in
from orca_guard.reports.hostile import shown
from orca_guard.reports.summary import Account, Figure, Summary
from orca_guard.reports.texts import item_at, texts_at

VERSION = 2
MOST = 20_000
"""Records of a log. It is one JSON document, which a reader holds in memory as a whole."""


@dataclass(frozen=True, slots=True)
class InspectLog:
    """`--format inspect`. A log has one task and one model; here the task is the run, and a sample is one record.

    Samples are called `benchmark/subject/item`. Texts that were taken out of the run are empty here.
    """

    name: str = "inspect"
    summary: str = "a log for Inspect: its viewer and its data frames"
    suffix: str = "json"

    def render(self, run: Path, report: Summary, /) -> str:
        """The log.

        Raises:
            BadInput: the run has more than `MOST` records.
        """
        if report.run.records > MOST:
            raise BadInput(f"{run} has {report.run.records} records, and a log of Inspect takes {MOST}; use json")
        samples = list(_samples(Bundle(run)))
        log = {
            "version": VERSION,
            "status": "success" if report.run.sealed else "started",
            "invalidated": report.faulty,
            "eval": _eval(report),
            "plan": {"name": "orca-guard", "steps": [], "config": {}},
            "results": _results(report),
            "stats": _stats(report),
            "samples": samples,
        }
        return json.dumps(log, indent=1) + "\n"


def _eval(report: Summary) -> dict[str, Any]:
    run = report.run
    return {
        "eval_id": run.plan.removeprefix("sha256:")[:22],
        "run_id": (run.seal or run.plan).removeprefix("sha256:")[:22],
        "created": run.started or "1970-01-01T00:00:00Z",
        "task": shown(run.title or run.folder),
        "task_id": run.plan,
        "task_version": report.format,
        "dataset": {
            "name": ", ".join(shown(benchmark.name) for benchmark in report.benchmarks),
            "samples": run.records,
            "shuffled": True,
        },
        "model": ", ".join(f"orca-guard/{model.weights or model.digest}" for model in report.models),
        "config": {},
        "packages": {name: value for name, value in run.environment.items() if name == "orca-guard"},
        "metadata": {
            "orca_guard": {
                "plan": run.plan,
                "seal": run.seal,
                "verdict": report.verdict,
                "verified": bool(report.checks) and not report.faulty,
                "gates": [{"gate": f"{g.benchmark} {g.metric} {g.bound}", "ruling": g.ruling} for g in report.gates],
                "arms": {shown(arm.name): arm.pipeline for arm in report.arms},
            }
        },
    }


def _results(report: Summary) -> dict[str, Any]:
    return {
        "total_samples": report.run.planned,
        "completed_samples": report.run.records,
        "scores": [_score(figure) for figure in report.figures if not figure.group],
    }


def _score(figure: Figure) -> dict[str, Any]:
    numbers = {"value": figure.value, "low": figure.low, "high": figure.high}
    return {
        "name": shown(f"{figure.benchmark}/{figure.subject}/{figure.metric}"),
        "scorer": shown(figure.metric),
        "scored_samples": figure.n,
        "unscored_samples": figure.unscored,
        "metrics": {name: {"name": name, "value": value} for name, value in numbers.items() if value is not None},
    }


def _stats(report: Summary) -> dict[str, Any]:
    usage: dict[str, dict[str, int]] = {}
    for account in report.accounts:
        usage[shown(f"{account.benchmark}/{account.subject}")] = _usage(account)
    return {"started_at": report.run.started, "completed_at": report.run.finished, "model_usage": usage}


def _usage(account: Account) -> dict[str, int]:
    read, written = account.prompt_tokens, account.new_tokens
    return {"input_tokens": read, "output_tokens": written, "total_tokens": read + written}


# --- samples -----------------------------------------------------------------------------------


def _samples(bundle: Bundle) -> Iterator[dict[str, Any]]:
    texts = texts_at(bundle, {address for record in _records(bundle) for address in addresses_of(record)})
    seen: set[str] = set()
    for record in _records(bundle):
        sample = _sample(record, texts)
        if sample["id"] not in seen:  # a second record of the same is a fault, and `verify` names it
            seen.add(sample["id"])
            yield sample


def _records(bundle: Bundle) -> Iterator[Record]:
    for path in bundle.journals().values():
        yield from (record for raw in raw_lines(path) if (record := record_in(raw)))


def _sample(record: Record, texts: Mapping[str, str]) -> dict[str, Any]:
    item = item_at(texts, record.question)
    written = shown(texts.get(record.written or "", ""))
    question = shown(asked(item)) if item else ""
    return {
        "id": shown(f"{record.benchmark}/{record.subject}/{record.item}"),
        "epoch": 1,
        "input": question,
        "target": [shown(gold) for gold in item.gold] if item else "",
        **_choices(item),
        "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": written}],
        "output": _output(record, written),
        "scores": {shown(name): _value(record, score, texts) for name, score in record.scores.items()},
        "metadata": {
            "benchmark": shown(record.benchmark),
            "subject": shown(record.subject),
            "mark": record.mark.value,
            "disposition": record.disposition.value,
            "strategy": shown(record.strategy),
            "groups": {shown(key): shown(value) for key, value in item.groups.items()} if item else {},
        },
        "total_time": record.seconds,
    }


def _choices(item: Item | None) -> dict[str, Any]:
    if item is None:
        return {}
    found = item.question.choices if item.question else item.request.continuations if item.request else ()
    return {"choices": [shown(choice) for choice in found]} if found else {}


def _output(record: Record, written: str) -> dict[str, Any]:
    cut = any(step.finish != "stop" for step in record.passes)
    reason = "max_tokens" if cut else "content_filter" if record.disposition.value == "blocked" else "stop"
    choice = {"message": {"role": "assistant", "content": written, "source": "generate"}, "stop_reason": reason}
    read, new = record.tokens
    usage = {"input_tokens": read, "output_tokens": new, "total_tokens": read + new}
    return {"model": "orca-guard", "choices": [choice], "usage": usage, "time": record.seconds}


def _value(record: Record, score: float | str | None, texts: Mapping[str, str]) -> dict[str, Any]:
    """A score of Inspect has a value always, so one that is missing is the word for it."""
    return {
        "value": "unscored" if score is None else score,
        "answer": shown(texts.get(record.value or "", "")) or None,
        "explanation": shown(record.reason) or None,
    }
