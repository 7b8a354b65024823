"""Guards in processes of their own: what they do wrong stays there, and ends at the deadline."""

from __future__ import annotations

import io
import json
import os
import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orca_guard.assembly import assemble
from orca_guard.configuration import GuardTable, PipelineTable
from orca_guard.contracts import GuardFactory
from orca_guard.errors import GuardFailed, PluginFailed, TextTooLong
from orca_guard.guards import GuardTimeout
from orca_guard.host import Host
from orca_guard.isolation import IsolatedText, Worker, _Nouns, isolated
from orca_guard.pipeline import Pipeline
from orca_guard.plan import Arm
from orca_guard.testing import ScriptedClassifiers, check_guard, pipeline_of
from orca_guard.testing.known import KnownLoader
from orca_guard.testing.suites import exhibits
from orca_guard.types import Action, Exhibit, Question
from orca_guard.verify.checks import verify
from orca_guard_hygiene.control_characters import ControlCharacters
from tests import auditing, independent_verifier
from tests.auditing import plugin
from tests.hanging import Asks, Whim


def shown(*texts: str) -> list[Exhibit]:
    return [Exhibit(text=text, stage="input", part="user", question=Question.of("?")) for text in texts]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def process_of(guard: Any) -> int:
    worker: Worker = guard.worker
    assert worker._process is not None
    return worker._process.pid


@pytest.fixture
def whim() -> IsolatedText:
    made = isolated(Whim(), timeout_s=1)
    assert isinstance(made, IsolatedText)
    return made


def test_verdicts_are_those_of_the_guard_itself() -> None:
    guard = ControlCharacters()
    texts = exhibits()
    assert isolated(guard, timeout_s=30).judge(texts) == guard.judge(texts)  # type: ignore[union-attr]


def test_it_keeps_the_contract() -> None:
    made = isolated(ControlCharacters(), timeout_s=30)
    assert isinstance(made, IsolatedText)
    check_guard(made)


@pytest.mark.parametrize("what", ["regex", "sleep"])
def test_a_guard_that_hangs_is_killed_at_its_deadline_and_the_next_text_is_judged(
    whim: IsolatedText, what: str
) -> None:
    before = process_of(whim)
    started = time.perf_counter()
    with pytest.raises(GuardTimeout, match="was killed"):
        whim.judge(shown(what))
    assert time.perf_counter() - started < 10
    assert not alive(before)
    assert [v.action for v in whim.judge(shown("fine", "stop"))] == [Action.ALLOW, Action.BLOCK]


@pytest.mark.parametrize(
    ("what", "said"),
    [("die", "died"), ("exit", "SystemExit"), ("raise", "ValueError: no"), ("strange", "no verdict")],
)
def test_what_goes_wrong_there_is_a_failure_here_and_the_next_text_is_judged(
    whim: IsolatedText, what: str, said: str
) -> None:
    with pytest.raises(GuardFailed, match=said):
        whim.judge(shown(what))
    assert [v.action for v in whim.judge(shown("fine", "stop"))] == [Action.ALLOW, Action.BLOCK]


def test_what_it_prints_spoils_nothing(whim: IsolatedText) -> None:
    assert whim.judge(shown("print"))[0].action is Action.ALLOW


@pytest.mark.parametrize("what", ["regex", "die", "exit", "raise", "strange"])
def test_in_a_pipeline_none_of_it_is_a_pass(whim: IsolatedText, what: str) -> None:
    answer = pipeline_of(guards=[whim], timeout_s=1).ask(f"{what} now")
    assert (answer.action, answer.exit_code) == (Action.BLOCK, 3)
    assert pipeline_of(guards=[whim], timeout_s=5).ask("fine").action is Action.ALLOW


def test_its_process_ends_with_the_guard() -> None:
    guard = isolated(Whim(), timeout_s=1)
    process = process_of(guard)
    assert alive(process)
    del guard
    assert not alive(process)


def test_many_callers_take_turns() -> None:
    guard = isolated(Whim(), timeout_s=30)
    assert isinstance(guard, IsolatedText)
    with ThreadPoolExecutor(32) as pool:
        for verdicts in pool.map(lambda n: guard.judge(shown("stop" if n % 2 else "fine")), range(64)):
            assert len(verdicts) == 1


# --- guards that ask -----------------------------------------------------------------------------


def asking(text: str, script: Any, *, timeout_s: float = 5) -> Any:
    guard = isolated(Asks(), timeout_s=timeout_s)
    server = ScriptedClassifiers(script=script)
    return pipeline_of(guards=[guard], classifiers=server, timeout_s=timeout_s).ask(text)


def test_requests_come_out_and_replies_go_in() -> None:
    assert asking("fine", lambda _: {"bad": 0.1}).action is Action.ALLOW
    assert asking("fine", lambda _: {"bad": 0.9}).reason == "asks: bad"


