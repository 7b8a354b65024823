from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from orca_guard import splits

WORDS = st.lists(st.text("abcdefgh", min_size=1, max_size=3), min_size=1, max_size=12).map(" ".join)
ANY = st.text(max_size=60)


@given(ANY)
def test_a_normalised_text_is_its_own_normal_form(text: str) -> None:
    once = splits.normalised(text)
    assert splits.normalised(once) == once


@pytest.mark.parametrize(
    "copy",
    [
        "You are SO kind",
        "you're... no: you are so kind!!! 😀",
        "RT @somebody_1: you are so kind https://t.co/Ab12",
        "  you are sooooo\tkind 2024 &amp; &#128514;",
        "yóu are so kind",
        "\uff59\uff4f\uff55 are so kind",
        "you are so ki\u200bnd",
    ],
)
def test_what_differs_in_writing_alone_is_one_text(copy: str) -> None:
    plain = splits.normalised("you are so kind")
    assert splits.normalised(copy).endswith(plain)
    if not copy.startswith("you're"):
        assert splits.normalised(copy) == plain
        assert splits.part(copy) == splits.part("you are so kind")


def test_a_text_without_a_letter_is_itself() -> None:
    assert splits.normalised(" 😀 1 ") == "😀1"
    assert splits.normalised("😀") != splits.normalised("😡")


@given(WORDS, st.sampled_from([str.upper, str.title, lambda t: f"@x {t}!!", lambda t: f"{t} http://a.b/c 12"]))
def test_copies_are_in_one_part(text: str, write: Callable[[str], str]) -> None:
    assert splits.part(write(text)) == splits.part(text)
    assert splits.fold(write(text), of=5) == splits.fold(text, of=5)


@given(st.lists(ANY, min_size=1, max_size=5), st.randoms())
def test_kin_are_in_one_part_whichever_is_asked(texts: list[str], chance: Random) -> None:
    shuffled = chance.sample(texts, len(texts))
    assert splits.part(*texts) == splits.part(*shuffled)
    assert splits.fold(*texts, of=7) == splits.fold(*shuffled, of=7)


def test_parts_have_their_shares_and_folds_cut_across_them() -> None:
    texts = [f"{a} {b} {c}" for a in "abcdefghijklmnopqrst" for b in "abcdefghijklmnopqrst" for c in "uvwxyz"]
    parts = Counter(splits.part(text) for text in texts)
    for name, share in splits.SHARES.items():
        assert abs(parts[name] / len(texts) - share / 100) < 0.03
    cells = Counter((splits.part(text), splits.fold(text, of=4)) for text in texts)
    assert all(abs(count / parts[name] - 0.25) < 0.06 for (name, _), count in cells.items())
    assert len(cells) == 12


def test_the_split_is_the_one_that_was_published() -> None:
    """Weights and thresholds in the wild were made with it: it cannot change."""
    texts = ("a", "d", "e", "the mill opened", "tea", "rivers")
    assert [splits.part(text) for text in texts] == ["train", "report", "dev", "train", "train", "dev"]
    assert [splits.fold(text, of=5) for text in texts] == [1, 1, 3, 3, 1, 4]


def naive(texts: list[str], held: list[str]) -> list[int]:
    def near(a: str, b: str) -> bool:
        one, two = (set(splits.normalised(t).split()) for t in (a, b))
        return bool(one | two) and len(one & two) / len(one | two) >= splits.NEAR

    return [i for i, text in enumerate(texts) if not any(near(text, other) for other in held)]


@given(st.lists(WORDS, max_size=8), st.lists(WORDS, max_size=8))
def test_what_is_near_is_found_as_by_comparing_all(texts: list[str], held: list[str]) -> None:
    assert splits.distant(texts, held=held) == naive(texts, held)


@given(WORDS, WORDS)
def test_a_text_with_one_word_changed_is_near_where_it_is_long(text: str, word: str) -> None:
    words = list(dict.fromkeys(splits.normalised(text).split()))
    assume(len(words) >= 7)
    changed = " ".join([*words[:-1], "zzyzx"])
    assert splits.distant([changed], held=[" ".join(words)]) == []
