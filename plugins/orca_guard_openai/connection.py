"""HTTP to one server: bounded, repeated where that can help, and every fault told without the key."""

from __future__ import annotations

import json
import random
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from orca_guard.errors import ModelFailed
from orca_guard_openai.settings import Settings

_LARGEST = 64 << 20
"""Most bytes of one reply: more is a fault."""
_LONGEST_WAIT = 60.0
_FIRST_WAIT = 0.5
_SHOWN = 300


class TimedOut(Exception):
    """The caller's deadline passed before the server's answer was complete."""


class Repeatable(ModelFailed):
    """A fault that may be gone the next time; `wait` is how long the server asked for, in seconds."""

    def __init__(self, message: str, *, wait: float | None = None) -> None:
        self.wait = wait
        super().__init__(message)


class Rejected(ModelFailed):
    """The server understood and declined; `status` is its HTTP status."""

    def __init__(self, message: str, *, status: int) -> None:
        self.status = status
        super().__init__(message)


class RetryBudget:
    """How many repetitions one run has left, over all its requests."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Whether one more is allowed."""
        with self._lock:
            self._left -= 1
            return self._left >= 0


class _Bearer(httpx.Auth):
    """Adds the key when a request leaves, so that no client or request object shows it before."""

    def __init__(self, settings: Settings) -> None:
        self._key = settings.key

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]  # a generator of one
        if self._key:
            request.headers["Authorization"] = self._key.header()
        yield request


