"""Classifiers for guards, whatever model answers: found when a pipeline is put together, loaded on first use, once."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from orca_guard.contracts import Reported
from orca_guard.errors import ModelFailed
from orca_guard.types import Classify, Failure, Request

if TYPE_CHECKING:
    from orca_guard_hf.classify import Classifiers

BATCH = 16
"""Texts in one forward."""

PULL = 256
"""Requests that are looked at together: texts of like length go into one forward."""

_TROUBLE = (RuntimeError, ValueError, IndexError, TypeError)
"""What torch and transformers raise while they compute; running out of memory is among it."""


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

    def load(self, reference: str, /) -> None:
        """Load a classifier, if it is not. Raises `OrcaGuardError` where that fails."""
        with self._lock:
            place = self._places.get(reference, Path(reference))
        _shared().load(str(place))

    def run(self, requests: Iterable[Request]) -> Iterator[Reported]:
        """Answer what waits, many requests in one forward."""
        source = iter(requests)
        while waiting := list(islice(source, PULL)):
            asked = []
            for request in waiting:
                if isinstance(request, Classify):
                    asked.append(request)
                else:
                    yield request, Failure(ModelFailed(f"classifiers do not answer {type(request).__name__} requests"))
            yield from self._classified(asked)

    def _classified(self, requests: Sequence[Classify]) -> Iterator[Reported]:
        with self._lock:
            places = {reference: str(path) for reference, path in self._places.items()}
        asked: dict[Classify, list[Classify]] = {}  # two references may stand for one directory
        for request in requests:
            asked.setdefault(replace(request, model=places.get(request.model, request.model)), []).append(request)
        try:
            for request, reply in _shared().classify(list(asked), batch_size=BATCH):
                yield from ((own, reply) for own in asked.pop(request))
        except _TROUBLE as error:
            failure = ModelFailed(f"the classifier could not answer: {error}")
            failure.__cause__ = error
            yield from ((own, Failure(failure)) for left in asked.values() for own in left)


@cache
def _shared() -> Classifiers:
    """The classifiers of this process; nothing is fetched, and no code that comes with weights is run."""
    import torch  # noqa: PLC0415

    from orca_guard_hf.classify import Classifiers  # noqa: PLC0415

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return Classifiers(device=device, trust_remote_code=False, offline=True)
