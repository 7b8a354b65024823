"""What servers answer, as replies."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orca_guard.types import Generation, Partial

from .conftest import CHAT, Behaviour, Opened, Script, asked, completion, failure, replies, says, streams, value

# --- what is an answer ---------------------------------------------------------------------------


def step(message: Any, finish: str = "stop") -> Behaviour:
    return value({"choices": [{"index": 0, "message": message, "finish_reason": finish}]})


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "message",
    [
        "hi", 42, ["hi"], {"content": 42}, {"content": 0}, {"content": False}, {"content": {}}, {"content": ["hi"]},
        {"content": [{"text": 42}]}, {"content": None, "refusal": 42}, {"content": "x", "refusal": ["no"]},
        None, {}, {"role": "assistant"}, {"role": "assistant", "content": None},
        {"content": None, "refusal": None, "tool_calls": []},
    ],
)  # fmt: skip
def test_what_is_no_message_is_a_fault(script: Script, opened: Opened, message: Any, stream: bool) -> None:  # noqa: FBT001  # a parameter
    script.does(CHAT, step(message))
    told = failure(opened(), asked(stream=stream))
    assert f"{script.url} answered with JSON of another shape" in told
    assert len(script.bodies(CHAT)) == 1


def test_a_choice_without_a_message_is_a_fault(script: Script, opened: Opened) -> None:
    script.does(CHAT, value({"choices": [{"text": "hi", "finish_reason": "stop"}]}), value({"choices": ["hi"]}))
    model = opened(concurrency=1)
    assert all("JSON of another shape" in str(reply.error) for reply in replies(model, asked("1"), asked("2")))


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": ""}, ""),
        ({"content": []}, ""),
        ({"content": "", "refusal": None}, ""),
        ({"content": None, "refusal": "No."}, "No."),
        ({"refusal": "No."}, "No."),
        ({"content": None, "tool_calls": [{"id": "a", "type": "function"}]}, ""),
        ({"content": None, "reasoning_content": "Let me see"}, ""),
        ({"content": [{"type": "thinking"}, {"type": "text", "text": "Yes."}]}, "Yes."),
    ],
)
def test_what_says_nothing_by_the_protocol_is_an_answer(
    script: Script, opened: Opened, message: Any, text: str
) -> None:
    script.does(CHAT, step(message))
    assert [reply.text for reply in replies(opened(), asked())] == [text]


def test_content_that_was_cut_or_withheld_may_be_missing(script: Script, opened: Opened) -> None:
    model = opened()
    script.does(CHAT, step({"content": None}, "length"))
    (reply,) = replies(model, asked())
    assert (reply.text, reply.finish) == ("", "length")
    script.does(CHAT, step({"role": "assistant"}, "content_filter"))
    assert "content filter" in failure(model)


def test_deltas_without_content_are_usual(script: Script, opened: Opened) -> None:
    model = opened()
    script.does(CHAT, streams({"role": "assistant", "content": None}, "Paris", {"content": None}, {}))
    assert [reply.text for reply in replies(model, asked(stream=True))] == ["Paris", "Paris"]
    script.does(CHAT, streams({"role": "assistant", "content": None}))
    assert [reply.text for reply in replies(model, asked(stream=True))] == [""]


@pytest.mark.parametrize("delta", ["hi", {"content": 42}, {"content": ["hi"]}])
def test_a_delta_that_is_none_is_a_fault(script: Script, opened: Opened, delta: Any) -> None:
    bad = f"data: {json.dumps({'choices': [{'delta': delta}]})}\n\n".encode()
    script.does(CHAT, value(bad, Content_Type="text/event-stream"))
    assert "JSON of another shape" in failure(opened(), asked(stream=True))


# --- how it ended --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "finish"),
    [
        ("stop", "stop"), ("eos", "stop"), ("eos_token", "stop"), ("stop_sequence", "stop"),
        ("length", "length"), ("max_tokens", "length"), ("model_length", "length"),
    ],
)  # fmt: skip
def test_how_a_generation_ended(script: Script, opened: Opened, said: str, finish: str) -> None:
    script.does(CHAT, says("x", finish=said), streams("x", finish=said))
    model = opened()
    assert replies(model, asked())[-1].finish == finish
    assert replies(model, asked(stream=True))[-1].finish == finish


@pytest.mark.parametrize(("said", "words"), [("content_filter", "content filter"), ("tool_calls", "tool call")])
def test_what_is_no_text_is_a_failure(script: Script, opened: Opened, said: str, words: str) -> None:
    script.does(CHAT, says("x", finish=said))
    assert words in failure(opened())


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (None, "ended before the answer did: no finish_reason came"),
        ("", "ended before the answer did: no finish_reason came"),
        ("abort", "with the finish_reason 'abort', which is not known"),
        ("a\x1b[31m\ud800", r"'a\x1b[31m�'"),
        (7, "JSON of another shape: its choice is no message whose"),
        ({"type": "stop"}, "JSON of another shape: its choice is no message whose"),
    ],
)
def test_an_answer_that_is_not_said_to_be_complete_is_a_fault(
    script: Script, opened: Opened, said: Any, words: str
) -> None:
    model = opened()
    script.does(CHAT, says("x", finish=said))
    assert words in failure(model)
    script.does(CHAT, streams("x", finish=said))
    *partial, fault = replies(model, asked(stream=True))
    assert partial == [Partial(text="x")]
    assert words in str(fault.error)


def test_a_reason_does_not_show_the_key(script: Script, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    escaped = json.dumps(completion("x", finish="sk-very-secret")).replace("sk-", "\\u0073k-").encode()
    script.does(CHAT, value(escaped))
    assert "'[key]', which is not known" in failure(opened())


# --- halves of a character -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "text"),
    [("Pa\ud800ris", "Pa�ris"), ("\udc00", "�"), ("\ude00\ud83d", "��"), ("\ud83d\ude00", "😀"), ("ü😀", "ü😀")],
)
def test_half_a_character_is_replaced(script: Script, opened: Opened, said: str, text: str) -> None:
    model = opened()
    script.does(CHAT, says(said))
    assert [reply.text for reply in replies(model, asked())] == [text]
    script.does(CHAT, streams(said))
    assert replies(model, asked(stream=True))[-1].text == text


def test_a_character_in_two_events_is_one(script: Script, opened: Opened) -> None:
    script.does(CHAT, streams("a\ud83d", "\ude00", "b"))
    *partial, reply = replies(opened(), asked(stream=True))
    assert partial == [Partial(text="a"), Partial(text="a😀"), Partial(text="a😀b")]
    assert isinstance(reply, Generation)
    assert reply.text == "a😀b"


def test_half_a_character_in_a_name_is_replaced(script: Script, opened: Opened) -> None:
    script.does("/models", value({"data": [{"id": "ti\ud800ny"}]}))
    script.does(CHAT, value(completion("x", system_fingerprint="fp\udfff")))
    model = opened()
    replies(model, asked())
    assert model.identity.items() >= {("model", "ti�ny"), ("date.fingerprints", "fp�")}
