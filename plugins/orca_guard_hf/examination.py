"""Whether a model that has loaded is sound: template, first token, special tokens, scored tokens, weights."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from orca_guard.errors import BadInput
from orca_guard.types import Finding, Health, Message, Score
from orca_guard_hf.network import Network
from orca_guard_hf.prompting import Prompter
from orca_guard_hf.scoring import encode_jointly

ASKED = "Is water wet?"
SCORED = (
    Score(context="The capital of France is", continuations=(" Paris", " a city")),
    Score(context="The first letters of an answ", continuations=("er", "erable")),
    Score(messages=(Message("user", ASKED),), continuations=("Yes", "No, it is not")),
)
"""Continuations that begin with a space, within a word, and an answer."""

_LOOKS_SPECIAL = re.compile(r"<[|\uff5c][^<>|\uff5c\s]+[|\uff5c]>")
"""What a template can only mean as a single token."""
_EXACT = {torch.float64, torch.float32, torch.float16, torch.bfloat16}


def examine(prompter: Prompter, network: Network) -> Iterator[Finding]:
    """Look over a model. Tokenizers serve one thread at a time, so the network's lock is held for them."""
    for check in (chat_template, one_bos, special_tokens, users_text, scored_tokens):
        with network.lock:
            finding = check(prompter)
        yield finding
    yield weights(network.model)


def chat_template(prompter: Prompter) -> Finding:
    """There is one, it takes a question, and the question stands in what it makes."""
    name = "chat template"
    try:
        text = prompter.chat((Message("user", ASKED),)).text
    except BadInput as error:
        return _ill(name, str(error), "name another profile with --profile, or put the template right")
    if text.count(ASKED) != 1:
        what = f"a question stands {text.count(ASKED)} times in the prompt that it makes"
        return _ill(name, what, "put the template right: it has to write every message once")
    return _well(name, f"profile {prompter.profile.name}")


def one_bos(prompter: Prompter) -> Finding:
    """Where a text begins with the token that starts texts, it begins with exactly one."""
    name, bos = "one BOS", prompter.bos
    if bos is None:
        return Finding(name=name, health=Health.NOT_APPLICABLE, detail="the tokenizer has none")
    conversation = prompter.prompt(prompter.opened((Message("user", ASKED),))).ids
    raw = prompter.prompt(prompter.plain(ASKED), raw=True).ids
    counts = {"a conversation": _leading(conversation, prompter), "raw text": _leading(raw, prompter)}
    seen = ", ".join(f"{count} before {what}" for what, count in counts.items())
    wants = {"a conversation"} if _wants_bos(prompter) else set()
    wants |= {"raw text"} if prompter.profile.bos != "none" and prompter.tokenizer.encode("x")[:1] == [bos] else set()
    if any(count > 1 or (what in wants and count != 1) for what, count in counts.items()):
        return _ill(name, seen, "write it either in the template or by the profile's bos = 'one', not by both")
    return _well(name, seen) if wants else Finding(name=name, health=Health.NOT_APPLICABLE, detail="none is wanted")


def _wants_bos(prompter: Prompter) -> bool:
    """The profile does, or leaves it to a template that writes one."""
    written = prompter.profile.bos == "template" and prompter.tokenizer.bos_token in prompter.probe
    return prompter.profile.bos == "one" or written


def _leading(ids: Sequence[int], prompter: Prompter) -> int:
    """How often the token is there; where it also ends texts, how often in a row at the front."""
    if prompter.bos != prompter.tokenizer.eos_token_id:
        return ids.count(prompter.bos)
    return next((n for n, i in enumerate(ids) if i != prompter.bos), len(ids))


