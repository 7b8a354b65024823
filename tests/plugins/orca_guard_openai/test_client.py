"""The client against a server that behaves, and one that does not."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from orca_guard.contracts import Model
from orca_guard.types import (
    Classify,
    Decoding,
    Embed,
    Embedding,
    Failure,
    Generate,
    Generation,
    Message,
    Partial,
    Request,
    Score,
    Scores,
)

from .conftest import (
    CHAT,
    Behaviour,
    Handler,
    Opened,
    Script,
    asked,
    completion,
    echoes,
    failure,
    hangs_up,
    replies,
    says,
    slowly,
    streams,
    value,
)


def said(request: Request) -> str:
    assert isinstance(request, Generate)
    return request.messages[-1].content


# --- generating ----------------------------------------------------------------------------------


def test_a_request_in_full(script: Script, opened: Opened) -> None:
    script.does(CHAT, says("Paris."))
    model = opened()
    decoding = Decoding(max_new_tokens=9, temperature=0.5, top_p=0.9, top_k=5)
    (reply,) = replies(model, asked(max_new_tokens=4, stop=("###",), seed=2**62 + 5, decoding=decoding))
    assert reply == Generation(text="Paris.", finish="stop", prompt_tokens=7, new_tokens=3)
    assert script.bodies(CHAT) == [
        {
            "model": "tiny",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
            "max_tokens": 4,
            "temperature": 0.5,
            "top_p": 0.9,
            "top_k": 5,
            "seed": 5,
            "stop": ["###"],
        }
    ]


def test_it_is_a_model(opened: Opened) -> None:
    model = opened(score=False)
    assert isinstance(model, Model)
    assert model.context == 4096
    assert model.requests == {Generate, Embed}
    assert model.forms is None
    assert model.notice == ""
    assert not model.system_messages


def test_identity_names_address_model_day_and_fingerprints(script: Script, opened: Opened) -> None:
    script.does(CHAT, says("a"), says("b", system_fingerprint="fp_2"))
    model = opened()
    before = dict(model.identity)
    assert before.items() >= {"kind": "openai", "url": script.url, "model": "tiny"}.items()
    assert before["date"].count("-") == 2
    replies(model, asked("1"), asked("2"))
    assert dict(model.identity) == {**before, "date.fingerprints": "fp_1, fp_2"}


def test_text_in_parts_and_refusals_are_text(script: Script, opened: Opened) -> None:
    parts = completion("")
    parts["choices"][0]["message"]["content"] = [{"type": "text", "text": "Pa"}, {"type": "text", "text": "ris"}]
    refusal = completion("")
    refusal["choices"][0]["message"] |= {"content": None, "refusal": "I cannot."}
    script.does(CHAT, value(parts), value(refusal))
    model = opened(concurrency=1)
    assert [r.text for r in replies(model, asked("1"), asked("2"))] == ["Paris", "I cannot."]


def test_another_name_for_the_limit_is_learnt_once(script: Script, opened: Opened) -> None:
    complaint = {"error": {"message": "Unsupported parameter: use 'max_completion_tokens' instead."}}
    script.does(CHAT, value(complaint, 400), echoes)
    model = opened(concurrency=1)
    assert [r.text for r in replies(model, asked("1"), asked("2"))] == ["1", "2"]
    assert [("max_tokens" in b, "max_completion_tokens" in b) for b in script.bodies(CHAT)] == [
        (True, False), (False, True), (False, True),
    ]  # fmt: skip


# --- many at once --------------------------------------------------------------------------------


def test_no_more_at_the_server_than_allowed_also_over_several_callers(script: Script, opened: Opened) -> None:
    script.does(CHAT, slowly(0.02, echoes))
    model = opened(concurrency=3)
    texts: list[str] = []

    def call(caller: int) -> None:
        texts.extend(r.text for r in replies(model, *(asked(f"{caller}.{n}") for n in range(12))))

    threads = [threading.Thread(target=call, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(texts) == sorted(f"{c}.{n}" for c in range(3) for n in range(12))
    assert script.most == 3


def test_replies_come_in_the_order_of_the_server_and_belong_to_their_requests(script: Script, opened: Opened) -> None:
    def step(handler: Handler, body: dict[str, Any]) -> None:
        time.sleep(0.3 if body["messages"][-1]["content"] == "slow" else 0)
        echoes(handler, body)

    script.does(CHAT, step)
    found = list(opened().run([asked("slow"), *(asked(f"{n}") for n in range(5))]))
    assert found[-1][1] == Generation(text="slow", prompt_tokens=7, new_tokens=3)
    assert all(reply == Generation(text=said(request), prompt_tokens=7, new_tokens=3) for request, reply in found)


def test_requests_are_pulled_when_there_is_a_place(script: Script, opened: Opened) -> None:
    script.does(CHAT, echoes)
    pulled = []

    def source() -> Iterator[Generate]:
        for n in range(10):
            pulled.append(n)
            yield asked(str(n))

    run = opened(concurrency=2).run(source())
    next(run)
    assert len(pulled) == 2
    next(run)
    assert len(pulled) == 3
    assert len(list(run)) == 8


def test_one_bad_request_fails_alone(script: Script, opened: Opened) -> None:
    def step(handler: Handler, body: dict[str, Any]) -> None:
        bad = body["messages"][-1]["content"] == "bad"
        value({"error": {"message": "too long by 5 tokens"}}, 400)(handler, body) if bad else echoes(handler, body)

    script.does(CHAT, step)
    found = {said(request): reply for request, reply in opened().run([asked("a"), asked("bad"), asked("b")])}
    assert found["a"].text == "a"  # type: ignore[union-attr]  # a Generation
    assert found["b"].text == "b"  # type: ignore[union-attr]  # a Generation
    assert isinstance(found["bad"], Failure)
    assert "declined (400): too long by 5 tokens" in str(found["bad"].error)
    assert len(script.bodies(CHAT)) == 3


def test_an_unknown_kind_of_request_is_a_failure(opened: Opened) -> None:
    assert "Classify" in failure(opened(), Classify(model="x", texts=("a",)))


# --- trouble -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trouble",
    [value({"error": "busy"}, 500), value(b"oops", 503), hangs_up, value({"error": "slow down"}, 429)],
    ids=["500", "503", "hangs-up", "429"],
)
def test_passing_trouble_is_asked_again(script: Script, opened: Opened, trouble: Behaviour) -> None:
    script.does(CHAT, trouble, trouble, says("at last"))
    assert replies(opened(), asked())[0].text == "at last"


def test_retry_after_is_honoured(script: Script, opened: Opened) -> None:
    script.does(CHAT, value({}, 429, Retry_After="0.4"), says("now"))
    start = time.monotonic()
    assert replies(opened(), asked())[0].text == "now"
    assert time.monotonic() - start >= 0.4


def test_lasting_trouble_is_told_with_how_often(script: Script, opened: Opened) -> None:
    script.does(CHAT, value({"error": {"message": "out of memory"}}, 500))
    message = failure(opened(retries=2))
    assert f"{script.url} is in trouble (500): out of memory (asked 3 times)" in message
    assert len(script.bodies(CHAT)) == 3


def test_a_run_has_a_budget_of_repetitions(script: Script, opened: Opened) -> None:
    script.does(CHAT, value({}, 500))
    found = replies(opened(retries=10, retry_budget=5), *(asked(str(n)) for n in range(4)))
    assert all(isinstance(reply, Failure) for reply in found)
    assert len(script.bodies(CHAT)) == 4 + 5


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (value(b"<!DOCTYPE html><html>Welcome</html>"), "web page"),
        (value(b"not json"), "not JSON: not json"),
        (value([1]), "another shape"),
        (value({"choices": []}), "without a choice"),
        (value({"error": {"message": "overloaded"}}), "reported an error: overloaded"),
        (value({"error": {"message": "no such model"}}, 404), "404"),
        (value({}, 307, Location="/elsewhere"), "declined (307)"),
        (value(b"not compressed at all", Content_Encoding="gzip"), "decompressed"),
        (value({"error": {"message": "go\x1b[31m away"}}, 401), "OPENAI_API_KEY is not set: go [31m away"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_is_wrong_for_good_is_asked_once_and_told(
    script: Script, opened: Opened, step: Behaviour, words: str
) -> None:
    script.does(CHAT, step)
    message = failure(opened())
    assert words in message
    assert script.url in message
    assert len(script.bodies(CHAT)) == 1


def test_a_server_that_went_away(script: Script, opened: Opened) -> None:
    script.does(CHAT, hangs_up)
    assert "broke" in failure(opened(retries=1))


def test_a_server_that_takes_too_long(script: Script, opened: Opened) -> None:
    script.does(CHAT, slowly(0.5, says("late")))
    assert "gave no answer within 0.1 s" in failure(opened(timeout_s=0.1, retries=0))


def test_the_deadline_ends_a_generation(script: Script, opened: Opened) -> None:
    script.does(CHAT, slowly(1, says("late")))
    start = time.monotonic()
    (reply,) = replies(opened(), asked(deadline=start + 0.2))
    assert reply.finish == "deadline"
    assert reply.text == ""
    assert time.monotonic() - start < 0.9


def test_the_deadline_leaves_no_time_to_wait(script: Script, opened: Opened) -> None:
    script.does(CHAT, value({}, 429, Retry_After="30"))
    assert "deadline leaves no time" in failure(opened(), asked(deadline=time.monotonic() + 5))


# --- streaming -----------------------------------------------------------------------------------


def test_a_stream_grows_and_ends_with_the_whole(script: Script, opened: Opened) -> None:
    script.does(CHAT, streams("Pa", "ris", " ünd"))
    found = replies(opened(), asked(stream=True))
    assert found[:-1] == [Partial(text="Pa"), Partial(text="Paris"), Partial(text="Paris ünd")]
    assert found[-1] == Generation(text="Paris ünd", prompt_tokens=7, new_tokens=3)
    assert script.bodies(CHAT)[0]["stream_options"] == {"include_usage": True}


def test_a_server_that_does_not_stream_answers_in_one_piece(script: Script, opened: Opened) -> None:
    script.does(CHAT, says("Paris"))
    assert [r.text for r in replies(opened(), asked(stream=True))] == ["Paris", "Paris"]


def test_a_stream_that_breaks_off_is_no_answer(script: Script, opened: Opened) -> None:
    script.does(CHAT, streams("Pa", finish=None, done=False))
    found = replies(opened(), asked(stream=True))
    assert found[0] == Partial(text="Pa")
    assert "ended before the answer did" in str(found[-1].error)
    assert len(script.bodies(CHAT)) == 1


def test_an_empty_stream_is_asked_again(script: Script, opened: Opened) -> None:
    empty = value(b"", Content_Type="text/event-stream")
    script.does(CHAT, empty, streams("Paris"))
    assert replies(opened(), asked(stream=True))[-1].text == "Paris"


def test_the_deadline_keeps_what_was_streamed(script: Script, opened: Opened) -> None:
    script.does(CHAT, streams("a", "b", "c", "d", pause=0.15))
    reply = replies(opened(), asked(stream=True, deadline=time.monotonic() + 0.25))[-1]
    assert reply.finish == "deadline"
    assert "abcd".startswith(reply.text)
    assert 1 <= len(reply.text) < 4


def test_who_stops_reading_stops_the_stream(script: Script, opened: Opened) -> None:
    script.does(CHAT, streams(*"abcdefghij" * 5, pause=0.05))
    run = opened().run([asked(stream=True)])
    next(run)
    run.close()  # type: ignore[attr-defined]  # a generator
    ends = time.monotonic() + 2
    while script.here and time.monotonic() < ends:
        time.sleep(0.01)
    assert script.here == 0


# --- scoring and embedding -----------------------------------------------------------------------


def scored(handler: Handler, body: dict[str, Any]) -> None:
    """Tokens of three characters; the n-th has log-probability -n; every second is the likeliest."""
    choices: list[dict[str, Any]] = []
    for index, prompt in enumerate(body["prompt"]):
        tokens = [prompt[at : at + 3] for at in range(0, len(prompt), 3)] + ["new"]
        values = [None, *(-float(n) for n in range(1, len(tokens)))]
        tops = [None, *({"x": -float(n) + (0 if n % 2 else 0.5)} for n in range(1, len(tokens)))]
        offsets = [3 * n for n in range(len(tokens) - 1)] + [len(prompt)]
        logprobs = {"tokens": tokens, "token_logprobs": values, "top_logprobs": tops, "text_offset": offsets}
        choices.insert(0, {"index": index, "text": prompt, "logprobs": logprobs})
    handler.reply({"choices": choices})


def test_scores_of_continuations(script: Script, opened: Opened) -> None:
    script.does("/completions", scored)
    model = opened(score=True)
    (reply,) = replies(model, Score(context="abcdef", continuations=("ghi", "ghijkl")))
    assert isinstance(reply, Scores)
    assert [(s.logprob, s.tokens, s.greedy) for s in reply.likelihoods] == [(-2.0, 1, False), (-5.0, 2, False)]
    (reply,) = replies(model, Score(context="abcde", continuations=("f",)))
    assert [(s.logprob, s.tokens, s.greedy) for s in reply.likelihoods] == [(-1.0, 1, True)], (
        "a token over the join counts"
    )


def test_whether_a_server_can_score_is_asked_once_and_late(script: Script, opened: Opened) -> None:
    script.does("/completions", scored)
    model = opened()
    assert not script.bodies("/completions")
    assert Score in model.requests
    assert Score in model.requests
    assert len(script.bodies("/completions")) == 1


@pytest.mark.parametrize(
    "step",
    [None, value({"choices": [{"text": "A B"}]}), value({"error": "no echo"}, 400)],
    ids=["no-path", "no-logprobs", "declined"],
)
def test_a_server_that_cannot_score(script: Script, opened: Opened, step: Behaviour | None) -> None:
    if step:
        script.does("/completions", step)
    model = opened()
    assert model.requests == {Generate, Embed}
    assert "no log-probabilities" in failure(model, Score(context="a", continuations=("b",)))


def test_conversations_are_not_scored(opened: Opened) -> None:
    message = failure(opened(score=True), Score(messages=(Message("user", "a"),), continuations=("b",)))
    assert "only the server knows the template" in message


def test_without_a_context_the_first_token_has_no_score(script: Script, opened: Opened) -> None:
    script.does("/completions", scored)
    assert "context must not be empty" in failure(opened(score=True), Score(continuations=("abcdef",)))


def test_embeddings_in_the_order_of_the_texts(script: Script, opened: Opened) -> None:
    script.does("/embeddings", value({"data": [{"index": 1, "embedding": [2]}, {"index": 0, "embedding": [1, 0.5]}]}))
    assert replies(opened(), Embed(texts=("a", "b"))) == [Embedding(vectors=((1.0, 0.5), (2.0,)))]
    assert script.bodies("/embeddings") == [{"model": "tiny", "input": ["a", "b"]}]


@pytest.mark.parametrize("data", [[], None, [{"index": 0}], [{"index": 0, "embedding": ["x"]}]])
def test_embeddings_that_are_none(script: Script, opened: Opened, data: Any) -> None:
    script.does("/embeddings", value({"data": data}))
    assert "embeddings" in failure(opened(), Embed(texts=("a",)))


# --- the key -------------------------------------------------------------------------------------

SECRET = "sk-very-secret-0123456789"  # not a key of anyone's


def test_the_key_is_sent_and_shown_nowhere(
    script: Script, opened: Opened, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("MY_KEY", SECRET)
    told = {"error": {"message": f"{'x' * 280} Bearer {SECRET} is unknown"}}
    for step in (
        value(told, 401), value(told, 400), value(f"Bearer {SECRET}".encode(), 500), value(f"{SECRET}".encode()),
        value(told), hangs_up, says(f"The key is {SECRET}."), streams("sk-very-", "secret-0123456789"),
        slowly(0.3, says("late")),
    ):  # fmt: skip
        script.does(CHAT, step)
        model = opened(key_env="MY_KEY", retries=0, timeout_s=0.2)
        shown = [repr(model), str(dict(model.identity)), model.name, repr(vars(model)), repr(vars(model._connection))]
        for reply in replies(model, asked(stream=True)):
            shown.append(repr(reply))
            if isinstance(reply, Failure):
                shown += [str(reply.error), *traceback.format_exception(reply.error)]
                shown += traceback.TracebackException.from_exception(reply.error, capture_locals=True).format()
        text = "\n".join([*shown, caplog.text])
        assert SECRET not in text
        assert "sk-very-secret" not in text
    assert {key for _, _, key in script.seen} == {f"Bearer {SECRET}"}


def test_no_key_no_header(script: Script, opened: Opened) -> None:
    script.does(CHAT, says("x"))
    replies(opened(), asked())
    assert {key for _, _, key in script.seen} == {""}
