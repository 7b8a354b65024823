"""A model behind a server: pulls requests lazily, keeps a bounded number at the server, answers as replies come."""

from __future__ import annotations

import datetime as dt
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import httpx

from orca_guard.contracts import Reported
from orca_guard.errors import ModelFailed, UnknownName, UsageError
from orca_guard.types import Embed, Failure, Finish, Generate, Generation, Partial, Reply, Request, Score
from orca_guard_openai.connection import Connection, Rejected, RetryBudget, TimedOut
from orca_guard_openai.messages import Heard, chat, echo, embedding_of, scores_of, whole
from orca_guard_openai.settings import Settings


def open_model(settings: Settings) -> ServerModel:
    """Ask the server for its models, which is the one cheap request that loading costs, and choose one."""
    connection = Connection(settings)
    try:
        listed = _listed(connection)
        name = _chosen(settings, listed)
    except BaseException:
        connection.close()
        raise
    return ServerModel(settings, connection, model=name, context=listed.get(name))


def _listed(connection: Connection) -> dict[str, int | None]:
    """The server's models, and how many tokens each holds where it says so; empty where it keeps no list."""
    try:
        rows = connection.get("/models").get("data")
    except Rejected as rejected:
        if rejected.status in {httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED}:
            return {}
        raise
    models = [row for row in rows if isinstance(row, dict) and row.get("id")] if isinstance(rows, list) else []
    return {whole(str(row["id"])): _positive(row.get("max_model_len")) for row in models}


def _positive(value: Any) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


def _chosen(settings: Settings, listed: Mapping[str, int | None]) -> str:
    if settings.model:
        if settings.listed and listed and settings.model not in listed:
            raise UnknownName(f"model at {settings.url}", settings.model, listed)
        return settings.model
    if len(listed) == 1:
        return next(iter(listed))
    if not listed:
        raise UsageError(f"{settings.url} does not say which models it has. Name one: {settings.url}#model-name.")
    names = ", ".join(sorted(listed)[:20])
    raise UsageError(
        f"{settings.url} has {len(listed)} models. Name one, as in {settings.url}#{min(listed)}. There is: {names}."
    )


