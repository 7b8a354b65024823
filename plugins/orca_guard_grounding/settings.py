"""What guards of grounding take, checked in one way."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from orca_guard.contracts import GuardSettings
from orca_guard.errors import GuardFailed, UsageError
from orca_guard.types import Action, Verdict
from orca_guard_grounding.claims import Claim

_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A guard's threshold, and what a score at or above it leads to."""

    name: str
    threshold: float
    action: Action

    def verdict(self, score: float, reason: str, spans: Sequence[tuple[int, int]]) -> Verdict:
        """The verdict on a score; `reason` and `spans` are told of a hit alone.

        Raises:
            GuardFailed: the score is no number from 0 to 1, as that of a classifier whose outputs are no shares.
        """
        if not -_ROUNDING <= score <= 1 + _ROUNDING:  # nor is it when it is not a number
            raise GuardFailed(f"guard {self.name!r} came to {score}; a score lies between 0 and 1")
        score = min(1.0, max(0.0, score))
        hit = score >= self.threshold
        told = f"{reason} (scores {score:.3f}, and the limit is {self.threshold:g})"
        return Verdict(
            action=self.action if hit else Action.ALLOW,
            reason=told if hit else "",
            score=score,
            threshold=self.threshold,
            spans=tuple(spans) if hit else (),
        )

    def of_statements(self, stated: Sequence[Claim], supports: Sequence[float], found: str) -> Verdict:
        """The verdict on statements: the least supported decides, and all that reach the threshold are marked.

        Args:
            stated: the statements.
            supports: of each, how surely it is held up.
            found: what is the matter with those that are not, after "2 of 3 statements".
        """
        pairs = zip(stated, supports, strict=True)
        loose = [(claim.start, claim.end) for claim, support in pairs if 1 - support >= self.threshold]
        return self.verdict(1 - min(supports), f"{len(loose)} of {len(stated)} statements {found}", loose)


def standing(settings: GuardSettings, *, name: str, known: Collection[str], redacts: bool = True) -> Standing:
    """The operating point of these settings; WARN without evidence that the scores tell enough apart.

    Raises:
        UsageError: an option that is not known, a threshold out of range, or masking where nothing can be masked.
    """
    if unknown := sorted(set(settings.options) - set(known)):
        raise UsageError(f"guard {name!r} takes no option {unknown[0]!r}. It takes: {', '.join(sorted(known))}.")
    threshold = 0.5 if settings.threshold is None else settings.threshold
    if not 0 <= threshold <= 1:
        raise UsageError(f"guard {name!r} cannot have the threshold {threshold:g}: its scores lie between 0 and 1")
    if settings.action is Action.REDACT and not redacts:
        raise UsageError(f"guard {name!r} judges answers as a whole and can mask nothing in them")
    action = settings.action or (Action.ABSTAIN if settings.sound else Action.WARN)
    return Standing(name=name, threshold=threshold, action=action)


def whole(settings: GuardSettings, option: str, default: int, *, name: str, least: int, most: int) -> int:
    """An option that is a whole number in a range. Raises `UsageError`."""
    value: Any = settings.options.get(option, default)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise UsageError(f"guard {name!r}: {option} is a whole number from {least} to {most}, and not {value!r}")
    return value


def directory(settings: GuardSettings, *, name: str, what: str) -> str:
    """The option `model`. Raises `UsageError` where there is none."""
    model = settings.options.get("model", "")
    if not isinstance(model, str) or not model:
        raise UsageError(f'guard {name!r} needs {what}: name its directory or hub id in the options, as model = "..."')
    return model
