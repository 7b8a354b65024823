"""What moderation services say of texts, as severities between 0 and 1 by category."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orca_guard.errors import GuardFailed

MOST_SEVERE = 7
"""Of the severities of Azure AI Content Safety, in eight levels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """How a kind of service is asked, and how its replies are read.

    Attributes:
        together: texts in one request.
        longest: characters of one text; a longer one is asked about in windows.
        header: that carries the key, and what stands before it.
        body: texts → the request.
        read: reply → severities of each text, by category.
    """

    together: int
    longest: int
    header: tuple[str, str]
    body: Callable[[Sequence[str]], Mapping[str, Any]]
    read: Callable[[Any], list[dict[str, float]]]


def _openai(reply: Any) -> list[dict[str, float]]:
    """`{"results": [{"flagged": …, "category_scores": {…}}]}`; flagged without scores is as severe as can be."""
    found = []
    for result in reply["results"]:
        scores = {str(name): float(score) for name, score in (result.get("category_scores") or {}).items()}
        found.append(scores or {"flagged": float(bool(result["flagged"]))})
    return found


def _azure(reply: Any) -> list[dict[str, float]]:
    """`{"categoriesAnalysis": [{"category": …, "severity": 0 to 7}]}`, of one text."""
    parts = reply["categoriesAnalysis"]
    return [{str(part["category"]): float(part["severity"]) / MOST_SEVERE for part in parts}]


SERVICES: Mapping[str, Service] = {
    "openai": Service(
        together=32,
        longest=20_000,
        header=("Authorization", "Bearer "),
        body=lambda texts: {"input": list(texts)},
        read=_openai,
    ),
    "azure": Service(
        together=1,
        longest=10_000,
        header=("Ocp-Apim-Subscription-Key", ""),
        body=lambda texts: {"text": texts[0], "outputType": "EightSeverityLevels"},
        read=_azure,
    ),
}


def severities(service: Service, reply: Any, *, texts: int) -> list[dict[str, float]]:
    """Severities of every text that was asked about.

    Raises:
        GuardFailed: the reply is not what such a service gives.
    """
    try:
        found = service.read(reply)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise GuardFailed(f"the moderation service's reply is none: {type(error).__name__}: {error}") from error
    if len(found) != texts or not all(found):
        raise GuardFailed(f"the moderation service gave {len(found)} results for {texts} texts, or an empty one")
    if not all(math.isfinite(score) and 0 <= score <= 1 for one in found for score in one.values()):
        raise GuardFailed("the moderation service gave a severity out of range")
    return found
