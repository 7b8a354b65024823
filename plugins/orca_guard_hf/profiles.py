"""Profiles: what a model family needs to be asked correctly, as TOML, and which one a model directory gets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from orca_guard.errors import BadInput, UnknownName

FOLDER = Path(__file__).parent / "profiles"


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a profile is chosen by itself: everything that is stated must hold.

    Attributes:
        model_type: of `config.json`.
        vocab_size: of `config.json`.
        own_template: whether the tokenizer brings a chat template.
        added_tokens: that the tokenizer must know.
    """

    model_type: str | None = None
    vocab_size: int | None = None
    own_template: bool | None = None
    added_tokens: tuple[str, ...] = ()

    def holds(self, traits: Traits) -> bool:
        """Whether a model with these traits is meant."""
        stated = [
            (self.model_type, traits.model_type),
            (self.vocab_size, traits.vocab_size),
            (self.own_template, traits.own_template),
        ]
        return traits.added_tokens.issuperset(self.added_tokens) and all(a is None or a == b for a, b in stated)


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a model family is asked, and how its answers end.

    Attributes:
        name: what `profile` says in a pipeline.
        source: where these facts come from.
        order: profiles are tried from the lowest; the first that matches is taken.
        match: when it is chosen by itself; without one it must be named.
        template: chat template (Jinja); empty means the tokenizer's own.
        bos: `one` puts exactly one in front; `template` leaves it to the template, and for raw text to the tokenizer;
            `none` never puts one.
        special_tokens: token → the id it must have, each a single token inside a prompt.
        pad: the padding token, whatever `config.json` says.
        stop_tokens: tokens that end an answer, besides those of the generation config and the tokenizer.
        stop_strings: strings that end an answer.
        sentencepiece: the reference is `tokenizer.model`: the loaded tokenizer must agree with it on a probe.
        answer_prefix: what the model itself writes before its turn's text, and is no part of it.
        system: system messages: `default`, and by strategy name.
        notice: one line a person should know.
    """

    name: str
    source: str = ""
    order: int = 50
    match: Match | None = None
    template: str = ""
    bos: Literal["one", "template", "none"] = "template"
    special_tokens: dict[str, int] = {}
    pad: str = ""
    stop_tokens: tuple[str, ...] = ()
    stop_strings: tuple[str, ...] = ()
    sentencepiece: bool = False
    answer_prefix: str = ""
    system: dict[str, str] = {}
    notice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What a profile is recognised by."""

    model_type: str
    vocab_size: int
    own_template: bool
    added_tokens: frozenset[str]


def choose(wanted: str, *, directory: Path, traits: Traits) -> Profile:
    """The profile asked for by name or path, else the directory's own `profile.toml`, else the first that matches.

    Raises:
        UnknownName: no profile has that name.
        BadInput: the profile cannot be read.
    """
    if wanted:
        return named(wanted)
    own = directory / "profile.toml"
    return read(own) if own.is_file() else detect(traits)


def named(wanted: str) -> Profile:
    """A profile by its name, or by the path of its TOML file."""
    if wanted.endswith(".toml") or "/" in wanted:
        return read(Path(wanted).expanduser())
    known = shipped()
    if wanted not in known:
        raise UnknownName("profile", wanted, known, hint="A path of a TOML file is taken too.")
    return known[wanted]


def detect(traits: Traits) -> Profile:
    """The first shipped profile that matches; the last one matches everything."""
    candidates = sorted(shipped().values(), key=lambda profile: profile.order)
    return next(p for p in candidates if p.match is not None and p.match.holds(traits))


def shipped() -> Mapping[str, Profile]:
    """The profiles that come with this plugin, by name."""
    return {profile.name: profile for profile in map(read, sorted(FOLDER.glob("*.toml")))}


def read(path: Path) -> Profile:
    """Decode one TOML file.

    Raises:
        BadInput: it is missing, is no TOML, or has a field that a profile has not.
    """
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Profile)
    except OSError as error:
        raise BadInput(
            f"profile {path} cannot be read: {error.strerror}. Name a TOML file or a shipped one."
        ) from error
    except msgspec.DecodeError as error:
        raise BadInput(f"profile {path} is not usable: {error}.") from error


def traits_of(config: Mapping[str, Any], tokenizer: Any) -> Traits:
    """What `config.json` and the loaded tokenizer show."""
    text = config.get("text_config") if isinstance(config.get("text_config"), Mapping) else config
    return Traits(
        model_type=str(config.get("model_type", "")),
        vocab_size=size if isinstance(size := (text or config).get("vocab_size"), int) else 0,
        own_template=bool(tokenizer.chat_template),
        added_tokens=frozenset(tokenizer.get_added_vocab()),
    )


def as_json(profile: Profile) -> str:
    """For digests: every field, in a fixed order."""
    return json.dumps(msgspec.to_builtins(profile), sort_keys=True, ensure_ascii=False)
