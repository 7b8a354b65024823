"""The driver: batches over tasks and passes, isolates failures, forgets nothing."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.contracts import Reported
from orca_guard.drive import Done, Streamed, drive
from orca_guard.errors import ModelFailed
from orca_guard.testing import ScriptedModel
from orca_guard.types import Failure, Generate, Generation, Message, Partial, Request


def request(text: str, **fields: Any) -> Generate:
    return Generate(messages=(Message("user", text),), target="model", **fields)


def asks(*texts: str) -> Generator[Any, Any, list[str]]:
    replies = []
    for text in texts:
        reply = yield request(text)
        replies.append(reply.text)
    return replies


def results(tasks: Iterable[tuple[Any, Any]], model: Any, **options: Any) -> dict[Any, Any]:
    done = [event for event in drive(tasks, {"model": model}, **options) if isinstance(event, Done)]
    assert len({event.key for event in done}) == len(done)
    return {event.key: event.result for event in done}


@given(passes=st.lists(st.integers(0, 4), min_size=0, max_size=40), width=st.integers(1, 50), batch=st.integers(1, 9))
def test_every_task_gets_its_own_replies_in_order(passes: list[int], width: int, batch: int) -> None:
    tasks = [(n, asks(*(f"{n}.{p}" for p in range(count)))) for n, count in enumerate(passes)]
    found = results(tasks, ScriptedModel(batch=batch), width=width)
    assert found == {n: [f"echo: {n}.{p}" for p in range(count)] for n, count in enumerate(passes)}


def test_passes_of_many_tasks_share_batches() -> None:
    model = ScriptedModel(batch=100)
    results([(n, asks(f"{n}a", f"{n}b")) for n in range(100)], model, width=100)
    assert model.batches == [100, 100]


def test_a_second_pass_refills_the_same_run() -> None:
    runs = []

    class Counting(ScriptedModel):
        def run(self, requests: Iterable[Request]) -> Iterator[Reported]:
            runs.append(1)
            return super().run(requests)

    results([(n, asks("one", f"two {n}", f"three {n}")) for n in range(4)], Counting(batch=1), width=4)
    assert len(runs) == 1


def test_tasks_start_lazily() -> None:
    started = []

    def tasks() -> Iterator[tuple[int, Any]]:
        for n in range(10):
            started.append(n)
            yield n, asks(str(n))

    events = drive(tasks(), {"model": ScriptedModel(batch=2)}, width=2)
    next(events)
    assert len(started) < 10
    assert len(list(events)) == 9


def test_equal_requests_are_asked_once() -> None:
    model = ScriptedModel()
    found = results([(n, asks("same", "same")) for n in range(5)], model, width=5)
    assert len(set(map(tuple, found.values()))) == 1
    assert len(model.asked) <= 2


def test_an_equal_request_joins_one_that_is_out() -> None:
    """A task may ask, while a batch is out, for what that batch is just answering."""

    def late() -> Generator[Any, Any, str]:
        yield request("first")
        reply = yield request("slow")
        return str(reply.text)

    model = ScriptedModel(batch=2)
    assert results([("a", asks("slow")), ("b", late())], model, width=2) == {"a": ["echo: slow"], "b": "echo: slow"}


def test_a_tuple_is_answered_as_a_tuple() -> None:
    def both() -> Generator[Any, Any, list[str]]:
        nothing = yield ()
        assert nothing == ()
        a, b = yield request("a"), request("b")
        (c,) = yield (request("c"),)
        return [a.text, b.text, c.text]

    assert results([(0, both())], ScriptedModel()) == {0: ["echo: a", "echo: b", "echo: c"]}


def test_a_failure_is_thrown_into_the_task_that_asked_and_no_other() -> None:
    def careful() -> Generator[Any, Any, str]:
        try:
            yield request("bad")
        except ValueError as error:
            return f"caught {error}"
        return "no"

    model = ScriptedModel(script=lambda r: ValueError("x") if r.messages[0].content == "bad" else "fine")
    found = results([("a", careful()), ("b", asks("bad")), ("c", asks("good"))], model)
    assert found["a"] == "caught x"
    assert isinstance(found["b"], Failure)
    assert isinstance(found["b"].error, ValueError)
    assert found["c"] == ["fine"]


def test_a_task_that_raises_is_a_failure_of_its_own() -> None:
    def broken() -> Generator[Any, Any, None]:
        yield request("a")
        raise KeyError("mine")

    found = results([("a", broken()), ("b", asks("b"))], ScriptedModel())
    assert isinstance(found["a"].error, KeyError)
    assert found["b"] == ["echo: b"]


class Raising:
    def __init__(self, after: int) -> None:
        self.after = after

    def run(self, requests: Iterable[Request]) -> Iterator[Reported]:
        for n, asked in enumerate(requests):
            if n == self.after:
                raise OSError("gone")
            yield from ScriptedModel().run([asked])


class Forgetful:
    def run(self, requests: Iterable[Request]) -> Iterator[Reported]:
        list(requests)
        return iter(())


class Idle:
    def run(self, requests: Iterable[Request]) -> Iterator[Reported]:
        return iter(())


class Stammering:
    def run(self, requests: Iterable[Request]) -> Iterator[Reported]:
        for asked in requests:
            yield request("never asked"), ModelFailed  # type: ignore[misc]
            for _ in range(2):
                yield from ScriptedModel().run([asked])


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_target_that_raises_fails_only_what_it_had_taken(after: int) -> None:
    found = results([(n, asks(str(n))) for n in range(5)], Raising(after), width=5)
    assert set(found) == set(range(5))
    assert sum(isinstance(r, Failure) for r in found.values()) >= 1
    assert all(found[n] == [f"echo: {n}"] for n in range(after))


class Speechless:
    def run(self, requests: Iterable[Request]) -> Iterator[Reported]:
        return ((asked, None) for asked in requests)  # type: ignore[misc]


class Leaving:
    def run(self, requests: Iterable[Request]) -> Iterator[Reported]:
        next(iter(requests))
        raise SystemExit(0)


@pytest.mark.parametrize("target", [Forgetful(), Idle(), Speechless(), Leaving()])
def test_a_target_that_answers_nothing_ends(target: Any) -> None:
    found = results([(n, asks(str(n))) for n in range(3)], target, width=2)
    assert all(isinstance(r, Failure) and isinstance(r.error, ModelFailed) for r in found.values())


def test_a_reply_nobody_waits_for_is_dropped() -> None:
    assert results([(0, asks("a", "b"))], Stammering()) == {0: ["echo: a", "echo: b"]}


def test_a_task_that_exits_ends_itself_alone() -> None:
    def leaving() -> Generator[Any, Any, None]:
        yield request("a")
        raise SystemExit(0)

    found = results([("a", leaving()), ("b", asks("b"))], ScriptedModel())
    assert "SystemExit" in str(found["a"].error)
    assert found["b"] == ["echo: b"]


def test_an_unknown_target_is_thrown_back() -> None:
    def lost() -> Generator[Any, Any, str]:
        try:
            yield Generate(messages=(), target="nowhere")
        except ModelFailed as error:
            return str(error)
        return ""

    def nonsense() -> Generator[Any, Any, None]:
        yield "not a request"

    found = results([("a", lost()), ("b", nonsense())], ScriptedModel())
    assert "nothing here answers" in found["a"]
    assert isinstance(found["b"].error, ModelFailed)


def test_partial_replies_are_passed_on() -> None:
    def streaming() -> Generator[Any, Any, str]:
        reply = yield request("abc", stream=True)
        return str(reply.text)

    events = list(drive([("k", streaming())], {"model": ScriptedModel(script=lambda _: "abcd")}))
    assert [e.partial.text for e in events if isinstance(e, Streamed)] == ["a", "ab", "abc"]
    assert isinstance(events[-1], Done)


def test_closing_the_driver_closes_the_target() -> None:
    closed = []

    class Long:
        def run(self, requests: Iterable[Request]) -> Iterator[Reported]:
            try:
                for asked in requests:
                    while True:
                        yield asked, Partial(text="…")
            finally:
                closed.append(1)

    events = drive([(0, asks("a"))], {"model": Long()})
    next(events)
    events.close()
    assert closed == [1]


def test_a_target_that_had_nothing_more_may_ask_again() -> None:
    class Patient:
        """Takes all there is, answers one, and looks again."""

        runs = 0

        def run(self, requests: Iterable[Request]) -> Iterator[Reported]:
            self.runs += 1
            taken = list(requests)
            while taken:
                one = taken.pop(0)
                assert isinstance(one, Generate)
                yield one, Generation(text=f"echo: {one.messages[-1].content}")
                taken += requests

    model = Patient()
    found = results([(n, asks(f"{n}a", f"{n}b", f"{n}c")) for n in range(5)], model, width=3)
    assert found == {n: [f"echo: {n}{p}" for p in "abc"] for n in range(5)}
    assert model.runs == 1
