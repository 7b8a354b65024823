"""Masks e-mail addresses, in what goes into the model and in what comes out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from orca_guard.contracts import GuardFactory, GuardSettings
from orca_guard.errors import UsageError
from orca_guard.types import Action, Exhibit, Scope, Stage, Verdict

# A match begins where no address character stands before it, so a long word is tried once and not at every letter.
_ADDRESS = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@((?:[a-z0-9-]{1,63}\.)+[a-z]{2,63})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class EmailAddresses:
    """Masks every address but those of domains that are let through.

    Its scope is `whole`: while a text grows, the beginning of an address does not look like one yet, so orca-guard
    holds streamed text back until this guard has seen all of it.
    """

    domains: frozenset[str] = frozenset()
    action: Action = Action.REDACT
    name: str = "email-addresses"
    stages: frozenset[Stage] = frozenset({"input", "output"})
    scope: Scope = "whole"

    def judge(self, exhibits: Sequence[Exhibit], /) -> Sequence[Verdict]:
        """One verdict an exhibit, in order."""
        return [self._verdict(exhibit) for exhibit in exhibits]

    def _verdict(self, exhibit: Exhibit) -> Verdict:
        found = [match for match in _ADDRESS.finditer(exhibit.text) if match[1].lower() not in self.domains]
        if not found:
            return Verdict(action=Action.ALLOW)
        what = "an e-mail address" if len(found) == 1 else f"{len(found)} e-mail addresses"
        return Verdict(
            action=self.action,
            reason=f"the {exhibit.part} holds {what}",
            spans=tuple(match.span() for match in found),
        )


def make(settings: GuardSettings) -> EmailAddresses:
    """The guard with a pipeline's settings. What it does not know is refused, not passed over."""
    options = dict(settings.options)
    domains = options.pop("domains", [])
    if settings.threshold is not None:
        raise UsageError("guard 'email-addresses' takes no threshold: an address is there or it is not")
    if options:
        raise UsageError(f"guard 'email-addresses' takes the option 'domains', and no {min(options)!r}")
    if not (isinstance(domains, list) and all(isinstance(domain, str) for domain in domains)):
        raise UsageError("guard 'email-addresses' wants a list of names for 'domains', as in [\"example.org\"]")
    return EmailAddresses(frozenset(map(str.lower, domains)), settings.action or Action.REDACT)


FACTORY = GuardFactory(name="email-addresses", summary="masks e-mail addresses", make=make)
