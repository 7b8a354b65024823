"""What must be true of a tokenizer before a profile may use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orca_guard.errors import BadInput
from orca_guard_hf.directory import Directory
from orca_guard_hf.profiles import Profile
from orca_guard_hf.prompting import Prompter

_PROBE = "Two and 2 make 4.\nThe café is closed, isn't it?"


def check_tokenizer(tokenizer: Any, profile: Profile, directory: Directory) -> None:
    """Check the special tokens that a profile states, and the reference vocabulary where it asks for that.

    Raises:
        BadInput: a token is missing, has another id or is split, or ordinary text is encoded in another way.
    """
    for token, wanted in profile.special_tokens.items():
        _check_id(tokenizer, token, wanted, profile)
    for token in profile.special_tokens:
        _check_single(tokenizer, token, profile)
    if profile.sentencepiece:
        _check_reference(tokenizer, directory)


def check_vocabulary(prompter: Prompter, rows: int, path: Path) -> None:
    """Check that every token that can reach the model has an embedding: on an accelerator one without ends the process.

    Special tokens that no prompt holds may lack one, as a padding token often does that was added to the tokenizer
    alone: written by a user they are spelt out, and another token pads.

    Raises:
        BadInput: the tokenizer belongs to another model.
    """
    beyond = {token for token, i in prompter.tokenizer.get_vocab().items() if i >= rows}
    written = {token for token in beyond & prompter.controls if token in prompter.probe}
    if reachable := sorted(beyond - prompter.controls | written):
        raise BadInput(
            f"the tokenizer in {path} has {len(reachable)} tokens without an embedding in the model, first "
            f"{reachable[0]!r} (the model knows {rows}). Copy or download the directory again."
        )
    if prompter.pad >= rows:
        prompter.pad = 0


def _check_id(tokenizer: Any, token: str, wanted: int, profile: Profile) -> None:
    known = tokenizer.get_vocab()
    if known.get(token) == wanted:
        return
    found = f"has id {known[token]}" if token in known else "is missing"
    raise BadInput(
        f"in this tokenizer the special token {token!r} {found}, where the profile {profile.name!r} needs {wanted}. "
        "Restore added_tokens.json and tokenizer_config.json, or name another profile."
    )


def _check_single(tokenizer: Any, token: str, profile: Profile) -> None:
    """Inside a text, not alone: some tokenizers split a token only there."""
    ids = tokenizer.encode(f"one{token}two\n{token}three", add_special_tokens=False)
    if ids.count(profile.special_tokens[token]) != 2:  # noqa: PLR2004  # it stands there twice
        raise BadInput(
            f"this tokenizer splits the special token {token!r} inside a prompt; {profile.name!r} needs it whole. "
            "Declare it in added_tokens.json as not normalised, or name another profile."
        )


def _check_reference(tokenizer: Any, directory: Directory) -> None:
    """Ordinary text must have the ids that SentencePiece itself gives it."""
    path = directory.path / "tokenizer.model"
    if not path.is_file():
        return
    import sentencepiece  # noqa: PLC0415  # only some profiles ask for it

    try:
        wanted = sentencepiece.SentencePieceProcessor(model_file=str(path)).encode(_PROBE)
    except (OSError, RuntimeError) as error:
        raise BadInput(f"{path} is no SentencePiece model, or damaged. Copy or download it again.") from error
    if tokenizer.encode(_PROBE, add_special_tokens=False) != wanted:
        raise BadInput(
            f"the tokenizer of {directory.path} gives other ids than its own tokenizer.model, so the model would "
            "read another text. Remove tokenizer.json, or make it again from tokenizer.model."
        )
