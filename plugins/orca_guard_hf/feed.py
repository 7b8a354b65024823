"""The requests of a run, pulled one by one as they are needed, and those set aside until their turn."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from orca_guard.types import Generate, Request

_ASIDE = 4096
"""Most requests set aside before they are answered."""


class Feed:
    """Hands out generations as places for them become free, and everything else together.

    A source that has nothing now may have something later, when a reply has given rise to it; so it is asked again.
    """

    def __init__(self, requests: Iterable[Request]) -> None:
        self._source = iter(requests)
        self._aside: list[Request] = []

    def generation(self) -> Generate | None:
        """The next generation; None where there is none now, or where what was set aside comes first."""
        while len(self._aside) < _ASIDE:
            try:
                request = next(self._source)
            except StopIteration:
                return None
            if isinstance(request, Generate):
                return request
            self._aside.append(request)
        return None

    def generations(self, most: int) -> list[Generate]:
        """As many as there are now, up to `most`."""
        return list(islice(iter(self.generation, None), most))

    def aside(self) -> list[Request]:
        """What was set aside, which it is no longer."""
        aside, self._aside = self._aside, []
        return aside
