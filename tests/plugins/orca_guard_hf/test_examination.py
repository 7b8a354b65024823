"""Models that are sick on purpose, one illness each, and sound ones that have none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from orca_guard.types import Finding, Health
from orca_guard_hf.examination import examine, users_text
from orca_guard_hf.model import HFModel
from orca_guard_hf.profiles import Profile
from orca_guard_hf.prompting import Prompter
from tests.plugins.orca_guard_hf.conftest import CHATML, byte_level, llama, open_model

NAMES = (
    "chat template",
    "one BOS",
    "special tokens are whole",
    "users' text stays text",
    "scored tokens",
    "weights are numbers",
    "packed forwards",
)


def found(model: HFModel) -> dict[str, Finding]:
    return {finding.name: finding for finding in model.examine()}


def ill(model: HFModel) -> dict[str, str]:
    return {name: finding.detail for name, finding in found(model).items() if finding.health is Health.ILL}


def made(folder: Path, **tokenizer: Any) -> HFModel:
    llama(folder, vocabulary=len(byte_level(folder, **tokenizer)))
    return open_model(folder)


@pytest.mark.parametrize("name", ["model", "orca"])
def test_a_sound_model_is_well(name: str, request: pytest.FixtureRequest) -> None:
    findings = found(request.getfixturevalue(name))
    assert tuple(findings) == NAMES
    assert not [f for f in findings.values() if f.health is Health.ILL]


def test_where_no_first_token_is_wanted_none_is_missed(model: HFModel, orca: HFModel) -> None:
    assert found(model)["one BOS"].health is Health.NOT_APPLICABLE
    assert found(orca)["one BOS"].detail == "1 before a conversation, 1 before raw text"


@pytest.mark.parametrize(
    "template", ["<s><s>" + CHATML, "<s>" + CHATML.replace("'<|im_start|>' +", "'<s><|im_start|>' +")]
)
def test_a_template_that_writes_two_first_tokens(tmp_path: Path, template: str) -> None:
    assert ill(made(tmp_path, template=template)) == {"one BOS": "2 before a conversation, 0 before raw text"}


def test_a_first_token_of_template_and_profile_both(tmp_path: Path) -> None:
    """The template puts something in front of its own, so the profile's is put in front of that."""
    llama(tmp_path, vocabulary=len(byte_level(tmp_path, template="\n<s>" + CHATML)))
    (tmp_path / "profile.toml").write_text('name = "both"\nbos = "one"\n')
    assert "2 before a conversation" in ill(open_model(tmp_path))["one BOS"]


def test_one_first_token_is_right(tmp_path: Path) -> None:
    finding = found(made(tmp_path, template="<s>" + CHATML))["one BOS"]
    assert (finding.health, finding.detail) == (Health.WELL, "1 before a conversation, 0 before raw text")


def test_a_template_whose_turns_are_no_tokens(tmp_path: Path) -> None:
    model = made(tmp_path, special=["<unk>", "<s>", "</s>", "<pad>", "<|im_end|>"])
    told = ill(model)["special tokens are whole"]
    assert told.startswith("1 of ")
    assert "'<|im_start|>' into " in told


def test_a_template_that_loses_or_repeats_the_question(tmp_path: Path) -> None:
    lost = made(tmp_path / "lost", template="{{ 'Hello.' }}")
    twice = made(tmp_path / "twice", template=CHATML + CHATML)
    assert "0 times" in ill(lost)["chat template"]
    assert "2 times" in ill(twice)["chat template"]


def test_a_template_that_refuses_a_question(tmp_path: Path) -> None:
    model = made(tmp_path, template="{{ raise_exception('never') }}")
    assert "never" in {f.name: f.detail for f in _until_error(model)}["chat template"]


def _until_error(model: HFModel) -> list[Finding]:
    return [next(iter(model.examine()))]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_one_weight_that_is_no_number(tiny: Path, copied: Callable[[Path], Path], value: float) -> None:
    """In a row of the embedding that no probe ever reads."""
    folder = copied(tiny)
    weights: Mapping[str, Any] = load_file(folder / "model.safetensors")
    weights["model.embed_tokens.weight"][300, 0] = value
    save_file(dict(weights), folder / "model.safetensors", {"format": "pt"})
    told = ill(open_model(folder))
    assert list(told) == ["weights are numbers"]
    assert "first model.embed_tokens.weight" in told["weights are numbers"]


def test_layers_that_are_not_in_memory_are_said(model: HFModel) -> None:
    layer = model.network.model.model.layers[0]
    kept = layer.mlp.up_proj.weight
    layer.mlp.up_proj.weight = torch.nn.Parameter(kept.to("meta"))
    try:
        assert found(model)["weights are numbers"].detail.endswith("and 1 on disk not looked at")
    finally:
        layer.mlp.up_proj.weight = kept


class Trusting(Prompter):
    """Takes what a user writes for what it looks like."""

    def _spell_out(self, ids: tuple[int, ...], literal: Sequence[bool]) -> tuple[int, ...]:
        del literal
        return ids


class Refusing(Prompter):
    """Has no spelling for anything."""

    def _spelling(self, control: int) -> list[int]:
        from orca_guard.errors import BadInput

        raise BadInput(f"no spelling for {control}")


def test_a_user_who_could_open_a_turn(tiny: Path) -> None:
    tokenizer, profile = open_model(tiny).prompter.tokenizer, Profile(name="own")
    told = users_text(Trusting(tokenizer, profile))
    assert told.health is Health.ILL
    assert "makes a control token" in told.detail
    refused = users_text(Refusing(tokenizer, profile))
    assert (refused.health, "by being refused" in refused.detail) == (Health.WELL, True)


class Deaf:
    """A tokenizer that writes other tokens than it reads."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)

    def decode(self, ids: Sequence[int], **_: Any) -> str:
        return "x" * len(ids)


def test_scored_tokens_that_spell_something_else(model: HFModel) -> None:
    prompter = Prompter(Deaf(model.prompter.tokenizer), model.prompter.profile)
    told = {finding.name: finding for finding in examine(prompter, model.network)}["scored tokens"]
    assert (told.health, "' Paris'" in told.detail) == (Health.ILL, True)
