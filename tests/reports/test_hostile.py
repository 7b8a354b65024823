"""Nothing acts, hides or turns a line round, whatever the text."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from orca_guard.reports.hostile import clipped, shown

ACTING = "\x00\x07\x1b\x7f\x9b\u202e\u2066\u200b\ufeff\u2028\U000e0041\ud800"


@given(st.text(st.one_of(st.characters(exclude_categories=()), st.sampled_from(ACTING))))
def test_no_control_format_or_half_character_is_left(text: str) -> None:
    left = {unicodedata.category(c) for c in shown(text) if c not in "\t\n"}
    bad = [c for c in shown(text) if unicodedata.category(c) in {"Cc", "Cs"} and c not in "\t\n"]
    assert not bad, left
    assert not set(shown(text)) & set(ACTING)


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_a_plain_text_stays_as_it_is(text: str) -> None:
    assert shown(text) == text


def test_what_acted_is_spelt_out() -> None:
    assert shown("a\x1b[31mb\u202ec\r\nd\U000e0041") == "a\\u001b[31mb\\u202ec\nd\\ue0041"


@given(st.text(), st.integers(4, 50))
def test_a_clipped_text_has_its_ends_and_says_what_is_missing(text: str, most: int) -> None:
    cut = clipped(text, most)
    if len(text) <= most:
        assert cut == text
    else:
        assert cut.startswith(text[: most * 3 // 4])
        assert f" {len(text) - most} characters " in cut