class Connection:
    """A pool of connections to one server."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._places = threading.BoundedSemaphore(settings.concurrency)
        self._client = httpx.Client(
            auth=_Bearer(settings),
            limits=httpx.Limits(max_connections=settings.concurrency, max_keepalive_connections=settings.concurrency),
            trust_env=not settings.local,  # a proxy does not lead to this machine
        )

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def get(self, path: str) -> Any:
        """The JSON value at a path."""
        return self._repeated("GET", path, None, deadline=None, budget=RetryBudget(1))

    def post(self, path: str, payload: Mapping[str, Any], *, budget: RetryBudget, deadline: float | None = None) -> Any:
        """Send JSON, get JSON.

        Args:
            path: below the server's address.
            payload: the request.
            budget: of the run it belongs to.
            deadline: a `time.monotonic()`.

        Raises:
            TimedOut: the deadline passed.
            ModelFailed: the server cannot be reached, declined, or answered with something else.
        """
        return self._repeated("POST", path, payload, deadline=deadline, budget=budget)

    def events(
        self, path: str, payload: Mapping[str, Any], *, budget: RetryBudget, deadline: float | None = None
    ) -> Iterator[Any]:
        """Send JSON, get server-sent events; repeated only until the first of them. Raises like `post`."""
        attempt = 0
        while True:
            started = False
            try:
                for value in self._streamed(path, payload, deadline):
                    started = True
                    yield value
            except Repeatable as fault:
                if started:
                    raise
                self._wait(fault, attempt, budget, deadline)
                attempt += 1
            else:
                return

    def _streamed(self, path: str, payload: Mapping[str, Any], deadline: float | None) -> Iterator[Any]:
        with self._exchange("POST", path, payload, deadline) as response:
            if not response.headers.get("Content-Type", "").startswith("text/event-stream"):
                yield self._json(self._body(response, deadline))  # the server does not stream, or has a complaint
                return
            event = None
            for event in _server_sent(_timed(response.iter_lines(), self._ends(deadline), deadline)):
                yield self._json(self._settings.key.scrub(event))
            if event is None:
                raise Repeatable(f"{self._settings.url} sent a stream without anything in it")

    def _repeated(
        self, method: str, path: str, payload: Mapping[str, Any] | None, *, deadline: float | None, budget: RetryBudget
    ) -> Any:
        attempt = 0
        while True:
            try:
                with self._exchange(method, path, payload, deadline) as response:
                    body = self._body(response, deadline)
                return self._json(body)
            except Repeatable as fault:
                self._wait(fault, attempt, budget, deadline)
                attempt += 1

    def _wait(self, fault: Repeatable, attempt: int, budget: RetryBudget, deadline: float | None) -> None:
        """Wait before the next attempt, or raise the fault when there is none."""
        if attempt >= self._settings.retries or not budget.take():
            raise ModelFailed(f"{fault} (asked {attempt + 1} times)" if attempt else str(fault)) from None
        backoff = min(8.0, _FIRST_WAIT * 2**attempt) * random.uniform(0.5, 1.0)  # noqa: S311  # spreads the load
        wait = min(_LONGEST_WAIT, backoff if fault.wait is None else fault.wait)
        if deadline is not None and time.monotonic() + wait >= deadline:
            raise ModelFailed(f"{fault} (and the deadline leaves no time to ask again)") from None
        time.sleep(wait)

    @contextmanager
    def _exchange(
        self, method: str, path: str, payload: Mapping[str, Any] | None, deadline: float | None
    ) -> Iterator[httpx.Response]:
        """One request while it has a place at the server, its faults told in our words."""
        with self._places, self._told(deadline):
            timeout = max(0.001, self._ends(deadline) - time.monotonic())
            content = None if payload is None else json.dumps(payload).encode()
            headers = {"Content-Type": "application/json"} if content else {}
            url = f"{self._settings.url}{path}"
            with self._client.stream(method, url, content=content, headers=headers, timeout=timeout) as response:
                if response.status_code != httpx.codes.OK:
                    raise self._declined(response, self._body(response, deadline), path)
                yield response

    @contextmanager
    def _told(self, deadline: float | None) -> Iterator[None]:
        """The exceptions of httpx as ours. `from None`: theirs carry the request."""
        url = self._settings.url
        try:
            yield
        except httpx.TimeoutException:
            if deadline is not None and time.monotonic() >= deadline:
                raise TimedOut from None
            raise Repeatable(f"{url} gave no answer within {self._settings.timeout_s:g} s") from None
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None
        except (httpx.InvalidURL, UnicodeError):
            raise ModelFailed(f"{url} is no address that can be reached") from None

    def _unreachable(self, error: httpx.HTTPError) -> ModelFailed:
        url, cause = self._settings.url, _root(error)
        if isinstance(cause, ssl.SSLError):
            return ModelFailed(f"{url} cannot be trusted: {self._shown(str(cause))}")
        if isinstance(cause, socket.gaierror):
            return ModelFailed(f"{url} cannot be found: there is no such host")
        if isinstance(cause, ConnectionRefusedError):
            return Repeatable(f"{url} refused the connection. Is the server running?")
        if isinstance(error, httpx.DecodingError):
            return ModelFailed(f"{url} sent a reply that cannot be decompressed")
        return Repeatable(f"the connection to {url} broke: {self._shown(str(error)) or type(error).__name__}")

    def _declined(self, response: httpx.Response, body: str, path: str) -> ModelFailed:
        url, status, said = self._settings.url, response.status_code, self._said(body)
        key = self._settings.key
        if status in {401, 403}:
            which = (
                f"the key in {key.variable} was not accepted"
                if key
                else f"it wants a key, and {key.variable} is not set"
            )
            return Rejected(f"{url} refused ({status}): {which}{said}", status=status)
        if status == httpx.codes.NOT_FOUND:
            return Rejected(f"{url} has no {path} for this (404). Does the address end in /v1?{said}", status=status)
        if status == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
            return Repeatable(f"{url} is in trouble ({status}){said}", wait=_retry_after(response))
        return Rejected(f"{url} declined ({status}){said}", status=status)

    def _said(self, body: str) -> str:
        """What an error body says, for people."""
        try:
            value = json.loads(body)
        except ValueError:
            value = None if _is_page(body) else body
        for name in ("error", "message", "detail"):
            value = value.get(name, value) if isinstance(value, dict) else value
        return f": {self._shown(value if isinstance(value, str) else json.dumps(value))}" if value else ""

    def _shown(self, text: str) -> str:
        """Hostile text made short and harmless; the key goes before it is cut, so that no half of it stays."""
        plain = "".join(c if c.isprintable() else " " for c in self._settings.key.cover(text))
        return " ".join(plain.split())[:_SHOWN]

    def _body(self, response: httpx.Response, deadline: float | None) -> str:
        pieces, size = [], 0
        for piece in _timed(response.iter_bytes(), self._ends(deadline), deadline):
            size += len(piece)
            if size > _LARGEST:
                raise ModelFailed(f"{self._settings.url} sent more than {_LARGEST >> 20} MiB")
            pieces.append(piece)
        return self._settings.key.scrub(b"".join(pieces).decode("utf-8", "replace"))

    def _json(self, body: str) -> Any:
        if _is_page(body):
            raise ModelFailed(f"{self._settings.url} answered with a web page, not JSON. Does the address end in /v1?")
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            raise ModelFailed(
                f"{self._settings.url} answered with something that is not JSON: {self._shown(body)}"
            ) from None
        if not isinstance(value, dict):
            raise ModelFailed(f"{self._settings.url} answered with JSON of another shape: {self._shown(body)}")
        if value.get("error"):
            raise ModelFailed(f"{self._settings.url} reported an error{self._said(body)}")
        return value

    def _ends(self, deadline: float | None) -> float:
        latest = time.monotonic() + self._settings.timeout_s
        return latest if deadline is None else min(latest, deadline)


def _timed(pieces: Iterator[Any], ends: float, deadline: float | None) -> Iterator[Any]:
    """The pieces while there is time. httpx limits the wait for each, and a server may drip."""
    for piece in pieces:
        if time.monotonic() >= ends:
            if deadline is not None and time.monotonic() >= deadline:
                raise TimedOut
            raise httpx.ReadTimeout("the whole answer took too long")
        yield piece


def _server_sent(lines: Iterator[str]) -> Iterator[str]:
    """The data of each event up to `[DONE]`."""
    for line in lines:
        data = line.removeprefix("data:").strip()
        if line.startswith("data:") and data == "[DONE]":
            return
        if line.startswith("data:") and data:
            yield data


def _root(error: BaseException) -> BaseException:
    """The first cause of an exception."""
    for _ in range(10):
        earlier = error.__cause__ or error.__context__
        if earlier is None:
            break
        error = earlier
    return error


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds the server asks to wait; dates are rare in this place and count as nothing said."""
    said = response.headers.get("Retry-After", "")
    return float(said) if re.fullmatch(r"\d{1,6}(?:\.\d{1,6})?", said, re.ASCII) else None


def _is_page(body: str) -> bool:
    return body.lstrip()[:20].lower().startswith(("<!doctype", "<html", "<head", "<?xml"))
