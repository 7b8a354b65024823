"""What a terminal shows of hostile text, and of answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from orca_guard.cli.show import safe, show, summary
from orca_guard.cli.streams import plain
from orca_guard.types import Action, Answer, Outcome, Verdict


@given(st.text())
def test_nothing_that_acts_on_a_terminal_is_left(text: str) -> None:
    assert not any((ord(c) < 32 and c not in "\t\n") or 127 <= ord(c) < 160 for c in plain(text))
    assert len(plain(text)) <= len(text)


@pytest.mark.parametrize("text", ["[bold]x[/bold]", "[link=http://x]y[/link]", "[/]", "\\[/x]", "x\\"])
def test_markup_is_text(capsys: pytest.CaptureFixture[str], text: str) -> None:
    Console().print(safe(text))
    assert capsys.readouterr().out == f"{text}\n"


def test_bidirectional_overrides_are_replaced() -> None:
    assert plain("a\u202eb\u2066c") == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"


def test_the_summary_names_who_stopped_it() -> None:
    verdicts = (Verdict(action=Action.BLOCK, guard="g"), Verdict(action=Action.ALLOW, guard="h"))
    answer = Answer(id="", action=Action.BLOCK, strategy="direct", verdicts=verdicts, outcome=Outcome.EXTRACTED)
    assert summary(answer) == "direct · extracted · stopped or changed by g · 0 + 0 tokens · 0.0 s"


def test_an_answer_that_is_empty_is_shown_in_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orca_guard.cli.show.console", lambda: Console(force_terminal=True))
    show(Answer(id="", action=Action.ALLOW, outcome=Outcome.TRUNCATED))
    assert "cut off at the token limit" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("outcome", "says"),
    [
        (Outcome.TRUNCATED, "the answer was cut off at the token limit (truncated)"),
        (Outcome.AMBIGUOUS, "the text holds more than one answer (ambiguous)"),
        (Outcome.ABSENT, "no answer was found in the text (absent)"),
        (Outcome.EXTRACTED, ""),
    ],
)
@pytest.mark.parametrize("streamed", [True, False])
def test_what_is_no_whole_answer_says_so(
    capsys: pytest.CaptureFixture[str],
    outcome: Outcome,
    says: str,
    streamed: bool,  # noqa: FBT001  # as a parameter of a test
) -> None:
    show(Answer(id="", action=Action.ALLOW, final="3", text="3", outcome=outcome), streamed=streamed)
    shown = capsys.readouterr()
    assert shown.err.startswith(says)
    assert len(shown.err.splitlines()) == bool(says)
    assert shown.out == ("" if streamed else "3\n")


@pytest.mark.parametrize(("code", "headline"), [(2, "Bad input: why"), (3, "Could not judge: why")])
def test_bad_input_is_no_failure_to_judge(capsys: pytest.CaptureFixture[str], code: int, headline: str) -> None:
    show(Answer(id="", action=Action.ERROR, error="why", error_code=code))
    assert capsys.readouterr().err == f"{headline}\n"
