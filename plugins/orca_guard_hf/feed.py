"""The requests of a run, pulled one by one as they are needed, and those set aside until their turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice

from orca_guard.types import Generate, Request

_ASIDE = 4096
"""Most requests set aside before they are answered."""


class Feed:
    """Hands out generations as places for them become free, and everything else together.

    A source that has nothing now may have something later, when a reply has given rise to it; so it is asked again.

    Attributes:
        taken: requests that have left the source.
    """

    def __init__(self, requests: Iterable[Request]) -> None:
        self.taken = 0
        self._source = iter(requests)
        self._ahead: deque[Generate] = deque()
        self._aside: list[Request] = []

    @property
    def has_aside(self) -> bool:
        """Whether anything was set aside."""
        return bool(self._aside)

    def generation(self) -> Generate | None:
        """The next generation; None where there is none now, or where what was set aside comes first."""
        return self._ahead.popleft() if self._ahead else self._pull()

    def generations(self, most: int) -> list[Generate]:
        """As many as there are now, up to `most`."""
        return list(islice(iter(self.generation, None), most))

    def look(self) -> bool:
        """Whether there is a generation now; it stays where it is."""
        if not self._ahead:
            self._ahead.extend(self.generations(1))
        return bool(self._ahead)

    def lone(self) -> Generate | None:
        """The next generation if there is no other now; several stay where they are."""
        self._ahead.extend(self.generations(2))
        return self._ahead.popleft() if len(self._ahead) == 1 else None

    def aside(self) -> list[Request]:
        """What was set aside, which it is no longer."""
        aside, self._aside = self._aside, []
        return aside

    def _pull(self) -> Generate | None:
        while len(self._aside) < _ASIDE:
            try:
                request = next(self._source)
            except StopIteration:
                return None
            self.taken += 1
            if isinstance(request, Generate):
                return request
            self._aside.append(request)
        return None
