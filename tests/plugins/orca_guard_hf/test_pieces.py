from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orca_guard_hf.model import HFModel
from orca_guard_hf.pieces import WORDS, _by_pieces, encoder_of, parts
from tests.plugins.orca_guard_hf.conftest import SPECIAL, TEXT

PARTS = [
    "fox",
    "a",
    " ",
    "  ",
    "\n",
    "\n\n",
    "'s",
    "1234",
    ".",
    "\u00e9",
    "e\u0301",
    "\u4e2d",
    "\U0001f600",
    "\t",
    "<s>",
    "<|im_end|>",
]
texts = st.lists(
    st.lists(st.sampled_from([*PARTS, " wizards", " box with five dozen jugs of liquor"]), max_size=40).map("".join),
    min_size=1,
    max_size=6,
)


def made(*, words: str = "", change: Callable[[Any], None] = lambda _: None) -> Any:
    """A byte-level tokenizer that parts words by an expression, or as GPT-2 does."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend: Any = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not words)
    if words:
        split: Any = pre_tokenizers.Split
        backend.pre_tokenizer = pre_tokenizers.Sequence([split(Regex(words), "isolated"), backend.pre_tokenizer])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer: Any = trainers.BpeTrainer
    backend.train_from_iterator(
        [TEXT, TEXT.title(), TEXT.replace(" ", "  ")] * 10,
        trainer(vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False),
    )
    change(backend)
    make: Any = PreTrainedTokenizerFast
    return make(tokenizer_object=backend, eos_token="</s>")


def whole(tokenizer: Any, some: list[str]) -> list[tuple[int, ...]]:
    return [tuple(tokenizer.encode(text, add_special_tokens=False)) for text in some]


def nfc(backend: Any) -> None:
    from tokenizers import normalizers

    backend.normalizer = normalizers.NFC()


@pytest.fixture(scope="module", params=["GPT-2", "Llama 3", "Qwen 2", "Orca 2", "chat"])
def tokenizer(request: pytest.FixtureRequest) -> Any:
    if request.param in {"Orca 2", "chat"}:
        opened: HFModel = request.getfixturevalue({"Orca 2": "orca", "chat": "model"}[request.param])
        return opened.prompter.tokenizer
    how: dict[str, Any] = {
        "GPT-2": {},
        "Llama 3": {"words": WORDS[0]},
        "Qwen 2": {"words": WORDS[1], "change": nfc},
    }
    return made(**how[request.param])


@pytest.fixture(scope="module")
def encode(tokenizer: Any) -> Callable[[list[str]], list[tuple[int, ...]]]:
    assert parts(tokenizer)
    return encoder_of(tokenizer)


@settings(deadline=None, max_examples=60)
@given(some=texts)
def test_pieces_have_the_tokens_of_the_whole(
    tokenizer: Any, encode: Callable[[list[str]], list[tuple[int, ...]]], some: list[str]
) -> None:
    assert encode(some) == whole(tokenizer, some)


def test_what_texts_begin_with_is_encoded_once(model: HFModel) -> None:
    tokenizer, given_to = model.prompter.tokenizer, []

    class Counting:
        def encode_batch_fast(self, some: list[str], **how: Any) -> Any:
            given_to.extend(some)
            return tokenizer.backend_tokenizer.encode_batch_fast(some, **how)

    some = [f"{TEXT} {TEXT} {TEXT} and {n}" for n in range(50)]
    assert _by_pieces(Counting(), some) == whole(tokenizer, some)
    assert sum(map(len, given_to)) < sum(map(len, some)) / 4


def lowered(backend: Any) -> None:
    from tokenizers import normalizers

    backend.normalizer = normalizers.Lowercase()


def greedy(backend: Any) -> None:
    from tokenizers import AddedToken

    backend.add_special_tokens([AddedToken("<mask>", rstrip=True)])


def of_two_words(backend: Any) -> None:
    from tokenizers import AddedToken

    backend.add_tokens([AddedToken("fox jumps")])


def by_chance(backend: Any) -> None:
    backend.model.dropout = 0.5


def unparted(backend: Any) -> None:
    from tokenizers import pre_tokenizers

    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


@pytest.mark.parametrize("change", [lowered, greedy, of_two_words, by_chance, unparted])
def test_who_may_look_across_a_cut_encodes_texts_whole(change: Callable[[Any], None]) -> None:
    tokenizer = made(change=change)
    assert not parts(tokenizer)
    if change is not by_chance:
        some = [f"{TEXT} {TEXT}", f"{TEXT} {TEXT} <mask>  fox"]
        assert encoder_of(tokenizer)(some) == whole(tokenizer, some)


def test_words_parted_in_an_unknown_way_are_encoded_whole() -> None:
    assert not parts(made(words=r"\p{L}+ |\s+|\S"))


def test_a_vocabulary_with_a_letter_before_a_space_is_encoded_whole() -> None:
    def spaced(*merges: tuple[str, str]) -> Any:
        from tokenizers import Tokenizer, models, pre_tokenizers
        from transformers import PreTrainedTokenizerFast

        pieces = ["\u2581", *"abcdefgh", *("".join(pair) for pair in merges)]
        vocabulary = {piece: n for n, piece in enumerate(pieces)}
        backend: Any = Tokenizer(models.BPE(vocabulary, list(merges)))
        backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
        make: Any = PreTrainedTokenizerFast
        return make(tokenizer_object=backend)

    assert parts(spaced(("\u2581", "a"), ("a", "b")))
    assert not parts(spaced(("a", "\u2581"), ("a", "b")))
