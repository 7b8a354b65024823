"""Every error that orca-guard raises on purpose, and the exit code each one means.

    OrcaGuardError                   message for people; `exit_code` for the shell
    + UsageError               2     the caller asked for something that cannot be
    | + UnknownName            2     no such strategy, model, guard, plugin
    | + BadInput               2     a file, prompt, row or number that cannot be used
    | + PromptTooLong          2     does not fit the model's context, and by how much
    | + TextTooLong            2     is longer than a classifier reads at once
    | + ConfigurationChanged   2     stored answers belong to another configuration
    + NotReady                 3     what was asked for exists in name only
    | + PluginFailed           3     a plugin that is needed did not load
    | + NameWithdrawn          3     a name is claimed twice
    | + ModelFailed            3     a model or server could not answer
    | + GuardFailed            3     a guard could not judge
    | + DataAbsent             3     data that a benchmark needs is not here
    | + BudgetExhausted        3     the deadline or the token budget ran out
    | + NotAttested            3     no sealed audit that passed vouches for the pipeline

Anything else that reaches the top is a bug: exit code 4, with its traceback.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from enum import IntEnum
from functools import partial
from typing import Any


class ExitCode(IntEnum):
    """What the process tells the shell."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    INCONCLUSIVE = 3
    INTERNAL = 4
    INTERRUPTED = 130


class OrcaGuardError(Exception):
    """Base of every deliberate error: it is shown without a traceback."""

    exit_code = ExitCode.INTERNAL


class UsageError(OrcaGuardError):
    """The caller asked for something that cannot be."""

    exit_code = ExitCode.USAGE


class UnknownName(UsageError):
    """A name that nothing provides."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, hint: str = "") -> None:
        self.kind = kind
        self.name = name
        self.known = tuple(sorted(known))
        super().__init__(f"unknown {kind} {name!r}{suggest(name, self.known)}{hint and f' {hint}'}")


class BadInput(UsageError):
    """A file, prompt, row or number that cannot be used."""


class PromptTooLong(BadInput):
    """A rendered prompt that leaves no room in the model's context.

    Args:
        needed: tokens of the prompt and of the answer asked for.
        context: tokens the model can hold.
    """

    def __init__(self, *, prompt: int, answer: int, context: int) -> None:
        self.prompt = prompt
        self.answer = answer
        self.context = context
        self.excess = prompt + answer - context
        super().__init__(
            f"the prompt has {prompt} tokens and {answer} are asked for the answer, but the model holds {context}: "
            f"{self.excess} too many. Shorten the prompt or its context, or lower --max-new-tokens."
        )


class TextTooLong(BadInput):
    """A text that a classifier cannot read at once.

    Args:
        number: of the text in its request.
        tokens: it has.
        longest: the classifier reads.
    """

    def __init__(self, *, number: int, tokens: int, longest: int) -> None:
        self.number = number
        self.tokens = tokens
        self.longest = longest
        super().__init__(
            f"text {number} has {tokens} tokens, but the classifier reads {longest} at once: "
            f"{tokens - longest} too many. Cut it into windows."
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Between processes it keeps its numbers: whoever cuts windows needs them."""
        return partial(type(self), number=self.number, tokens=self.tokens, longest=self.longest), ()


class ConfigurationChanged(UsageError):
    """Stored answers were made under another configuration; `difference` says how."""

    def __init__(self, message: str, difference: Iterable[str] = ()) -> None:
        self.difference = tuple(difference)
        super().__init__("\n".join((message, *(f"  {line}" for line in self.difference))))


class NotReady(OrcaGuardError):
    """What was asked for exists in name but cannot do its work."""

    exit_code = ExitCode.INCONCLUSIVE


class PluginFailed(NotReady):
    """A plugin that is needed did not load."""


class NameWithdrawn(NotReady):
    """A name that is claimed more than once, by several plugins or by one, so nobody has it.

    Args:
        kind: of what has the name.
        name: that is claimed.
        claimants: a plugin a claim.
    """

    def __init__(self, kind: str, name: str, claimants: Iterable[str]) -> None:
        self.kind = kind
        self.name = name
        self.claimants = tuple(claimants)
        plugins = dict.fromkeys(self.claimants)
        if len(plugins) > 1:
            self.what = f"claimed by {' and by '.join(plugins)}, so neither is used"
            self.advice = "uninstall one of them, or leave one out with --no-plugin"
        else:
            self.what = f"provided twice by {self.claimants[0]}, so neither is used"
            self.advice = "tell its author, or leave the plugin out with --no-plugin"
        super().__init__(f"{kind} {name!r} is {self.what}. {self.advice.capitalize()}.")


class ModelFailed(NotReady):
    """A model or server could not answer."""


class GuardFailed(NotReady):
    """A guard raised, timed out, or answered with something that is no verdict."""


class DataAbsent(NotReady):
    """Data that a benchmark needs is not here."""


class BudgetExhausted(NotReady):
    """The deadline or the token budget over all passes ran out."""


class NotAttested(NotReady):
    """No sealed audit that passed vouches for the pipeline; `difference` says what is in the way."""

    def __init__(self, message: str, difference: Iterable[str] = ()) -> None:
        self.difference = tuple(difference)
        super().__init__("\n".join((message, *(f"  {line}" for line in self.difference))))


def suggest(name: str, known: Iterable[str]) -> str:
    """`: did you mean 'x'?`, or the names there are, or that there are none."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f": did you mean {close[0]!r}?"
    return f". There is: {', '.join(names)}." if names else ". There is none."
