"""The guard `moderation`: asks a service about texts; what it cannot be asked about does not pass."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

from orca_guard.contracts import GuardFactory, GuardSettings
from orca_guard.errors import GuardFailed, UsageError
from orca_guard.types import Action, Exhibit, Scope, Stage, Verdict
from orca_guard.windows import cut
from orca_guard_moderation.replies import SERVICES, Service, severities

NAME = "moderation"
OPTIONS = frozenset({"url", "service", "key_env", "categories"})
CONNECT_S = 5.0
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Moderation:
    """Stops a text of which any category that counts is as severe as the threshold.

    A network error, another status than 200 or a reply that makes no sense is an error of the guard. Texts leave this
    machine. Nothing is asked twice.

    Attributes:
        url: asked by POST.
        service: how it is asked and read.
        threshold: severity from 0 to 1.
        action: on a hit.
        categories: that count; none is all of them.
        key_env: the environment variable that holds the key; empty sends none.
    """

    url: str
    service: Service
    threshold: float = 0.5
    action: Action = Action.BLOCK
    categories: frozenset[str] = frozenset()
    key_env: str = ""
    name: str = NAME
    stages: frozenset[Stage] = frozenset({"input", "output"})
    scope: Scope = "whole"
    _client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=httpx.Timeout(None, connect=CONNECT_S)))

    def judge(self, exhibits: Sequence[Exhibit], /) -> Sequence[Verdict]:
        """All windows of all texts, as many in one request as the service takes.

        Raises:
            GuardFailed: the service cannot be reached, refuses, or its reply makes no sense.
        """
        parts = [(n, e.text[a:b]) for n, e in enumerate(exhibits) for a, b in cut(e.text, (0, len(e.text)), self._size)]
        worst: list[tuple[float, str]] = [(0.0, "")] * len(exhibits)
        asked = [(n, text) for n, text in parts if text.strip()]
        for at in range(0, len(asked), self.service.together):
            batch = asked[at : at + self.service.together]
            for (n, _), scores in zip(batch, self._ask([text for _, text in batch]), strict=True):
                counted = {
                    name: score for name, score in scores.items() if not self.categories or name in self.categories
                }
                if not counted:
                    raise GuardFailed(f"the moderation service says nothing of {', '.join(sorted(self.categories))}")
                worst[n] = max(worst[n], *((score, name) for name, score in counted.items()))
        return [self._verdict(exhibit, *found) for exhibit, found in zip(exhibits, worst, strict=True)]

    @property
    def _size(self) -> int:
        return self.service.longest

    def _ask(self, texts: Sequence[str]) -> list[dict[str, float]]:
        name, before = self.service.header
        headers = {name: f"{before}{self._key()}"} if self.key_env else {}
        readable = [text.encode("utf-8", "replace").decode() for text in texts]
        try:
            reply = self._client.post(self.url, json=dict(self.service.body(readable)), headers=headers)
        except httpx.HTTPError as error:
            raise GuardFailed(f"the moderation service cannot be reached: {type(error).__name__}") from error
        if reply.status_code != httpx.codes.OK:
            raise GuardFailed(f"the moderation service answered with status {reply.status_code}")
        try:
            told = reply.json()
        except ValueError as error:
            raise GuardFailed("the moderation service answered with what is no JSON") from error
        return severities(self.service, told, texts=len(texts))

    def _key(self) -> str:
        key = os.environ.get(self.key_env, "")
        if not key:
            raise GuardFailed(f"the moderation service needs a key, and {self.key_env} is not set")
        return key

    def _verdict(self, exhibit: Exhibit, score: float, category: str) -> Verdict:
        hit = score >= self.threshold
        told = f"the moderation service rates the {exhibit.part} {score:.2f} for {category}"
        return Verdict(
            action=self.action if hit else Action.ALLOW,
            reason=f"{told}, and the limit is {self.threshold:g}" if hit else "",
            score=score,
            threshold=self.threshold,
        )


def make(settings: GuardSettings) -> Moderation:
    """The guard of these settings.

    Raises:
        UsageError: an option that it does not know or cannot use, or a service on the network where that is off.
    """
    options = settings.options
    if unknown := sorted(set(options) - OPTIONS):
        raise UsageError(f"guard {NAME!r} takes no option {unknown[0]!r}. It takes: {', '.join(sorted(OPTIONS))}.")
    parts = urlsplit(str(options.get("url", "")))
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise UsageError(
            f'guard {NAME!r} needs the service\'s address in its options: url = "https://…", without a password in it; '
            "key_env names the environment variable that holds the key."
        )
    if settings.offline and parts.hostname not in LOCAL:
        raise UsageError(f"guard {NAME!r} asks {parts.hostname}, and offline nothing on the network is asked")
    kind = str(options.get("service", "openai"))
    if kind not in SERVICES:
        raise UsageError(f"guard {NAME!r}: service is one of {', '.join(sorted(SERVICES))}, and not {kind!r}")
    threshold = 0.5 if settings.threshold is None else settings.threshold
    if not 0 < threshold <= 1 or settings.action is Action.REDACT:
        raise UsageError(f"guard {NAME!r} takes a threshold above 0 and up to 1, and can mask nothing")
    return Moderation(
        url=parts.geturl(),
        service=SERVICES[kind],
        threshold=threshold,
        action=settings.action or Action.BLOCK,
        categories=frozenset(map(str, options.get("categories", ()))),
        key_env=str(options.get("key_env", "")),
    )


FACTORY = GuardFactory(name=NAME, summary="what a moderation service over HTTP rates as severe", make=make)
