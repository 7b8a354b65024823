"""The report in a terminal of eighty columns: verdict, findings, gates, figures, endings, and where to look further."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from orca_guard.reports import words
from orca_guard.reports.hostile import shown
from orca_guard.reports.summary import Figure, Summary

TONES = {"good": "green", "bad": "bold red", "open": "yellow", "plain": "default"}
STYLES = {
    "pass": "green",
    "fail": "bold red",
    "inconclusive": "yellow",
    "proven": "green",
    "asserted": "yellow",
    "fault": "bold red",
    "skipped": "dim",
}
WIDTH = 21
"""Characters of an interval's plot."""
FINDINGS = 8


class Terminal:
    """`--format terminal`."""

    name = "terminal"
    summary = "a page for a terminal"
    suffix = "txt"

    def render(self, _run: Path, report: Summary, /) -> str:
        """The page as plain text, for a file."""
        page = StringIO()
        Console(file=page, width=80, highlight=False, color_system=None).print(rendered(report))
        return page.getvalue()


def rendered(report: Summary) -> RenderableType:
    """Everything that is said in a terminal."""
    parts: list[RenderableType] = []
    parts += [banner(head) for head in (words.alarm(report), words.headline(report)) if head]
    parts.append(_facts(report))
    parts += _section("Findings", _findings(report))
    if report.gates:
        parts += _section("Gates", _gates(report))
    if report.reviewed:
        parts.append(safe(f"With people's labels all gates together say: {report.reviewed}"))
    if report.figures:
        parts += _section("Figures", _figures(report))
    parts += _section("What became of the items", _accounts(report))
    parts += _section("Not measured", _gaps(report))
    if report.statements:
        parts += _section("What people said", _statements(report))
    if report.checks:
        parts += _section("Proof", _checks(report))
    return Group(*parts)


def safe(text: str, style: str = "") -> Text:
    """The text without characters that act on a terminal, and without meaning as markup."""
    return Text(shown(text), style=style)


def _section(title: str, body: RenderableType) -> list[RenderableType]:
    return [Text(), Text(title, style="bold"), body]


def banner(head: words.Headline) -> Panel:
    """What stands first, in a frame."""
    style = TONES[head.tone]
    return Panel(Text.assemble((head.word, f"{style} bold"), f"  {shown(head.sentence)}"), border_style=style)


def _facts(report: Summary) -> Text:
    run = report.run
    facts = [f"{run.title or run.folder}", f"{run.records} of {run.planned} records", f"plan {words.short(run.plan)}"]
    facts += [] if report.checks else ["NOT VERIFIED"]
    facts += [f"seal {words.short(run.seal)}"] * run.sealed
    facts += [f"attempt {run.attempt}"] * bool(run.attempt) + [f"finished {run.finished}"] * bool(run.finished)
    return safe(" · ".join(facts), "dim")


def _findings(report: Summary) -> RenderableType:
    if not report.findings:
        return Text("nothing in the records stands out", style="dim")
    lines: list[RenderableType] = []
    for finding in report.findings[:FINDINGS]:
        where = f" ({finding.benchmark}, {finding.subject})"
        lines.append(
            Text.assemble(
                ("! ", "yellow"), (shown(finding.code), "bold"), ": ", shown(finding.what), (shown(where), "dim")
            )
        )
    if (more := len(report.findings) - FINDINGS) > 0:
        lines.append(Text(f"and {more} more", style="dim"))
    return Group(*lines)


def _gates(report: Summary) -> Table:
    table = _table(("gate", ""), ("ruling", ""), ("interval", ""))
    for number, gate in enumerate(report.gates, 1):
        name = safe(f"{number} {words.about(gate)} {gate.bound}")
        if gate.reviewed:
            name.append(f"\nwith labels: {shown(gate.reviewed)}", "cyan")
        if gate.waived:
            name.append(f"\nwaived: {shown(gate.waived)}", "yellow")
        ruling = Text(gate.ruling, STYLES.get(gate.ruling, ""))
        table.add_row(name, ruling, safe(words.interval(gate.low, gate.high)))
    return table


def _figures(report: Summary) -> Table:
    """A row a figure; what a row shares with the one above is not said again."""
    table = _table(("figure", ""), ("0         50    100 %", ""), ("value", "right"), ("items", "right"))
    before = ("", "")
    for figure in report.figures:
        here = (figure.benchmark, figure.metric)
        if here != before:
            table.add_row(safe(f"{figure.benchmark} {figure.metric}", "bold"), "", "", "")
            before = here
        name = f"    {figure.group}" if figure.group else f"  {figure.subject}"
        label = safe(name, "dim" if figure.group else "")
        label.append(" circular" if figure.circular else "", "bold red")
        label.append(" inconclusive" if figure.judged and figure.judged.inconclusive else "", "yellow")
        label.append(" judges itself" if figure.judged and figure.judged.own else "", "yellow")
        table.add_row(label, plot(figure), words.percent(figure.value), str(figure.n))
    return table


def plot(figure: Figure) -> Text:
    """Value and interval on a line from 0 to 1; of a signed figure, nothing."""
    cells = [" "] * WIDTH
    if figure.signed:
        return Text("".join(cells))
    if figure.low is not None and figure.high is not None:
        for place in range(_place(figure.low), _place(figure.high) + 1):
            cells[place] = "─"
    if figure.value is not None:
        cells[_place(figure.value)] = "●"
    return Text("".join(cells), style="cyan")


def _place(value: float) -> int:
    return min(WIDTH - 1, max(0, round(value * (WIDTH - 1))))


def _accounts(report: Summary) -> Table:
    table = _table(("benchmark", ""), ("under", ""), ("endings", ""), ("unscored", "right"))
    for account in report.accounts:
        told = words.ended(account) + (f"; {account.cut} cut" if account.cut else "")
        unscored = str(account.marks.get("unscored", 0) or "")
        table.add_row(safe(account.benchmark), safe(account.subject), safe(told), unscored)
    return table


def _gaps(report: Summary) -> RenderableType:
    lines = [safe(f"- {gap.what}: {gap.why}", "dim") for gap in report.not_measured]
    measured = sum(bool(row.figure) for row in report.limitations)
    lines.append(safe(f"- {len(report.limitations) - measured} of {len(report.limitations)} known limitations", "dim"))
    return Group(*lines)


def _statements(report: Summary) -> Group:
    lines = []
    for said in report.statements:
        who = ", ".join(part for part in (said.name, said.role) if part)
        style = "bold red" if said.fault else ""
        fault = f" [{said.fault}]" if said.fault else ""
        lines.append(safe(f"{said.at} {who}: {said.kind} {said.what}{fault}", style))
    return Group(*lines)


def _checks(report: Summary) -> Table:
    """Faults in full; of the rest the names."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for status in ("fault", "proven", "asserted", "skipped"):
        checks = [check for check in report.checks if check.status == status]
        told = "; ".join(f"{c.name}: {c.what}" if status == "fault" else c.name for c in checks)
        if checks:
            table.add_row(Text(status, STYLES[status]), safe(told if status == "fault" else told.replace(";", ",")))
    return table


def _table(*columns: tuple[str, str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name, justify in columns:
        table.add_column(name, justify="right" if justify else "left", overflow="fold", no_wrap=bool(justify))
    return table