class ServerModel:
    """A model at a server. Safe to call from several threads, which share its places at the server.

    The identity holds the server's address and the model's name as the server gives it. Nothing shows whether the
    weights behind them stay the same: a hosted model can change silently. So the day of loading is recorded as `date`,
    with the fingerprints the server gave under `date.fingerprints`; both are records and do not count in a pipeline's
    digest.
    """

    def __init__(self, settings: Settings, connection: Connection, *, model: str, context: int | None) -> None:
        self._settings = settings
        self._connection = connection
        self._model = model
        self._context = context
        self._date = dt.datetime.now(dt.UTC).date().isoformat()
        self._fingerprints: set[str] = set()
        self._limit = "max_tokens"
        self._lock = threading.Lock()
        self.close = weakref.finalize(self, connection.close)

    def __repr__(self) -> str:
        return f"ServerModel({self._settings.url}#{self._model})"

    @property
    def name(self) -> str:
        """As asked for."""
        return self._settings.name

    @property
    def identity(self) -> Mapping[str, str]:
        """Address, model and client; and, as a record only, day and fingerprints."""
        with self._lock:
            seen = ", ".join(sorted(self._fingerprints))
        return {
            "kind": "openai",
            "url": self._settings.url,
            "model": self._model,
            "client": f"httpx {httpx.__version__}",
            "date": self._date,
            **({"date.fingerprints": seen} if seen else {}),
        }

    @property
    def requests(self) -> frozenset[type]:
        """`Generate` and `Embed`; `Score` where the server echoes prompts with log-probabilities.

        The first look asks the server, by scoring two words, unless the option `score` says it. Embeddings are not
        tried out: a server without them fails the request.
        """
        return frozenset({Generate, Embed, Score} if self._scores else {Generate, Embed})

    @property
    def context(self) -> int | None:
        """Tokens it can hold, where the server says so (`max_model_len`)."""
        return self._context

    @property
    def system_messages(self) -> Mapping[str, str]:
        """None: no profile belongs to a server."""
        return {}

    @property
    def forms(self) -> Path | None:
        """None."""
        return None

    @property
    def notice(self) -> str:
        """Where texts are sent, when that is not this machine."""
        return "" if self._settings.local else f"texts are sent to {self._settings.url}"

    def measure(self, _request: Request, /) -> None:
        """Unknown: only the server has the tokenizer."""

    def run(self, requests: Iterable[Request]) -> Iterator[Reported]:
        """Answer requests as the server answers them, at most `concurrency` under way at once.

        One is pulled whenever there is a place for it. What is under way when the caller stops is given up.
        """
        source, reports = iter(requests), SimpleQueue[Reported]()
        budget, stopped = RetryBudget(self._settings.retry_budget), threading.Event()
        out = 0
        try:
            while True:
                while source is not None and out < self._settings.concurrency:
                    request = next(source, None)
                    if request is None:
                        source = None  # type: ignore[assignment]  # nothing more to pull
                        break
                    self._start(request, reports.put, budget, stopped)
                    out += 1
                if not out:
                    return
                report = reports.get()
                out -= not isinstance(report[1], Partial)
                yield report
        finally:
            stopped.set()

    def _start(
        self, request: Request, report: Callable[[Reported], None], budget: RetryBudget, stopped: threading.Event
    ) -> None:
        """A thread of its own, which does not keep the process alive."""

        def work() -> None:
            def partial(text: str) -> None:
                report((request, Partial(text=text)))

            report((request, self._answered(request, budget, stopped, partial)))

        threading.Thread(target=work, name="orca-guard-openai", daemon=True).start()

    def _answered(
        self, request: Request, budget: RetryBudget, stopped: threading.Event, partial: Callable[[str], None]
    ) -> Reply | Failure:
        try:
            return self._reply(request, budget, stopped, partial)
        except TimedOut:
            return Failure(ModelFailed(f"{self._settings.url} did not answer before the deadline"))
        except Exception as error:  # noqa: BLE001  # a request's fault is its own reply
            return Failure(error)

    def _reply(
        self, request: Request, budget: RetryBudget, stopped: threading.Event, partial: Callable[[str], None]
    ) -> Reply:
        if isinstance(request, Generate):
            return self._generate(request, budget, stopped, partial)
        if isinstance(request, Embed):
            body = {"model": self._model, "input": list(request.texts)}
            return embedding_of(self._connection.post("/embeddings", body, budget=budget), request)
        if isinstance(request, Score):
            return scores_of(self._echo(request, budget), request)
        raise ModelFailed(f"a server does not answer {type(request).__name__} requests")

    # --- generating ----------------------------------------------------------------------------

    def _generate(
        self, request: Generate, budget: RetryBudget, stopped: threading.Event, partial: Callable[[str], None]
    ) -> Generation:
        heard, began = Heard(self._settings), time.monotonic()
        finish: Finish | None = None
        shown = ""
        try:
            for value in self._told(request, budget):
                heard.hear(value)
                if stopped.is_set():
                    break
                if request.stream and (text := heard.text(growing=True)) != shown:
                    partial(shown := text)
        except TimedOut:
            finish = "deadline"
        self._remember(heard.fingerprint)
        return heard.generation(seconds=time.monotonic() - began, finish=finish)

    def _told(self, request: Generate, budget: RetryBudget) -> Iterator[Mapping[str, Any]]:
        """The answer in one piece or many; newer hosted models know the limit on tokens by another name only."""
        try:
            yield from self._ask(request, budget)
        except Rejected as rejected:
            if self._limit == "max_completion_tokens" or "max_completion_tokens" not in str(rejected):
                raise
            self._limit = "max_completion_tokens"
            yield from self._ask(request, budget)

    def _ask(self, request: Generate, budget: RetryBudget) -> Iterator[Mapping[str, Any]]:
        if request.raw:
            raise ModelFailed(
                f"{self._settings.url} is asked through conversations, and cannot continue a text as it stands. Use "
                "another strategy than completion, or a model on this machine."
            )
        body = chat(request, self._model, limit=self._limit)
        if request.stream:
            yield from self._connection.events("/chat/completions", body, budget=budget, deadline=request.deadline)
            return
        value = self._connection.post("/chat/completions", body, budget=budget, deadline=request.deadline)
        if not isinstance(value.get("choices"), list) or not value["choices"]:
            raise ModelFailed(f"{self._settings.url} answered without a choice: no text and no reason")
        yield value

    def _remember(self, fingerprint: str) -> None:
        with self._lock:
            if fingerprint and len(self._fingerprints) < 100:  # noqa: PLR2004  # a hostile server may make up more
                self._fingerprints.add(fingerprint[:100])

    # --- scoring -------------------------------------------------------------------------------

    def _echo(self, request: Score, budget: RetryBudget) -> Mapping[str, Any]:
        if request.messages:
            raise ModelFailed(
                f"{self._settings.url} cannot score after a conversation: only the server knows the template. "
                "Give the rendered prompt as context, or use a model on this machine."
            )
        if not self._scores:
            raise ModelFailed(f"{self._settings.url} gives no log-probabilities of a prompt")
        prompts = [request.context + continuation for continuation in request.continuations]
        value: Mapping[str, Any] = self._connection.post("/completions", echo(prompts, self._model), budget=budget)
        return value

    @cached_property
    def _scores(self) -> bool:
        """Whether the server echoes prompts with log-probabilities; a server in trouble counts as one that cannot."""
        if self._settings.score is not None:
            return self._settings.score
        tried = Score(context="The capital of France", continuations=(" is Paris",))
        body = echo([tried.context + tried.continuations[0]], self._model)
        try:
            scores_of(self._connection.post("/completions", body, budget=RetryBudget(2)), tried)
        except ModelFailed:
            return False
        return True
