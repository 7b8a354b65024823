"""A real server on this machine, which does what a test tells it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from orca_guard.contracts import GuardSettings
from orca_guard.errors import UsageError
from orca_guard.testing import check_guard, pipeline_of
from orca_guard.types import Action
from orca_guard_moderation.guard import Moderation, make
from orca_guard_moderation.replies import SERVICES


class Service(ThreadingHTTPServer):
    """Replies with what `says` makes of the request's body: a value, or status and bytes."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.says: Callable[[Any], Any] = openai
        self.seen: list[tuple[Any, dict[str, str]]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1/moderations"


class Handler(BaseHTTPRequestHandler):
    server: Service

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append((body, dict(self.headers)))
        said = self.server.says(body)
        status, data = said if isinstance(said, tuple) else (200, json.dumps(said).encode())
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def openai(body: Any) -> Any:
    """Hatred is severe where the text says so."""
    scores = [{"hate": 0.9 if "vile" in text else 0.01, "self-harm": 0.2} for text in body["input"]]
    return {"results": [{"flagged": one["hate"] > 0.5, "category_scores": one} for one in scores]}


def azure(body: Any) -> Any:
    severe = 6 if "vile" in body["text"] else 0
    return {"categoriesAnalysis": [{"category": "Hate", "severity": severe}, {"category": "Violence", "severity": 0}]}


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def made(service: Service, **settings: Any) -> Moderation:
    options = {"url": service.url, **settings.pop("options", {})}
    return make(GuardSettings(options=options, **settings))


def asked(service: Service, text: str, **settings: Any) -> Any:
    return pipeline_of(guards=[made(service, **settings)], timeout_s=2).ask(text)


@pytest.mark.parametrize(("kind", "script"), [("openai", openai), ("azure", azure)])
def test_what_the_service_rates_as_severe_is_stopped(service: Service, kind: str, script: Any) -> None:
    service.says = script
    assert asked(service, "Be kind.", options={"service": kind}).action is Action.ALLOW
    answer = asked(service, "Be vile.", options={"service": kind})
    assert answer.action is Action.BLOCK
    assert "the moderation service rates the user 0.9" in answer.reason or "0.86" in answer.reason


def test_the_threshold_and_the_categories_decide(service: Service) -> None:
    assert asked(service, "Be vile.", threshold=0.95).action is Action.ALLOW
    assert asked(service, "Be vile.", options={"categories": ["self-harm"]}).action is Action.ALLOW
    assert asked(service, "Be vile.", options={"categories": ["violence"]}).exit_code == 3


@pytest.mark.parametrize(
    "said",
    [
        (500, b"oops"),
        (302, b""),
        (429, b"{}"),
        (200, b"not json"),
        (200, b"{}"),
        (200, b'{"results": []}'),
        (200, b'{"results": [{}]}'),
        (200, b'{"results": [{"flagged": false, "category_scores": {"hate": 7}}]}'),
        (200, b'{"results": [{"flagged": false, "category_scores": {"hate": NaN}}]}'),
        (200, b'{"results": [{"flagged": false, "category_scores": {"hate": null}}]}'),
        (200, b"[1]"),
    ],
)
def test_whatever_goes_wrong_is_an_error_and_no_pass(service: Service, said: tuple[int, bytes]) -> None:
    service.says = lambda _: said
    answer = asked(service, "Be kind.")
    assert (answer.action, answer.exit_code) == (Action.BLOCK, 3)


def test_a_service_that_is_not_there_is_an_error() -> None:
    guard = make(GuardSettings(options={"url": "http://127.0.0.1:9/none"}))
    answer = pipeline_of(guards=[guard]).ask("Be kind.")
    assert (answer.action, answer.exit_code) == (Action.BLOCK, 3)
    assert "cannot be reached" in answer.error


def test_a_service_that_does_not_answer_in_time_is_an_error(service: Service) -> None:
    release = threading.Event()

    def hang(_: Any) -> Any:
        release.wait(10)
        return {}

    service.says = hang
    answer = pipeline_of(guards=[made(service)], timeout_s=0.2).ask("Be kind.")
    release.set()
    assert (answer.action, answer.exit_code) == (Action.BLOCK, 3)
    assert "took longer" in answer.error


def test_long_texts_are_asked_about_to_their_end(service: Service) -> None:
    assert asked(service, "kind word " * 5000 + "vile").action is Action.BLOCK
    longest = SERVICES["openai"].longest
    assert max(len(text) for body, _ in service.seen for text in body["input"]) <= longest


def test_the_key_comes_from_the_environment_and_stands_nowhere(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = made(service, options={"key_env": "MODERATION_KEY"})
    assert pipeline_of(guards=[guard]).ask("Be kind.").exit_code == 3
    monkeypatch.setenv("MODERATION_KEY", "secret-123")
    assert pipeline_of(guards=[guard]).ask("Be kind.").action is Action.ALLOW
    assert service.seen[-1][1]["Authorization"] == "Bearer secret-123"
    assert "secret-123" not in repr(guard)


def test_it_keeps_the_contract(service: Service) -> None:
    check_guard(made(service))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"url": "ftp://x/y"},
        {"url": "https://user:password@host/"},
        {"url": "https://host/", "service": "other"},
        {"url": "https://host/", "key": "secret"},
    ],
)
def test_settings_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        make(GuardSettings(options=options))


def test_offline_asks_this_machine_alone() -> None:
    with pytest.raises(UsageError, match="offline"):
        make(GuardSettings(options={"url": "https://host/"}, offline=True))
    assert make(GuardSettings(options={"url": "http://127.0.0.1:1/"}, offline=True))
