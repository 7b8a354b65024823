"""How answers look in a terminal. Whatever a model or a plugin wrote is hostile until it has been through `safe`."""

from __future__ import annotations

import re
import sys
from functools import cache
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from orca_guard.guards import effect
from orca_guard.types import Action, Answer, Pass, Verdict

if TYPE_CHECKING:
    from rich.progress import Progress

_ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@cache
def console() -> Console:
    """Where results go."""
    return Console(highlight=False)


@cache
def stderr() -> Console:
    """Where everything else goes."""
    return Console(stderr=True, highlight=False)


def safe(text: str) -> str:
    """The text without characters that act on a terminal, and without meaning as markup."""
    return plain(text).replace("[", "\\[")


def plain(text: str) -> str:
    """The text without characters that act on a terminal."""
    return _ACTING.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def note(text: str, *, style: str = "dim") -> None:
    """A line on stderr."""
    stderr().print(Text(plain(text), style=style), soft_wrap=True)


def show(answer: Answer, *, streamed: bool = False) -> None:
    """An answer for a person; piped, the final answer alone."""
    if answer.answered and not streamed:
        _show_text(answer)
    elif streamed:
        sys.stdout.write("\n")
    if not answer.answered:
        headline = {Action.BLOCK: "Blocked", Action.ABSTAIN: "No answer"}.get(answer.action, "Could not judge")
        why = answer.error or answer.reason
        note(f"{headline}: {why}", style="bold red" if answer.action is not Action.ABSTAIN else "bold yellow")
    for warning in answer.warnings:
        note(f"warning: {warning}", style="yellow")
    if stderr().is_terminal:
        note(summary(answer))


def _show_text(answer: Answer) -> None:
    if not console().is_terminal:
        sys.stdout.write(f"{plain(answer.final)}\n")
        return
    work = answer.text.rpartition(answer.final)[0]
    console().print(Text.assemble((plain(work), "dim"), (plain(answer.final), "bold")))


def summary(answer: Answer) -> str:
    """One line: strategy, reading, guards, cost."""
    stopped = [v.guard for v in answer.verdicts if v.action is not Action.ALLOW]
    guards = f"stopped or changed by {', '.join(dict.fromkeys(stopped))}" if stopped else "guards: all allow"
    parts = [
        answer.strategy,
        answer.form,
        answer.outcome.value if answer.outcome else "",
        guards if answer.verdicts else "no guards",
        f"{answer.tokens[0]} + {answer.tokens[1]} tokens",
        f"{answer.seconds:.1f} s",
    ]
    return " · ".join(part for part in parts if part)


def trace(answer: Answer) -> None:
    """Every pass with its prompt, then every verdict, on stderr."""
    for number, step in enumerate(answer.passes, 1):
        stderr().rule(Text(f"pass {number} · {step.strategy} · {step.name}", style="bold"), align="left")
        stderr().print(Text(plain(_prompt(step)), style="dim"))
        stderr().print(Text(plain(step.generation.text)))
    if answer.form:
        note(answer.form, style="italic")
    if answer.verdicts:
        stderr().rule(Text("guards", style="bold"), align="left")
    for verdict in answer.verdicts:
        note(_verdict(verdict), style="" if verdict.action is Action.ALLOW else "red")
    stderr().rule()


def _prompt(step: Pass) -> str:
    return step.generation.prompt or "\n".join(f"{m.role}: {m.content}" for m in step.messages)


def _verdict(verdict: Verdict) -> str:
    score = "" if verdict.score is None else f" ({verdict.score:.3g}, limit {verdict.threshold:g})"
    led = f" → {effect(verdict)}" if verdict.action is Action.ERROR else ""
    why = f": {verdict.reason}" if verdict.reason else ""
    return f"{verdict.stage} {verdict.part}: {verdict.guard} {verdict.action}{led}{score}{why}"


def progress(total: int) -> Progress:
    """A bar on stderr, where that is a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    bar = Progress(
        TextColumn("answering"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        console=stderr(),
        transient=True,
        disable=not stderr().is_terminal,
    )
    bar.add_task("", total=total, speed="")
    return bar
