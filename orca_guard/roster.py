"""Names in order, and where each of them stands, in some twenty bytes a name and its letters."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import overload


class Twice(ValueError):
    """A name comes twice."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Roster(Sequence[str]):
    """Names that are different, in the order in which they came. `find` and `in` take logarithmic time.

    A list and a dictionary of as many texts take ten times the room, and there are as many names as items.

    Args:
        names: in order.

    Raises:
        Twice: a name comes a second time.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._letters = bytearray()
        self._ends = array("Q", [0])
        keys = array("q")
        for name in names:
            self._letters += name.encode("utf-8", "surrogatepass")
            self._ends.append(len(self._letters))
            keys.append(hash(name))
        order = sorted(range(len(keys)), key=keys.__getitem__)
        self._places = array("Q", order)
        self._keys = array("q", (keys[place] for place in order))
        self._check_different()

    def __len__(self) -> int:
        """How many names there are."""
        return len(self._places)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        """The name at a place."""
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        place %= len(self)
        return self._letters[self._ends[place] : self._ends[place + 1]].decode("utf-8", "surrogatepass")

    def __contains__(self, name: object) -> bool:
        """Whether it is one of them."""
        return isinstance(name, str) and self.find(name) is not None

    def find(self, name: str) -> int | None:
        """Where a name stands, None where it does not."""
        return next((place for place in self._alike(hash(name)) if self[place] == name), None)

    def _alike(self, key: int) -> Iterator[int]:
        """The places of the names with this hash; hardly ever more than one."""
        at = bisect_left(self._keys, key)
        while at < len(self._keys) and self._keys[at] == key:
            yield self._places[at]
            at += 1

    def _check_different(self) -> None:
        for at in range(1, len(self._keys)):
            if self._keys[at] == self._keys[at - 1]:
                names = [self[place] for place in self._alike(self._keys[at])]
                if len(set(names)) < len(names):
                    raise Twice(max(names, key=names.count))
