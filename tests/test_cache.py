from __future__ import annotations

import math
import multiprocessing
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orca_guard.cache import AnswerCache
from orca_guard.contracts import Reported
from orca_guard.drive import Done, drive, just
from orca_guard.errors import BadInput, ModelFailed
from orca_guard.testing import ScriptedModel
from orca_guard.types import (
    Decoding,
    Failure,
    Generate,
    Generation,
    Likelihood,
    Message,
    Request,
    Scores,
)


def asked(text: str, **more: Any) -> Generate:
    return Generate(messages=(Message("user", text),), target="model", **more)


def answers(model: Any, *requests: Request) -> list[Any]:
    done = drive([(n, just(request)) for n, request in enumerate(requests)], {"model": model})
    found = {event.key: event.result for event in done if isinstance(event, Done)}
    return [found[n] for n in range(len(requests))]


def test_what_was_asked_before_is_not_asked_again_and_is_marked(tmp_path: Path) -> None:
    requests = [asked(f"number {n}") for n in range(7)]
    first, second = ScriptedModel(), ScriptedModel()
    fresh = answers(AnswerCache(tmp_path).over(first), *requests[:4])
    mixed = answers(AnswerCache(tmp_path).over(second), *requests)
    assert len(first.asked) == 4
    assert [request.messages[0].content for request in second.asked] == [
        "number 4",
        "number 5",
        "number 6",
    ]
    assert mixed[:4] == fresh
    assert [reply.cached for reply in mixed] == [True] * 4 + [False] * 3
    assert not any(reply.cached for reply in fresh)


def test_a_task_goes_on_after_an_answer_that_was_kept(tmp_path: Path) -> None:
    def two_passes() -> Any:
        first = yield asked("one")
        second = yield asked(f"two after {first.text}")
        return second.text

    for _ in range(2):
        target = AnswerCache(tmp_path).over(ScriptedModel())
        (done,) = drive([("task", two_passes())], {"model": target})
        assert isinstance(done, Done)
        assert done.result == "echo: two after echo: one"


@pytest.mark.parametrize(
    "other",
    [
        asked("two"),
        asked("one", seed=1),
        asked("one", decoding=Decoding(temperature=0.5)),
        asked("one", max_new_tokens=3),
        asked("one", stop=("x",)),
        asked("one", sample=1),
    ],
)
def test_whatever_decides_an_answer_decides_its_key(tmp_path: Path, other: Generate) -> None:
    model = ScriptedModel()
    target = AnswerCache(tmp_path).over(model)
    answers(target, asked("one"))
    answers(target, other)
    assert len(model.asked) == 2


@pytest.mark.parametrize("other", [asked("one", name="draft"), asked("one", final=False), asked("one", stream=True)])
def test_names_and_manners_do_not(tmp_path: Path, other: Generate) -> None:
    model = ScriptedModel()
    target = AnswerCache(tmp_path).over(model)
    assert answers(target, asked("one")) == answers(target, other)
    assert len(model.asked) == 1


def test_another_identity_shares_nothing_and_another_name_everything(tmp_path: Path) -> None:
    models = [
        ScriptedModel(name=name, identity={"weights": weights})
        for name, weights in (("a", "1"), ("b", "1"), ("a", "2"))
    ]
    for model in models:
        answers(AnswerCache(tmp_path).over(model), asked("one"))
    assert [len(model.asked) for model in models] == [1, 0, 1]


def test_failures_and_answers_that_time_cut_short_are_not_kept(tmp_path: Path) -> None:
    class Ailing(ScriptedModel):
        def run(self, requests: Iterable[Request]) -> Iterator[Reported]:
            for request in requests:
                assert isinstance(request, Generate)
                self.asked.append(request)
                late = request.messages[0].content == "late"
                yield request, Generation(text="", finish="deadline") if late else Failure(ModelFailed("ill"))

    model = Ailing()
    target = AnswerCache(tmp_path).over(model)
    for _ in range(2):
        replies = answers(target, asked("late"), asked("ill"))
        assert isinstance(replies[0], Generation)
        assert isinstance(replies[1], Failure)
    assert len(model.asked) == 4


def test_numbers_that_json_has_no_word_for_are_kept(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path)
    scores = Scores(likelihoods=(Likelihood(logprob=-math.inf, tokens=2, greedy=False),))
    cache.put("key", scores)
    assert cache.get("key") == scores


def test_the_first_answer_stays(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path)
    cache.put("key", Generation(text="first"))
    cache.put("key", Generation(text="second"))
    assert cache.get("key") == Generation(text="first")


def test_a_damaged_answer_is_asked_again(tmp_path: Path) -> None:
    model = ScriptedModel()
    answers(AnswerCache(tmp_path).over(model), asked("one"))
    with sqlite3.connect(next(tmp_path.glob("*.sqlite"))) as connection:
        connection.execute("UPDATE answers SET reply = ?", (b"\x00",))
    (reply,) = answers(AnswerCache(tmp_path).over(model), asked("one"))
    assert (reply.text, reply.cached, len(model.asked)) == ("echo: one", False, 2)


def test_what_is_no_cache_is_refused(tmp_path: Path) -> None:
    (tmp_path / "answers-1.sqlite").write_bytes(b"something else, and long enough to be looked at " * 40)
    with pytest.raises(BadInput, match="cannot be used"):
        AnswerCache(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="Name another folder"):
        AnswerCache(tmp_path / "file")


def test_a_cache_that_breaks_meanwhile_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = ScriptedModel()
    target = AnswerCache(tmp_path).over(model)
    answers(target, asked("one"))
    with sqlite3.connect(next(tmp_path.glob("*.sqlite"))) as connection:
        connection.execute("DROP TABLE answers")
    assert answers(target, asked("one"))[0].text == "echo: one"
    assert any("cannot be read" in message for message in caplog.messages)


def _write(folder: Path, start: int) -> None:
    cache = AnswerCache(folder)
    for n in range(start, start + 40):
        cache.put(f"key {n}", Generation(text=f"text {n}"))
        assert cache.get(f"key {n}") is not None


def test_several_processes_share_one(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write, args=(tmp_path, start)) for start in (0, 20, 40)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    cache = AnswerCache(tmp_path)
    assert all(cache.get(f"key {n}") == Generation(text=f"text {n}") for n in range(80))
