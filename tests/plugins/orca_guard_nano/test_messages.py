"""The embedded model was trained with the very messages that the strategies send."""

from __future__ import annotations

import tomllib
from pathlib import Path

import orca_guard_nano
from orca_guard.contracts import is_explicit
from orca_guard.host import Host
from orca_guard_extract.strategy import ANSWER, EXTRACT
from orca_guard_nano.recipe import messages

PROFILE = Path(orca_guard_nano.__file__).parent / "weights" / "profile.toml"


def test_system_messages_are_those_of_the_strategies() -> None:
    sent = {name: p.item.system for name, p in Host(third_party=False).strategies if is_explicit(p.item)}
    trained = {name: text for name, text in messages.SYSTEM.items() if name != messages.CAUTIOUS}
    assert sent == trained


def test_the_cautious_message_is_the_profiles() -> None:
    profile = tomllib.loads(PROFILE.read_text("utf-8"))
    assert profile["system"]["cautious"] == messages.SYSTEM[messages.CAUTIOUS]


def test_the_passes_of_extract_generate_ask_in_the_trained_words() -> None:
    assert (messages.COPY_REQUEST, messages.ANSWER_REQUEST) == (EXTRACT, ANSWER)
