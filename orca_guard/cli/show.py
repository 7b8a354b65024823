"""How answers look in a terminal. Whatever a model or a plugin wrote is hostile until it has been through `safe`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from orca_guard.cli.streams import plain
from orca_guard.errors import ExitCode
from orca_guard.guards import effect
from orca_guard.types import Action, Answer, Outcome, Pass, Verdict

if TYPE_CHECKING:
    from rich.progress import Progress

_LACKING = {
    Outcome.TRUNCATED: (
        "the answer was cut off at the token limit (truncated); raise --max-new-tokens, "
        "or new_tokens under [limits] of the pipeline file"
    ),
    Outcome.AMBIGUOUS: "the text holds more than one answer (ambiguous)",
    Outcome.ABSENT: "no answer was found in the text (absent)",
}
"""What to say of an answer that is shown and is not a whole one."""


@cache
def console() -> Console:
    """Where results go."""
    return Console(highlight=False)


@cache
def stderr() -> Console:
    """Where everything else goes."""
    return Console(stderr=True, highlight=False)


def safe(text: str) -> Text:
    """The text without characters that act on a terminal, and without meaning as markup."""
    return Text(plain(text))


def note(text: str, *, style: str = "dim") -> None:
    """A line on stderr."""
    stderr().print(Text(plain(text), style=style), soft_wrap=True)


def show(answer: Answer, *, streamed: bool = False) -> None:
    """An answer for a person, unless its text was streamed; piped, the final answer alone."""
    if not answer.answered:
        why = answer.error or answer.reason
        note(f"{_headline(answer)}: {why}", style="bold yellow" if answer.action is Action.ABSTAIN else "bold red")
    elif not streamed:
        _show_text(answer)
    if answer.answered and answer.outcome in _LACKING:
        note(_LACKING[answer.outcome], style="yellow")
    for warning in answer.warnings:
        note(f"warning: {warning}", style="yellow")
    if stderr().is_terminal:
        note(summary(answer))


def _headline(answer: Answer) -> str:
    if answer.action is Action.ERROR:
        return "Bad input" if answer.error_code == ExitCode.USAGE else "Could not judge"
    return "Blocked" if answer.action is Action.BLOCK else "No answer"


def _show_text(answer: Answer) -> None:
    if not console().is_terminal:
        sys.stdout.write(f"{plain(answer.final)}\n")
        return
    work = answer.text.rpartition(answer.final)[0] if answer.final else answer.text
    console().print(Text.assemble((plain(work), "dim"), (plain(answer.final), "bold")))


def summary(answer: Answer) -> str:
    """One line: strategy, reading, guards, cost."""
    stopped = [v.guard for v in answer.verdicts if v.action not in {Action.ALLOW, Action.WARN}]
    warned = "guards: some warn" if any(v.action is Action.WARN for v in answer.verdicts) else "guards: all allow"
    guards = f"stopped or changed by {', '.join(dict.fromkeys(stopped))}" if stopped else warned
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
        stderr().rule(Text(plain(f"pass {number} · {step.strategy} · {step.name}"), style="bold"), align="left")
        stderr().print(Text(plain(_prompt(step)), style="dim"))
        stderr().print(Text(plain(step.generation.text)))
        if step.generation.logprob is not None and step.generation.entropy is not None:
            told = f"mean log-probability {step.generation.logprob:.3f}, entropy {step.generation.entropy:.3f} nats"
            stderr().print(Text(told, style="dim"))
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


@contextmanager
def working(what: str) -> Iterator[None]:
    """A line on stderr while something goes on, where that is a terminal."""
    if not stderr().is_terminal:
        yield
        return
    with stderr().status(Text(plain(what), style="dim")):
        yield


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
