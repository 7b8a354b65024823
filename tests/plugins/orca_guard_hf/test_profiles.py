from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orca_guard.errors import BadInput, UnknownName
from orca_guard_hf import profiles
from orca_guard_hf.profiles import Traits
from tests.plugins.orca_guard_hf.conftest import ask, byte_level, llama, open_model, user

CHATML_TOKENS = frozenset({"<|im_start|>", "<|im_end|>"})


def traits(**more: object) -> Traits:
    base: dict[str, object] = {
        "model_type": "llama",
        "vocab_size": 100,
        "own_template": False,
        "added_tokens": frozenset(),
    }
    return Traits(**(base | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shown", "name"),
    [
        (traits(vocab_size=32_003), "orca2"),
        (traits(vocab_size=32_003, model_type="mistral"), "plain"),
        (traits(own_template=True, added_tokens=CHATML_TOKENS), "own"),
        (traits(added_tokens=CHATML_TOKENS), "chatml"),
        (traits(added_tokens=frozenset({"<|im_end|>"})), "plain"),
        (traits(), "plain"),
    ],
)
def test_a_profile_is_recognised(shown: Traits, name: str) -> None:
    assert profiles.detect(shown).name == name


def test_every_shipped_profile_states_its_source() -> None:
    shipped = profiles.shipped()
    assert set(shipped) == {"orca2", "own", "chatml", "plain"}
    assert all(profile.source and name == profile.name for name, profile in shipped.items())


def test_an_unknown_profile_is_guessed_at() -> None:
    with pytest.raises(UnknownName, match="did you mean 'orca2'"):
        profiles.named("orca-2")


@pytest.mark.parametrize(
    ("text", "says"),
    [("name = 1", "Expected `str`"), ('name = "x"\nstop = []', "unknown field `stop`"), ("name = ", "profile")],
)
def test_a_profile_that_is_none_is_named(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(BadInput, match=says):
        profiles.named(str(path))
    with pytest.raises(BadInput, match="cannot be read"):
        profiles.named(str(tmp_path / "none.toml"))


def test_the_directory_s_profile_wins_over_detection_and_the_named_one_over_both(
    tiny: Path, copied: Callable[[Path], Path], tmp_path: Path
) -> None:
    folder = copied(tiny)
    own = 'name = "house"\nnotice = "hello"\n[system]\ndefault = "d"\ncautious = "c"\n'
    (folder / "profile.toml").write_text(own)
    opened = open_model(folder)
    assert (opened.prompter.profile.name, opened.notice) == ("house", "hello")
    assert opened.system_messages == {"default": "d", "cautious": "c"}
    assert open_model(folder, profile="chatml").prompter.profile.name == "chatml"
    (tmp_path / "other.toml").write_text('name = "other"')
    assert open_model(folder, profile=str(tmp_path / "other.toml")).prompter.profile.name == "other"


def test_a_model_without_a_template_says_so_and_stops_at_the_next_turn(tmp_path: Path) -> None:
    llama(tmp_path, vocabulary=len(byte_level(tmp_path, template="", special=["<unk>", "<s>", "</s>", "<pad>"])))
    model = open_model(tmp_path)
    assert "no chat template" in model.notice
    (generation,) = ask(model, user("hi", system="Be kind."))
    assert generation.prompt == "Be kind.\n\nUser: hi\nAssistant:"
    assert model.prompter.profile.stop_strings == ("\nUser:",)


def test_an_own_profile_without_any_template_is_refused(tmp_path: Path) -> None:
    llama(tmp_path, vocabulary=len(byte_level(tmp_path, template="")))
    with pytest.raises(BadInput, match="own chat template"):
        open_model(tmp_path, profile="own")
