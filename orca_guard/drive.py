"""Advances many generators of requests at once and hands each target what waits for it, in batches."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

from orca_guard.contracts import Target
from orca_guard.errors import ModelFailed
from orca_guard.types import Failure, Partial, Replies, Reply, Request, Requests

K = TypeVar("K")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Streamed(Generic[K]):
    """A request of this task is being answered; `partial` is all there is of it so far."""

    key: K
    request: Request
    partial: Partial


@dataclass(frozen=True, slots=True)
class Done(Generic[K, T]):
    """A task has returned, or raised: then the result is a `Failure`."""

    key: K
    result: T | Failure


def drive(
    tasks: Iterable[tuple[K, Generator[Requests, Replies, T]]], targets: Mapping[str, Target], *, width: int = 64
) -> Generator[Streamed[K] | Done[K, T], None, None]:
    """Run every task to its end; results come in the order in which they are ready.

    Args:
        tasks: pulled lazily, each a key and a generator that yields requests and is sent the replies.
        targets: where requests go, by their `target`.
        width: most tasks under way at once.

    A failed request is thrown into the task that asked. Equal requests that wait together are asked once. A target
    that raises fails the requests it had taken; one that forgets a request fails that one.
    """
    return _Drive(iter(tasks), targets, width).events()


def just(request: Request) -> Generator[Requests, Replies, Replies]:
    """A task that is one request, and returns its reply."""
    return (yield request)


@dataclass(slots=True, eq=False)
class _Running(Generic[K, T]):
    """A task and the replies it waits for."""

    key: K
    generator: Generator[Requests, Replies, T]
    replies: list[Reply | Failure | None] = field(default_factory=list)
    single: bool = True


_Waiting: TypeAlias = dict[Request, list[tuple[_Running[K, T], int]]]


class _Drive(Generic[K, T]):
    """The state of one `drive`: what is queued at each target, what is out, what is done."""

    def __init__(
        self, tasks: Iterator[tuple[K, Generator[Requests, Replies, T]]], targets: Mapping[str, Target], width: int
    ) -> None:
        self._tasks = tasks
        self._targets = targets
        self._width = width
        self._active = 0
        self._queues: dict[str, _Waiting[K, T]] = {name: {} for name in targets}
        self._out: _Waiting[K, T] = {}
        self._taken = 0
        self._done: list[Done[K, T]] = []

    def events(self) -> Generator[Streamed[K] | Done[K, T], None, None]:
        self._refill()
        while self._active or self._done:
            yield from self._finished()
            name = max(self._queues, key=lambda name: len(self._queues[name]), default="")
            if self._queues.get(name):
                yield from self._ask(name)
            self._refill()

    def _finished(self) -> Iterator[Done[K, T]]:
        while self._done:
            yield self._done.pop(0)

    def _refill(self) -> None:
        while self._active < self._width and (task := next(self._tasks, None)) is not None:
            running = _Running(*task)
            self._active += 1
            self._advance(running, partial(next, running.generator))

    def _ask(self, name: str) -> Iterator[Streamed[K] | Done[K, T]]:
        """One run of one target, which may take up requests that its own replies give rise to."""
        self._taken = 0
        fault: Exception = ModelFailed(f"{name} gave no reply")
        try:
            with closing(closable(self._targets[name].run(_Pull(self, name)))) as replies:
                for request, reply in replies:
                    if isinstance(reply, Partial):
                        yield from (Streamed(r.key, request, reply) for r, _ in self._out.get(request, ()))
                    else:
                        self._deliver(self._out.pop(request, ()), _sound(reply, name))
                        yield from self._finished()
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except Exception as error:  # noqa: BLE001  # it becomes the failure of what the target had taken
            fault = error
        except BaseException as error:  # noqa: BLE001  # so does an exit or a panic: it ends no run
            fault = ModelFailed(f"{name} raised {type(error).__name__}: {error}")
        if not self._taken:  # what waits at a target that takes nothing would wait for ever
            self._out, self._queues[name] = self._queues[name], {}
        lost, self._out = self._out, {}
        for waiting in lost.values():
            self._deliver(waiting, Failure(fault))

    def take(self, name: str) -> Request | None:
        """The next request that waits at a target; it is out from now on."""
        if not self._queues[name]:
            self._refill()
        if not self._queues[name]:
            return None
        request = next(iter(self._queues[name]))
        self._out[request] = self._queues[name].pop(request)
        self._taken += 1
        return request

    def _deliver(self, waiting: Iterable[tuple[_Running[K, T], int]], reply: Reply | Failure) -> None:
        for running, slot in waiting:
            running.replies[slot] = reply
            if all(r is not None for r in running.replies):
                self._resume(running)

    def _resume(self, running: _Running[K, T]) -> None:
        failed = next((r for r in running.replies if isinstance(r, Failure)), None)
        replies: Any = running.replies[0] if running.single else tuple(running.replies)
        if failed:
            self._advance(running, partial(running.generator.throw, failed.error))
        else:
            self._advance(running, partial(running.generator.send, replies))

    def _advance(self, running: _Running[K, T], step: Callable[[], Requests]) -> None:
        """Take one step and queue what it asks for; a request that no target can take is thrown back at once."""
        while True:
            try:
                asked = step()
            except StopIteration as end:
                return self._end(running, end.value)
            except (KeyboardInterrupt, GeneratorExit):
                raise
            except Exception as error:  # noqa: BLE001  # a task's failure is its result
                return self._end(running, Failure(error))
            except BaseException as error:  # noqa: BLE001  # an exit or a panic ends one task
                return self._end(running, Failure(ModelFailed(f"a task raised {type(error).__name__}: {error}")))
            requests = asked if isinstance(asked, tuple) else (asked,)
            lost = next((r for r in requests if getattr(r, "target", None) not in self._targets), None)
            if lost is not None:
                step = partial(running.generator.throw, ModelFailed(f"nothing here answers {lost!r:.200}"))
            elif not requests:
                step = partial(running.generator.send, ())
            else:
                return self._queue(running, requests, single=not isinstance(asked, tuple))

    def _queue(self, running: _Running[K, T], requests: tuple[Request, ...], *, single: bool) -> None:
        running.replies, running.single = [None] * len(requests), single
        for slot, request in enumerate(requests):
            already = self._out if request in self._out else self._queues[request.target]
            already.setdefault(request, []).append((running, slot))

    def _end(self, running: _Running[K, T], result: T | Failure) -> None:
        self._active -= 1
        self._done.append(Done(running.key, result))


class _Pull(Iterator[Request]):
    """What waits at a target. Where that is nothing now it ends, and may go on when replies have given rise to more."""

    def __init__(self, drive: _Drive[Any, Any], name: str) -> None:
        self._drive = drive
        self._name = name

    def __next__(self) -> Request:
        if (request := self._drive.take(self._name)) is None:
            raise StopIteration
        return request


def _sound(reply: Any, name: str) -> Reply | Failure:
    """A reply that is none would be waited for for ever."""
    if isinstance(reply, Reply | Failure):
        return reply
    return Failure(ModelFailed(f"{name} answered with {type(reply).__name__}, which is no reply"))


def closable(replies: Iterator[Any]) -> Any:
    """A target may return any iterator; only a generator needs closing."""
    return replies if hasattr(replies, "close") else (reply for reply in replies)
