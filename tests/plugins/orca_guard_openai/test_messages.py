"""What servers answer, as replies."""

from __future__ import annotations

import pytest

from orca_guard.types import Generation, Partial

from .conftest import CHAT, Opened, Script, asked, completion, replies, says, streams, value

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
