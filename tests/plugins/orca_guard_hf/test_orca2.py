from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sentencepiece

from orca_guard.errors import BadInput
from orca_guard.types import Generation, Message, Score
from orca_guard_hf.model import HFModel
from tests.plugins.orca_guard_hf.conftest import Scripted, ask, edit_json, open_model, user

CARD = "<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant"


def test_the_fixture_has_the_published_layout(orca2: Path) -> None:
    assert {path.name for path in orca2.iterdir()} == {
        "added_tokens.json",
        "config.json",
        "generation_config.json",
        "pytorch_model-00001-of-00002.bin",
        "pytorch_model-00002-of-00002.bin",
        "pytorch_model.bin.index.json",
        "special_tokens_map.json",
        "tokenizer.model",
        "tokenizer_config.json",
    }
    config = json.loads((orca2 / "config.json").read_text())
    assert (config["vocab_size"], config["pad_token_id"]) == (32_003, 0)
    assert len(sentencepiece.SentencePieceProcessor(model_file=str(orca2 / "tokenizer.model"))) == 32_000


def test_it_answers_under_its_own_profile(orca: HFModel) -> None:
    assert orca.prompter.profile.name == "orca2"
    assert orca.notice == ""
    assert orca.system_messages["default"] == ""
    assert orca.system_messages["cautious"].startswith("You are Orca, an AI language model created by Microsoft.")
    assert orca.prompter.pad == 32_000
    assert orca.limits.stop_ids == {2, 32_002}
    (generation,) = ask(orca, user("the one", system="you are"))
    assert isinstance(generation, Generation)
    assert generation.prompt == "<s>" + CARD.format(system="you are", user="the one")
    assert ask(orca, Score(context="the", continuations=(" one", " of")))[0].likelihoods[0].tokens > 0


def test_ids_are_those_of_sentencepiece(orca: HFModel, orca2: Path) -> None:
    reference = sentencepiece.SentencePieceProcessor(model_file=str(orca2 / "tokenizer.model"))
    prompter = orca.prompter
    for text in ("the one who is there", "The sum of 12 and 7, ünï 🦊\nwas:", "x\n\n  y"):
        assert prompter.tokenizer.encode(text, add_special_tokens=False) == reference.encode(text)


def test_turns_are_opened_by_single_tokens_and_the_text_by_one(orca: HFModel) -> None:
    turns = (Message("system", ""), Message("user", "one"), Message("assistant", "two"), Message("user", "three"))
    prompter = orca.prompter
    first, second = (prompter.prompt(prompter.chat(turns[:n])) for n in (2, 4))
    assert second.text == first.text + "\ntwo<|im_end|>\n<|im_start|>user\nthree<|im_end|>\n<|im_start|>assistant"
    for prompt, messages in ((first, 2), (second, 4)):
        assert prompt.ids[0] == 1
        assert prompt.ids.count(1) == 1
        assert (prompt.ids.count(32_001), prompt.ids.count(32_002)) == (messages + 1, messages)


def test_without_a_system_message_the_block_stays(orca: HFModel) -> None:
    text = orca.prompter.chat((Message("user", "hi"),)).text
    assert (
        text
        == CARD.format(system="", user="hi")
        == orca.prompter.chat((Message("system", ""), Message("user", "hi"))).text
    )


@pytest.mark.parametrize("stop", ["<|im_end|>", "</s>"])
def test_it_stops_at_both_ends_and_drops_the_line_break_of_the_prompt(orca: HFModel, stop: str) -> None:
    from dataclasses import replace

    tokens = orca.prompter.tokenizer.encode(f"<|im_end|>\nthe one{stop}more", add_special_tokens=False)[1:]
    (generation,) = ask(replace(orca, network=Scripted(tokens, vocabulary=32_003)), user("hi", stream=True))
    assert (generation.text, generation.finish) == ("the one", "stop")


@pytest.mark.parametrize(("legacy", "after"), [(None, "▁"), (True, "▁"), (False, "the")])
def test_text_after_a_special_token_is_tokenised_as_it_was_when_published(
    orca2: Path,
    copied: Callable[[Path], Path],
    legacy: bool | None,  # noqa: FBT001
    after: str,
) -> None:
    folder = copied(orca2)
    if legacy is not None:
        edit_json(folder / "tokenizer_config.json", legacy=legacy)
    tokenizer = open_model(folder).prompter.tokenizer
    ids = tokenizer.encode("<|im_start|>the", add_special_tokens=False)
    assert tokenizer.convert_ids_to_tokens(ids)[1].startswith("▁") is (after == "▁")


def damage_id(folder: Path) -> None:
    (folder / "added_tokens.json").write_text('{"<|im_end|>": 32001, "<|im_start|>": 32002, "[PAD]": 32000}')


def damage_missing(folder: Path) -> None:
    (folder / "added_tokens.json").unlink()


def damage_vocabulary(folder: Path) -> None:
    (folder / "tokenizer.model").write_bytes((folder / "tokenizer.model").read_bytes()[:5000])


@pytest.mark.parametrize(
    ("damage", "says"),
    [(damage_id, "32001"), (damage_missing, "is missing|has id"), (damage_vocabulary, "tokenizer")],
)
def test_another_tokenizer_is_refused(
    orca2: Path, copied: Callable[[Path], Path], damage: Callable[[Path], None], says: str
) -> None:
    folder = copied(orca2)
    damage(folder)
    with pytest.raises(BadInput, match=says) as caught:
        open_model(folder)
    assert "\n" not in str(caught.value)


class Splitting:
    """A tokenizer that knows the token alone, but splits it inside a text, as some fast ones have done."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def encode(self, text: str, **more: Any) -> list[int]:
        return list(self._real.encode(text.replace("<|im_start|>", "< |im_start|>"), **more))


def test_a_split_token_is_refused(orca: HFModel) -> None:
    from orca_guard_hf.checks import check_tokenizer
    from orca_guard_hf.directory import inspect

    directory = inspect(orca.directory)
    check_tokenizer(orca.prompter.tokenizer, orca.prompter.profile, directory)
    with pytest.raises(BadInput, match=r"splits the special token '<\|im_start\|>'"):
        check_tokenizer(Splitting(orca.prompter.tokenizer), orca.prompter.profile, directory)


def test_a_tokenizer_json_that_disagrees_with_tokenizer_model_is_refused(
    orca2: Path, orca: HFModel, copied: Callable[[Path], Path]
) -> None:
    folder = copied(orca2)
    orca.prompter.tokenizer.save_pretrained(folder)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["merges"] = tokenizer["model"]["merges"][:5]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(BadInput, match="other ids than its own"):
        open_model(folder)


def test_another_profile_may_be_named(orca2: Path, copied: Callable[[Path], Path]) -> None:
    folder = copied(orca2)
    damage_id(folder)
    edit_json(folder / "tokenizer_config.json", model_max_length=100)
    assert open_model(folder, profile="chatml").prompter.profile.name == "chatml"
