"""Runs a generator of requests inside another: each request is bound before it leaves, each reply recorded."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Any, TypeVar

from orca_guard.guards import within
from orca_guard.types import Replies, Request, Requests

T = TypeVar("T")


def through(
    generator: Generator[Requests, Replies, T],
    bind: Callable[[Request], Request],
    record: Callable[[Request, Any], None],
    *,
    tick: Callable[[], None],
    timeout: float | None = None,
    of: str = "",
) -> Generator[Requests, Replies, T]:
    """`yield from generator`, with every request bound before it leaves and every reply recorded as it comes back.

    Args:
        generator: yields requests; a failed request is thrown into it.
        bind: completes a request; what it raises ends the generator.
        record: is told of each bound request and its reply.
        tick: called before every step; what it raises ends the generator, so that one that asks for nothing ends too.
        timeout: seconds that one step of the generator may take; None trusts it.
        of: names the generator's owner in a timeout's message.

    Raises:
        TypeError: it is no generator.
    """
    if not isinstance(generator, Generator):
        raise TypeError(f"it gave {type(generator).__name__}, and not a generator that yields requests")
    step: Callable[[], Requests] = partial(next, generator)
    try:
        while True:
            tick()
            try:
                asked = step() if timeout is None else within(timeout, partial(_stepped, step), of=of)
            except StopIteration as end:
                value: T = end.value
                return value
            except _Ended as end:
                ended: T = end.value
                return ended
            single = not isinstance(asked, tuple)
            bound = tuple(bind(request) for request in ((asked,) if single else asked))  # type: ignore[arg-type,union-attr]
            try:
                replies = yield bound[0] if single else bound
            except Exception as error:  # noqa: BLE001  # the failure belongs to the generator that asked
                step = partial(generator.throw, error)
            else:
                for request, reply in zip(bound, (replies,) if single else replies, strict=True):  # type: ignore[arg-type]
                    record(request, reply)
                step = partial(generator.send, replies)
    finally:
        generator.close()


class _Ended(Exception):
    """A generator's return value on its way out of a thread: StopIteration cannot cross one."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _stepped(step: Callable[[], Requests]) -> Requests:
    try:
        return step()
    except StopIteration as end:
        raise _Ended(end.value) from None