def test_a_failure_reaches_the_guard_that_asked_as_what_it_is() -> None:
    failure = TextTooLong(number=0, tokens=9, longest=4)
    assert "TextTooLong: text 0 has 9 tokens" in asking("fine", lambda _: failure).reason

    class Local(Exception):
        pass

    assert "ModelFailed: Local: x" in asking("fine", lambda _: Local("x")).reason


def test_a_guard_that_hangs_between_its_questions_is_killed_too() -> None:
    answer = asking("regex", lambda _: {"bad": 0.1}, timeout_s=1)
    assert (answer.action, answer.exit_code) == (Action.BLOCK, 3)


# --- in a pipeline file --------------------------------------------------------------------------


def host(*factories: GuardFactory) -> Host:
    made = factories or (GuardFactory(name="whim", summary="s", make=lambda _: Whim()),)
    return Host(extra={"others": plugin(guards=list(made))})


def placed(found: Host, *, isolate: bool, name: str = "whim", asked: bool | None = None) -> Pipeline:
    table = PipelineTable(guards=(GuardTable(name=name, isolate=asked),), strategies=("direct",))
    return assemble(table, found, isolate=isolate)


def test_guards_of_others_are_isolated_where_that_is_asked_for_and_ours_are_not() -> None:
    assert isinstance(placed(host(), isolate=True).guards[0].guard, IsolatedText)
    assert isinstance(placed(host(), isolate=False).guards[0].guard, Whim)
    assert not isinstance(placed(host(), isolate=True, name="length").guards[0].guard, IsolatedText)


def test_the_pipeline_file_has_the_last_word_and_the_digest_does_not_change() -> None:
    apart, inside = (placed(host(), isolate=not asked, asked=asked) for asked in (True, False))
    assert isinstance(apart.guards[0].guard, IsolatedText)
    assert isinstance(inside.guards[0].guard, Whim)
    assert apart.digest == inside.digest


def test_a_guard_that_cannot_be_sent_runs_here_with_a_warning_unless_it_must_not() -> None:
    class Local(Whim):
        pass

    unsendable = GuardFactory(name="whim", summary="s", make=lambda _: Local())
    pipeline = placed(host(unsendable), isolate=True)
    assert isinstance(pipeline.guards[0].guard, Local)
    assert "cannot be pickled" in pipeline.warnings[0]
    with pytest.raises(PluginFailed, match="cannot be pickled"):
        placed(host(unsendable), isolate=False, asked=True)


def test_an_error_with_numbers_keeps_them_between_processes() -> None:
    error = pickle.loads(pickle.dumps(TextTooLong(number=1, tokens=9, longest=4)))
    assert (error.number, error.tokens, error.longest) == (1, 9, 4)


@pytest.mark.parametrize("name", ["replace", "replace.__globals__", "Mapping", "dataclass", "Action.mro", "Nothing"])
def test_what_comes_back_is_made_of_our_nouns_alone(name: str) -> None:
    forged = b"corca_guard.types\n" + name.encode() + b"\n."
    with pytest.raises((pickle.UnpicklingError, AttributeError)):
        _Nouns(io.BytesIO(forged)).load()
    assert _Nouns(io.BytesIO(pickle.dumps(Action.BLOCK))).load() is Action.BLOCK


# --- in an audit ---------------------------------------------------------------------------------


def test_an_audit_isolates_guards_of_others_and_what_hangs_there_is_an_error_of_its_items(tmp_path: Path) -> None:
    """A warning lets its item through, and whoever verifies the run comes to the same."""
    hangs = GuardFactory(name="hangs", summary="s", make=lambda _: Whim(name="hangs", first="regex"))
    warns = GuardFactory(name="warns", summary="s", make=lambda _: Whim(name="warns", first="warn"))
    arms = []
    for name in ("hangs", "warns"):
        table = auditing.arm().table
        guards = (GuardTable(name=name, timeout_s=1),)
        arms.append(Arm(name, msgspec.structs.replace(table, guards=guards)))
    known = plugin(models=[KnownLoader(models=auditing.MODELS)], guards=[hangs, warns])
    auditing.audited(auditing.request(*arms, limit=2), tmp_path / "runs", by=Host(extra={"known": known}))
    [journal] = (tmp_path / "runs").glob("**/journal-*.jsonl")
    records = [json.loads(line) for line in journal.read_text("utf-8").splitlines()]
    asked = [record for record in records if record.get("kind") == "item" and record["verdicts"]]
    assert {(record["subject"], record["disposition"]) for record in asked} == {
        ("hangs", "error"),
        ("warns", "answered"),
    }
    assert {v["action"] for record in asked for v in record["verdicts"]} == {"error", "warn"}
    assert not verify(journal.parent).faulty
    independent_verifier.verify(journal.parent)
