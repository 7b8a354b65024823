"""The report for a pull request: verdict, gates and findings, the rest folded away."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from orca_guard.reports import words
from orca_guard.reports.hostile import shown
from orca_guard.reports.summary import Summary

SIGNS = {"good": "✅", "bad": "❌", "open": "⚠️", "plain": "ℹ️"}  # noqa: RUF001  # signs, for a page that shows them
_MARKUP = re.compile(r"([\\`*_\[\]<>|~@&:$]|(?<=www)\.)")


class Markdown:
    """`--format markdown`."""

    name = "markdown"
    summary = "for a pull request"
    suffix = "md"

    def render(self, _run: Path, report: Summary, /) -> str:
        """The page. Everything that others wrote is escaped: nobody is mentioned, nothing is linked or loaded."""
        return "\n".join(_lines(report)) + "\n"


def escaped(text: str) -> str:
    """Text without meaning as Markdown or HTML, on one line."""
    return _MARKUP.sub(r"\\\1", " ".join(shown(text).split()))


def _lines(report: Summary) -> Iterator[str]:
    for head in (words.alarm(report), words.headline(report)):
        if head:
            yield f"## {SIGNS[head.tone]} {head.word}\n\n{escaped(head.sentence)}\n"
    run = report.run
    yield f"Run `{_code(run.folder)}`, plan `{words.short(run.plan)}`, {run.records} of {run.planned} records.\n"
    if not report.checks:
        yield "**Not verified** when this was made.\n"
    if report.gates:
        yield from _table(
            ("gate", "ruling", "value", "interval", "why"),
            (
                (
                    f"{words.about(g)} {g.bound}",
                    f"{g.ruling}{', waived' if g.waived else ''}",
                    words.percent(g.value),
                    words.interval(g.low, g.high),
                    f"{g.reason}; with labels {g.reviewed}" if g.reviewed else g.reason,
                )
                for g in report.gates
            ),
        )
    if report.reviewed:
        yield f"With people's labels all gates together say **{escaped(report.reviewed)}**.\n"
    yield "### Findings\n"
    yield from (
        f"- **{escaped(f.code)}**: {escaped(f.what)} ({escaped(f'{f.benchmark}, {f.subject}')})"
        for f in report.findings
    )
    yield "\n" if report.findings else "Nothing in the records stands out.\n"
    yield from _folded("Figures", _figures(report))
    yield from _folded("What became of the items", _accounts(report))
    yield from _folded("Not measured", (f"- {escaped(gap.what)}: {escaped(gap.why)}" for gap in report.not_measured))
    if report.statements:
        said = (f"- {escaped(f'{s.at} {s.name} {s.role} {s.kind} {s.what} {s.fault}')}" for s in report.statements)
        yield from _folded("What people said", said)


def _code(text: str) -> str:
    return shown(text).replace("`", "'")


def _folded(title: str, lines: Iterable[str]) -> Iterator[str]:
    body = list(lines)
    if body:
        yield f"<details><summary>{title}</summary>\n"
        yield from body
        yield "\n</details>\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    yield from (f"| {' | '.join(map(escaped, row))} |" for row in rows)
    yield ""


def _figures(report: Summary) -> Iterator[str]:
    return _table(
        ("benchmark", "under", "metric", "group", "value", "interval", "items", "unscored"),
        (
            (
                f.benchmark,
                f.subject,
                f.metric,
                f.group,
                words.percent(f.value),
                words.interval(f.low, f.high),
                str(f.n),
                str(f.unscored),
            )
            for f in report.figures
        ),
    )


def _accounts(report: Summary) -> Iterator[str]:
    rows = ((a.benchmark, a.subject, words.ended(a), str(a.marks.get("unscored", 0))) for a in report.accounts)
    return _table(("benchmark", "under", "endings", "unscored"), rows)
