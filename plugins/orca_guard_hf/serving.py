"""Classifiers for guards, whatever model answers: found when a pipeline is put together, loaded on first use, once."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from orca_guard.contracts import Reported
from orca_guard.errors import ModelFailed, OrcaGuardError
from orca_guard.types import Classification, Classify, Failure, Request

BATCH = 16
"""Texts in one forward."""

PULL = 256
"""Requests that are looked at together: texts of like length go into one forward."""


@dataclass(frozen=True, slots=True)
class ClassifierDirectories:
    """Serves `Classify` from directories and from what the hub's cache holds.

    The network is touched by `describe` alone: what a pipeline was not put together with is not fetched while it runs.
    """

    name: str = "hf"
    summary: str = "sequence and token classifiers from a directory or hub id, through transformers"
    _places: dict[str, Path] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def describe(self, reference: str, /, *, offline: bool = False, fresh: bool = False) -> Mapping[str, str]:
        """Digests of weights, tokenizer and configuration, which decide every score.

        Raises:
            BadInput: there is no such directory or it is no classifier.
            ModelFailed: it can only come from the hub, which cannot be reached.
        """
        from orca_guard_hf.classify import located  # noqa: PLC0415  # imports torch
        from orca_guard_hf.directory import inspect  # noqa: PLC0415

        directory = inspect(located(reference, offline=offline, code=False))
        with self._lock:
            self._places[reference] = directory.path
        return directory.digests(code=False, fresh=fresh)

    def run(self, requests: Iterable[Request]) -> Iterator[Reported]:
        """Answer what waits, many requests in one forward."""
        source = iter(requests)
        while waiting := list(islice(source, PULL)):
            groups: dict[Any, list[Classify]] = {}
            for request in waiting:
                if isinstance(request, Classify):
                    groups.setdefault(_kind(request), []).append(request)
                else:
                    yield request, Failure(ModelFailed(f"classifiers do not answer {type(request).__name__} requests"))
            for group in groups.values():
                yield from self._group(group)

    def _group(self, group: Sequence[Classify]) -> Iterator[Reported]:
        """All in one; after a failure one by one, so that it stays with its own request."""
        try:
            replies = self._together(group)
        except OrcaGuardError as error:
            if len(group) == 1:
                yield group[0], Failure(error)
                return
            for request in group:
                yield from self._group([request])
        else:
            yield from zip(group, replies, strict=True)

    def _together(self, group: Sequence[Classify]) -> list[Classification]:
        texts = [text for request in group for text in request.texts]
        order = sorted(range(len(texts)), key=lambda at: len("".join(texts[at])))
        merged = self._classified(replace(group[0], texts=tuple(texts[at] for at in order)))
        place = {at: n for n, at in enumerate(order)}
        replies, at = [], 0
        for request in group:
            own = [place[n] for n in range(at, at + len(request.texts))]
            at += len(request.texts)
            replies.append(
                Classification(
                    scores=tuple(merged.scores[n] for n in own) if merged.scores else (),
                    spans=tuple(merged.spans[n] for n in own) if merged.spans else (),
                )
            )
        return replies

    def _classified(self, request: Classify) -> Classification:
        with self._lock:
            path = self._places.get(request.model)
        if path is not None:
            request = replace(request, model=str(path))
        try:
            reply: Classification = _shared().classify(request, batch_size=BATCH)
        except (RuntimeError, ValueError, IndexError, TypeError) as error:  # what torch raises while it computes
            raise ModelFailed(f"the classifier {request.model} could not answer: {error}") from error
        return reply


def _kind(request: Classify) -> Any:
    """What requests have in common that go into one forward."""
    return request.model, request.function, {isinstance(text, str) for text in request.texts} == {True}


@cache
def _shared() -> Any:
    """The classifiers of this process; nothing is fetched, and no code that comes with weights is run."""
    import torch  # noqa: PLC0415

    from orca_guard_hf.classify import Classifiers  # noqa: PLC0415

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return Classifiers(device=device, trust_remote_code=False, offline=True)