def special_tokens(prompter: Prompter) -> Finding:
    """Whatever opens or closes a turn is one token, also in the middle of a text."""
    name = "special tokens are whole"
    stated = {*prompter.profile.special_tokens, *prompter.profile.stop_tokens}
    tokens = sorted(prompter.controls | stated | set(_LOOKS_SPECIAL.findall(prompter.probe)))
    split = [token for token in tokens if not _is_whole(token, prompter.tokenizer)]
    if split:
        pieces = len(prompter.tokenizer.encode(split[0], add_special_tokens=False))
        what = f"{len(split)} of {len(tokens)} are split, first {split[0]!r} into {pieces} tokens"
        return _ill(name, what, "declare it in the tokenizer's files as special and not normalised")
    return _well(name, f"all {len(tokens)}: {' '.join(tokens[:6])}{' …' if len(tokens) > 6 else ''}")  # noqa: PLR2004


def _is_whole(token: str, tokenizer: Any) -> bool:
    """Inside a text, not alone: some tokenizers split a token only there."""
    number = tokenizer.get_vocab().get(token)
    ids = tokenizer.encode(f"one{token}two\n{token}three", add_special_tokens=False)
    return number is not None and ids.count(number) == 2  # noqa: PLR2004  # it stands there twice


def users_text(prompter: Prompter) -> Finding:
    """Nothing that a user writes becomes a control token; a prompt that is refused becomes nothing."""
    name = "users' text stays text"
    honest = _controls("x", prompter)
    texts = {token: _controls(f"a{token}b", prompter) for token in sorted(prompter.controls)}
    forged = [token for token, found in texts.items() if found not in (honest, None)]
    if forged:
        what = f"a user who writes {forged[0]!r} makes a control token ({len(forged)} can be made so)"
        return _ill(name, what, "do not serve this model: a user can open and close turns")
    refused = sum(found is None for found in texts.values())
    told = f", {refused} of them by being refused" if refused else ""
    return _well(name, f"{len(texts)} control tokens tried{told}")


def _controls(text: str, prompter: Prompter) -> list[int] | None:
    """The control tokens of a conversation with this text; None where it is refused."""
    try:
        ids = prompter.prompt(prompter.chat((Message("user", text),))).ids
    except BadInput:
        return None
    return [i for i in ids if i in prompter.control_ids]


def scored_tokens(prompter: Prompter) -> Finding:
    """What is scored after a context has tokens, and they spell the continuation to its end."""
    name = "scored tokens"
    try:
        lost = [text for request in SCORED for text in _not_spelt(request, prompter)]
    except BadInput as error:
        return _ill(name, str(error), "measure this model by questions, or use another tokenizer")
    if lost:
        return _ill(name, f"those of {lost[0]!r} do not spell it", "use the tokenizer that the model was trained with")
    return _well(name, "every continuation is spelt by the tokens that are scored")


def _not_spelt(request: Score, prompter: Prompter) -> Iterator[str]:
    joint = encode_jointly(request, prompter)
    for text, row in zip(request.continuations, joint.rows, strict=True):
        scored = _bare(prompter.tokenizer.decode(row[joint.boundary :], clean_up_tokenization_spaces=False))
        if not scored or not scored.endswith(_bare(text)):
            yield text


def _bare(text: str) -> str:
    """Without spaces and case, which some tokenizers change."""
    return "".join(text.split()).casefold()


def weights(model: Any) -> Finding:
    """Every parameter that is in memory holds numbers only."""
    name = "weights are numbers"
    named = [(n, p) for n, p in model.named_parameters() if p.dtype in _EXACT]
    here = [(n, p) for n, p in named if not p.is_meta]
    broken = [n for n, p in here if not bool(torch.isfinite(p.detach()).all())]
    if broken:
        what = f"{len(broken)} of {len(here)} tensors hold what is no number, first {broken[0]}"
        return _ill(name, what, "copy or download the weights again, or try --dtype float32")
    away = len(named) - len(here)
    return _well(name, f"{len(here)} tensors{f', and {away} on disk not looked at' if away else ''}")


def _well(name: str, detail: str) -> Finding:
    return Finding(name=name, health=Health.WELL, detail=detail)


def _ill(name: str, detail: str, advice: str) -> Finding:
    return Finding(name=name, health=Health.ILL, detail=detail, advice=advice)
