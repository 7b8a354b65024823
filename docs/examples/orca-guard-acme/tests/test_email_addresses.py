from __future__ import annotations

import time

import pytest

from orca_guard.contracts import GuardSettings
from orca_guard.errors import UsageError
from orca_guard.testing import ScriptedModel, check_guard, pipeline_of
from orca_guard.types import Action, Exhibit, Question
from orca_guard_acme.email_addresses import EmailAddresses, make


def judged(text: str, guard: EmailAddresses | None = None) -> list[str]:
    exhibit = Exhibit(text=text, stage="output", part="answer", question=Question.of("Who?"))
    (verdict,) = (guard or EmailAddresses()).judge([exhibit])
    return [text[start:end] for start, end in verdict.spans]


def test_keeps_the_contract() -> None:
    check_guard(EmailAddresses())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Write to ada@example.org.", ["ada@example.org"]),
        ("<a.b+c@mail.example.org>, B@X.CO", ["a.b+c@mail.example.org", "B@X.CO"]),
        ("zo\u00eb@example.org", ["zo\u00eb@example.org"]),
        ("5 apples @ 2 euros, @ada, ada@localhost", []),
    ],
)
def test_finds_addresses(text: str, found: list[str]) -> None:
    assert judged(text) == found


def test_an_answer_is_masked() -> None:
    model = ScriptedModel(script=lambda _: "Write to ada@example.org or to bob@example.com.")
    answer = pipeline_of(model, guards=[EmailAddresses()]).ask("Whom do I write to?")
    assert (answer.action, answer.final) == (Action.REDACT, "Write to [redacted] or to [redacted].")
    assert answer.reason == "email-addresses: the answer holds 2 e-mail addresses"


def test_the_model_does_not_see_the_addresses_of_a_question() -> None:
    model = ScriptedModel()
    pipeline_of(model, guards=[EmailAddresses()]).ask("Who is ada@example.org?")
    assert model.asked[0].messages[-1].content == "Who is [redacted]?"


def test_domains_are_let_through() -> None:
    guard = make(GuardSettings(options={"domains": ["Example.org"]}))
    assert judged("ada@EXAMPLE.org, bob@example.com", guard) == ["bob@example.com"]


def test_the_action_is_the_pipelines() -> None:
    answer = pipeline_of(guards=[make(GuardSettings(action=Action.BLOCK))]).ask("Who is ada@example.org?")
    assert answer.action is Action.BLOCK


@pytest.mark.parametrize(
    "settings",
    [
        GuardSettings(threshold=0.5),
        GuardSettings(options={"domain": ["example.org"]}),
        GuardSettings(options={"domains": "example.org"}),
    ],
)
def test_settings_it_does_not_know_are_refused(settings: GuardSettings) -> None:
    with pytest.raises(UsageError, match="email-addresses"):
        make(settings)


def test_time_is_linear() -> None:
    started = time.perf_counter()
    judged("a" * 500_000 + "@" + "a." * 100_000)
    judged("a@" * 200_000)
    assert time.perf_counter() - started < 5
