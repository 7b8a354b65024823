"""Runs a guard in a process of its own, which is killed at its deadline: what holds the interpreter's lock hangs alone.

`serve` is the other side. What comes back from there is unpickled with the nouns of
`orca_guard.types` alone, so that a broken guard's reply is an error and never an object of its own making.
"""

from __future__ import annotations

import io
import pickle
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from typing import Any

from orca_guard import types
from orca_guard.contracts import AskingGuard, Examining, TextGuard
from orca_guard.errors import GuardFailed, ModelFailed, PluginFailed
from orca_guard.guards import GuardTimeout
from orca_guard.types import Exhibit, Scope, Stage, Verdict

START_S = 60.0
"""Seconds that a process has to start and to import its guard."""

GRACE_S = 1.0
"""After its deadline and this, a process ends by itself: whoever started it may have been killed."""


class Unsendable(PluginFailed):
    """A guard that cannot be pickled."""


def isolated(guard: TextGuard | AskingGuard, *, timeout_s: float) -> IsolatedText | IsolatedAsking:
    """The guard, behind a process that is started now.

    Args:
        guard: it has to be picklable; a class or function of an importable module is.
        timeout_s: seconds for one batch, or one step of a guard that asks.

    Raises:
        Unsendable: it cannot be sent to another process.
        GuardFailed: it does not start there.
    """
    try:
        sent = pickle.dumps(guard)
    except Exception as error:
        raise Unsendable(
            f"guard {guard.name!r} cannot run in a process of its own, because it cannot be pickled: {error}. Let it "
            "run in this one with isolate = false."
        ) from error
    worker = Worker(sent, name=guard.name, timeout_s=timeout_s)
    worker.start()
    known: dict[str, Any] = {"name": guard.name, "stages": frozenset(guard.stages), "worker": worker}
    if isinstance(guard, TextGuard):
        return IsolatedText(scope=guard.scope, **known)
    return IsolatedAsking(**known)


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolatedText:
    """A guard that only reads text, in another process."""

    name: str
    stages: frozenset[Stage]
    scope: Scope
    worker: Worker

    def judge(self, exhibits: Sequence[Exhibit], /) -> Sequence[Verdict]:
        """What the guard says there. Raises `GuardTimeout`, and `GuardFailed` for whatever else goes wrong."""
        verdicts: Sequence[Verdict] = self.worker.call("judge", tuple(exhibits))
        return verdicts


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolatedAsking:
    """A guard that asks models, in another process: its requests come out, and replies go in."""

    name: str
    stages: frozenset[Stage]
    worker: Worker

    def examine(self, exhibit: Exhibit, /) -> Examining:
        """Step by step what the guard asks there, and its verdict. Raises as `IsolatedText.judge` does."""
        state: tuple[str, Any, Any] = self.worker.call("begin", exhibit)
        generation = self.worker.generation
        while state[0] == "asks":
            _, key, requests = state
            try:
                replies = yield requests
            except GeneratorExit:
                self.worker.forget(key, generation)
                raise
            except Exception as error:  # noqa: BLE001  # the failure belongs to the guard that asked
                state = self._step("throw", key, _sendable(error), generation)
            else:
                state = self._step("send", key, replies, generation)
        verdict: Verdict = state[2]
        return verdict

    def _step(self, what: str, key: int, value: Any, generation: int) -> tuple[str, Any, Any]:
        if self.worker.generation != generation:
            raise GuardFailed(f"guard {self.name!r} was killed at its deadline while it was examining something else")
        state: tuple[str, Any, Any] = self.worker.call(what, (key, value))
        return state


