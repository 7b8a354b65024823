"""The sentences and numbers that every form of a report uses alike."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from orca_guard.reports.summary import Account, Figure, Gate, Summary

CAUTION = "Nothing below can be relied on: the run contradicts itself."
UNSOUND = "What people stated of this run was changed. What was computed stands."


@dataclass(frozen=True, slots=True)
class Headline:
    """What stands first.

    Attributes:
        word: one or two words in capitals.
        sentence: what it means.
        tone: `good`, `bad`, `open` or `plain`.
    """

    word: str
    sentence: str
    tone: str


def alarm(summary: Summary) -> Headline | None:
    """What stands before everything else, where the run does not verify; None where it does."""
    if not summary.faulty:
        return None
    names = [check.name for check in summary.checks if check.status == "fault"]
    why = UNSOUND if names == ["statements"] else CAUTION
    return Headline("DOES NOT VERIFY", f"{why} Checks that failed: {', '.join(names)}.", "bad")


def headline(summary: Summary) -> Headline:
    """The verdict of the gates, in a word and a sentence."""
    rulings = Counter(gate.ruling for gate in summary.gates)
    total = f"{len(summary.gates)} gates" if len(summary.gates) != 1 else "1 gate"
    match summary.verdict:
        case "pass":
            return Headline("PASS", f"Of {total}, all hold with their whole interval.", "good")
        case "fail":
            return Headline("FAIL", f"Of {total}, {_rulings(rulings)}.", "bad")
        case "inconclusive":
            absent = " A benchmark that was asked for did not run." if not rulings["inconclusive"] else ""
            return Headline("INCONCLUSIVE", f"Of {total}, {_rulings(rulings)}: not enough evidence.{absent}", "open")
        case "none":
            return Headline("NO VERDICT", "Measured, and not judged: no gate was declared beforehand.", "plain")
        case _:
            run = summary.run
            told = f"The run is not complete: {run.records} of {run.planned} records are here. It has no figures yet."
            return Headline("NOT SEALED", told, "open")


def _rulings(rulings: Counter[str]) -> str:
    words = {"fail": "fail", "inconclusive": "are not settled", "pass": "hold"}
    told = [f"{rulings[ruling]} {_one(word, rulings[ruling])}" for ruling, word in words.items() if rulings[ruling]]
    return ", ".join(told) or "none is ruled on"


def _one(word: str, count: int) -> str:
    if count != 1:
        return word
    return {"are not settled": "is not settled", "fail": "fails", "hold": "holds"}[word]


def percent(value: float | None) -> str:
    """A share with one decimal; a dash where there is none."""
    return "\N{EN DASH}" if value is None else f"{100 * value:.1f} %"


def interval(low: float | None, high: float | None) -> str:
    """Two bounds; words where there is no interval."""
    if low is None or high is None:
        return "no interval"
    return f"{100 * low:.1f} to {100 * high:.1f} %"


def short(digest: str) -> str:
    """A digest's first twelve digits."""
    return digest.removeprefix("sha256:")[:12]


def about(gate: Gate) -> str:
    """Which figure a gate looks at."""
    return " ".join(part for part in (gate.benchmark, gate.metric, gate.subject, gate.group) if part)


def whole(summary: Summary) -> list[Figure]:
    """Figures over all items of a benchmark."""
    return [figure for figure in summary.figures if not figure.group]


def grouped(summary: Summary) -> list[Figure]:
    """Figures over groups of items."""
    return [figure for figure in summary.figures if figure.group]


def ended(account: Account) -> str:
    """What became of the items, the most frequent first."""
    rows = sorted(account.dispositions.items(), key=lambda row: -row[1])
    told = [f"{name} {count}" for name, count in rows]
    if account.missing:
        told.append(f"missing {account.missing}")
    return ", ".join(told)


def gate_of(figure: Figure, summary: Summary) -> Gate | None:
    """The first gate on a figure, for a mark in its plot."""
    key = (figure.benchmark, figure.metric, figure.subject, figure.group)
    found = (g for g in summary.gates if (g.benchmark, g.metric, g.subject, g.group) == key)
    return next(found, None)


def by_subject(figures: list[Figure]) -> list[tuple[tuple[str, str, str], list[Figure]]]:
    """Figures of one benchmark, subject and metric together, in the order in which they come."""
    found: dict[tuple[str, str, str], list[Figure]] = {}
    for figure in figures:
        found.setdefault((figure.benchmark, figure.subject, figure.metric), []).append(figure)
    return list(found.items())
