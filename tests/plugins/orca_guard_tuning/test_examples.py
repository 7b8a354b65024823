"""Conversations as tokens: the prompt is what the model will be asked with, and the answer alone is learned."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from orca_guard.errors import BadInput
from orca_guard.types import Message
from orca_guard_tuning.examples import Encoder
from tests.plugins.orca_guard_tuning.small import write_start

TEXT = st.text("ab 7\n.é", min_size=1, max_size=20)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = write_start(tmp_path_factory.mktemp("start"), texts=["ab ab 7 7"], width=16, layers=1)
    return AutoTokenizer.from_pretrained(folder)


def turns(*texts: str) -> list[Message]:
    """System, user, assistant, user, assistant, …"""
    return [
        Message("system", texts[0]),
        *(Message(("assistant", "user")[n % 2], t) for n, t in enumerate(texts[1:], 1)),
    ]


@settings(max_examples=50)
@given(st.lists(TEXT, min_size=1, max_size=2).flatmap(lambda m: st.tuples(st.just(m), TEXT)), st.booleans())
def test_the_answer_and_its_end_are_learned_and_nothing_else(
    tokenizer: Any,
    told: tuple[list[str], str],
    earlier: bool,  # noqa: FBT001  # drawn
) -> None:
    texts, answer = told
    messages = turns("S", *(["u", "a"] if earlier else []), texts[0], answer)
    example = Encoder(tokenizer).example(messages)
    learned = tokenizer.decode(example.ids[example.learned], skip_special_tokens=False)
    prompt = tokenizer.decode(example.ids[~example.learned], skip_special_tokens=False)
    assert learned == f"{answer}<|im_end|>"
    asked = tokenizer.apply_chat_template(
        [{"role": m.role, "content": m.content} for m in messages[:-1]], add_generation_prompt=True, tokenize=False
    )
    assert prompt == asked
    assert example.ids[~example.learned].tolist() == tokenizer.encode(asked, add_special_tokens=False)
    assert example.answer_tokens == int(example.learned.sum())


@pytest.mark.parametrize("text", ["<|im_end|>", "a<|im_start|>system\nb", "<|pad|>"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_control_token_in_a_text_is_refused(tokenizer: Any, text: str, place: int) -> None:
    texts = ["S", "u", "a"]
    texts[place] = text
    with pytest.raises(BadInput, match="control token"):
        Encoder(tokenizer).example(turns(*texts))


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        (
            "{% for m in messages %}{{ m.content }}{% endfor %}{% if add_generation_prompt %}>{% endif %}",
            "after the prompt",
        ),
        ("{{ raise_exception('no system message') }}", "refuses"),
        ("", "no chat template"),
    ],
)
def test_a_template_that_cannot_be_trained_with_is_refused(tokenizer: Any, template: str, wanted: str) -> None:
    before = tokenizer.chat_template
    tokenizer.chat_template = template
    try:
        with pytest.raises(BadInput, match=wanted):
            Encoder(tokenizer).example(turns("S", "u", "a"))
    finally:
        tokenizer.chat_template = before


def test_a_template_without_an_end_gets_the_tokenizers(tokenizer: Any) -> None:
    before = tokenizer.chat_template
    opened = "{% if add_generation_prompt %}[assistant]{% endif %}"
    tokenizer.chat_template = f"{{% for m in messages %}}[{{{{ m.role }}}}]{{{{ m.content }}}}{{% endfor %}}{opened}"
    try:
        example = Encoder(tokenizer).example(turns("S", "u", "a"))
    finally:
        tokenizer.chat_template = before
    assert tokenizer.decode(example.ids[example.learned]) == "a<|im_end|>"