def _sendable(error: Exception) -> Exception:
    """The error if it survives the way, else what it said."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  # made one line above
    except Exception:  # noqa: BLE001  # errors of other libraries may be anything
        return ModelFailed(f"{type(error).__name__}: {error}")
    return error


class Worker:
    """A process with one guard in it. Callers take turns; after a deadline it is killed, and the next starts another.

    Args:
        guard: pickled.
        name: of the guard, for messages.
        timeout_s: seconds of one call.
    """

    def __init__(self, guard: bytes, *, name: str, timeout_s: float) -> None:
        self.generation = 0
        self._guard = guard
        self._name = name
        self._timeout = timeout_s
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._end: Connection | None = None

    def call(self, what: str, value: Any) -> Any:
        """What the guard's process replies.

        Raises:
            GuardTimeout: not within the deadline; it is killed.
            GuardFailed: it raised, died, or replied with something that no guard replies.
        """
        deadline = time.monotonic() + self._timeout
        if not self._lock.acquire(timeout=self._timeout):
            raise GuardTimeout(f"guard {self._name!r} took longer than {self._timeout:g} s")
        try:
            return self._replied(self._running(), pickle.dumps((what, value)), deadline)
        except GuardTimeout:
            with suppress(GuardFailed):  # so that the next call does not wait for a process to start
                self._running()
            raise
        finally:
            self._lock.release()

    def start(self) -> None:
        """Start the process, and import the guard there. Raises `GuardFailed` where that fails."""
        with self._lock:
            self._running()

    def forget(self, key: int, generation: int) -> None:
        """Close a generator over there, if it still is."""
        if generation == self.generation:
            with suppress(GuardFailed):
                self.call("close", (key, None))

    def _running(self) -> Connection:
        if self._end is not None and self._process is not None and self._process.poll() is None:
            return self._end
        self._stop()
        ours, theirs = Pipe()
        code = ("-c", "from orca_guard.isolation import serve; serve()", str(theirs.fileno()))
        self._process = subprocess.Popen(  # noqa: S603  # our own interpreter, and -P: the current folder is not searched
            (sys.executable, "-P", *code),
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        theirs.close()
        self._end = ours
        weakref.finalize(self, _ended, self._process, ours)
        started = {"path": sys.path, "guard": self._guard, "timeout": self._timeout}
        self._replied(ours, pickle.dumps(started), time.monotonic() + START_S)
        return ours

    def _replied(self, end: Connection, message: bytes, deadline: float) -> Any:
        try:
            end.send_bytes(message)
            if not end.poll(max(0.0, deadline - time.monotonic())):
                self._stop()
                raise GuardTimeout(f"guard {self._name!r} took longer than {self._timeout:g} s, and was killed")
            kind, value = _Nouns(io.BytesIO(end.recv_bytes())).load()
        except (EOFError, OSError) as error:
            self._stop()
            raise GuardFailed(f"the process of guard {self._name!r} died") from error
        except (pickle.UnpicklingError, ValueError, TypeError, AttributeError) as error:
            raise GuardFailed(f"guard {self._name!r} replied with what is no verdict: {error}") from error
        if kind == "failed":
            raise GuardFailed(f"guard {self._name!r} failed: {value}")
        return value

    def _stop(self) -> None:
        self.generation += 1
        if self._process is not None and self._end is not None:
            _ended(self._process, self._end)
        self._process, self._end = None, None


def _ended(process: subprocess.Popen[bytes], end: Connection) -> None:
    process.kill()
    process.wait()
    end.close()


class _Nouns(pickle.Unpickler):
    """Reads the nouns that guards speak in, and nothing else that a pickle may hold."""

    def find_class(self, module: str, name: str) -> Any:
        """A class that `orca_guard.types` defines; not what it imports, nor anything inside of it."""
        found = super().find_class(module, name) if module == types.__name__ and "." not in name else None
        if not isinstance(found, type) or found.__module__ != types.__name__:
            raise pickle.UnpicklingError(f"it holds {module}.{name}")
        return found


# --- the other side ------------------------------------------------------------------------------


def serve() -> None:
    """Answer calls until the other end is closed. The number of the pipe's end is the process's last argument."""
    end = Connection(int(sys.argv[-1]))
    started: Mapping[str, Any] = pickle.loads(end.recv_bytes())  # noqa: S301  # from the process that started this one
    sys.path[:] = started["path"]
    seconds = float(started["timeout"]) + GRACE_S
    served = _Served()
    _reply(end, lambda: served.take(started["guard"]), START_S)
    with suppress(EOFError, OSError):
        while True:
            what, value = pickle.loads(end.recv_bytes())  # noqa: S301  # as above
            _reply(end, getattr(served, what), seconds, value)


def _reply(end: Connection, call: Callable[..., Any], seconds: float, *arguments: Any) -> None:
    """Send what the call returns, or why it does not; the alarm's own action ends a process that never comes back."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        told = pickle.dumps(("said", call(*arguments)))
    except BaseException as error:  # noqa: BLE001  # an exit of the guard is a failure to judge
        told = pickle.dumps(("failed", f"{type(error).__name__}: {error}"))
    signal.setitimer(signal.ITIMER_REAL, 0)
    end.send_bytes(told)


class _Served:
    """The guard, and the generators it has begun."""

    def __init__(self) -> None:
        self._guard: Any = None
        self._begun: dict[int, Generator[Any, Any, Verdict]] = {}
        self._next = 0

    def take(self, guard: bytes) -> None:
        self._guard = pickle.loads(guard)  # noqa: S301  # from the process that started this one

    def judge(self, exhibits: Sequence[Exhibit]) -> Any:
        verdicts = self._guard.judge(exhibits)
        return list(verdicts) if isinstance(verdicts, Sequence) and not isinstance(verdicts, str) else verdicts

    def begin(self, exhibit: Exhibit) -> tuple[str, Any, Any]:
        self._next += 1
        generator = self._begun[self._next] = self._guard.examine(exhibit)
        return self._stepped(self._next, lambda: next(generator))

    def send(self, asked: tuple[int, Any]) -> tuple[str, Any, Any]:
        generator = self._begun[asked[0]]
        return self._stepped(asked[0], lambda: generator.send(asked[1]))

    def throw(self, asked: tuple[int, Exception]) -> tuple[str, Any, Any]:
        generator = self._begun[asked[0]]
        return self._stepped(asked[0], lambda: generator.throw(asked[1]))

    def close(self, asked: tuple[int, Any]) -> None:
        if generator := self._begun.pop(asked[0], None):
            generator.close()

    def _stepped(self, key: int, step: Callable[[], Any]) -> tuple[str, Any, Any]:
        try:
            return "asks", key, step()
        except StopIteration as end:
            del self._begun[key]
            return "said", key, end.value
        except BaseException:
            del self._begun[key]
            raise
