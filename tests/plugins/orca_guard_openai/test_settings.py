"""The key, which no text may show."""

from __future__ import annotations

import string
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.types import Failure
from orca_guard_openai.messages import Heard
from orca_guard_openai.settings import Key, Settings

from .conftest import CHAT, Opened, Script, asked, replies, says, streams

SECRET = "sk-very-secret-0123456789"  # not a key of anyone's
TOLD = SECRET[:9]
"""What gives it away."""
harmless = st.text(alphabet=string.ascii_letters + " -[]é\n", max_size=12)
beginnings = st.integers(0, len(SECRET)).map(lambda n: SECRET[:n])
texts = st.lists(harmless | beginnings, max_size=8).map("".join)


def heard(text: str, cuts: list[int]) -> tuple[list[str], str]:
    """What is shown of a text while it comes in pieces, and at its end."""
    listening, shown = Heard(Settings(url="", name="", local=True, key=Key(SECRET, "KEY"))), []
    ends = sorted({cut % (len(text) + 1) for cut in cuts} | {0, len(text)})
    for start, end in pairwise(ends):
        listening.hear({"choices": [{"delta": {"content": text[start:end]}}]})
        shown.append(listening.text(growing=True))
    return shown, listening.text()


@given(texts, st.lists(st.integers(0, 200), max_size=30))
def test_no_text_tells_the_key_in_whatever_pieces_it_comes(text: str, cuts: list[int]) -> None:
    partial, final = heard(text, cuts)
    assert not [shown for shown in (*partial, final) if TOLD in shown]
    assert all(later.startswith(earlier) for earlier, later in pairwise([*partial, final]))
    if TOLD not in text:
        assert final == text


@pytest.mark.parametrize(
    ("text", "covered"),
    [
        (f"it is {SECRET}!", "it is [key]!"),
        (f"it is {SECRET[:-1]}", "it is [key]"),
        (f"it is {SECRET[:12]}****", "it is [key]****"),
        (f"{SECRET}{SECRET}", "[key][key]"),
        ("many begin with sk-very-", "many begin with sk-very-"),
    ],
)
def test_the_key_and_what_tells_it_are_covered(text: str, covered: str) -> None:
    assert Key(SECRET, "KEY").cover(text) == covered


def test_a_short_key_is_covered_where_it_is_whole() -> None:
    key = Key("EMPTY", "KEY")
    assert key.cover("EMPTY or EMPT") == "[key] or EMPT"
    assert key.cover("EMPTY or EMPT", growing=True) == "[key] or "
    assert Key("", "KEY").cover("text", growing=True) == "text"


def test_a_key_that_is_echoed_piece_by_piece(script: Script, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    model = opened()
    script.does(CHAT, streams("It is ", *SECRET, ", ", "friend."))
    found = [reply.text for reply in replies(model, asked(stream=True))]
    assert found == ["It is ", "It is [key]", "It is [key], ", "It is [key], friend.", "It is [key], friend."]
    script.does(CHAT, streams(*SECRET[:-2], finish=None, done=False))
    *partial, fault = replies(model, asked(stream=True))
    assert [reply.text for reply in partial] == ["[key]"]
    assert isinstance(fault, Failure)
    script.does(CHAT, says(f"It is {SECRET[:-2]}", finish="length"))
    assert replies(model, asked())[0].text == "It is [key]"
