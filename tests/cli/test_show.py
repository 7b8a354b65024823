"""What a terminal shows of hostile text, and of answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from orca_guard.cli.show import plain, safe, summary
from orca_guard.types import Action, Answer, Outcome, Verdict


@given(st.text())
def test_nothing_that_acts_on_a_terminal_is_left(text: str) -> None:
    assert not any((ord(c) < 32 and c not in "\t\n") or 127 <= ord(c) < 160 for c in plain(text))
    assert len(plain(text)) <= len(text)


@pytest.mark.parametrize("text", ["[bold]x[/bold]", "[link=http://x]y[/link]", "[/]"])
def test_markup_is_text(text: str) -> None:
    assert Text.from_markup(safe(text)).plain == text


def test_bidirectional_overrides_are_replaced() -> None:
    assert plain("a\u202eb\u2066c") == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"


def test_the_summary_names_who_stopped_it() -> None:
    verdicts = (Verdict(action=Action.BLOCK, guard="g"), Verdict(action=Action.ALLOW, guard="h"))
    answer = Answer(id="", action=Action.BLOCK, strategy="direct", verdicts=verdicts, outcome=Outcome.EXTRACTED)
    assert summary(answer) == "direct · extracted · stopped or changed by g · 0 + 0 tokens · 0.0 s"
