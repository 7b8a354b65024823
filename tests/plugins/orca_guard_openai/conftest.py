"""A real server on this machine, which does what a test tells it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from orca_guard.contracts import ModelSpec
from orca_guard.errors import ModelFailed
from orca_guard.types import Failure, Generate, Message
from orca_guard_openai import connection
from orca_guard_openai.loader import OpenAI
from orca_guard_openai.model import ServerModel

Behaviour = Callable[["Handler", dict[str, Any]], None]
Opened = Callable[..., ServerModel]
CHAT = "/chat/completions"


class Handler(BaseHTTPRequestHandler):
    """Hands each request to the script of its path."""

    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""

    def do_GET(self) -> None:
        self.serve({})

    def do_POST(self) -> None:
        self.serve(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def serve(self, body: dict[str, Any]) -> None:
        script = self.server.script
        with script.lock:
            script.seen.append((self.path, body, self.headers.get("Authorization", "")))
            script.here += 1
            script.most = max(script.most, script.here)
            steps = script.steps.get(self.path.removeprefix("/v1"), [])
            step = steps.pop(0) if len(steps) > 1 else steps[0] if steps else missing
        try:
            step(self, body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with script.lock:
                script.here -= 1

    def reply(self, value: Any, status: int = 200, **headers: str) -> None:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@dataclass
class Script:
    """What the server does at each path, one step a request, the last one for ever; and what it saw."""

    url: str = ""
    steps: dict[str, list[Behaviour]] = field(default_factory=dict)
    seen: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)
    here: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def does(self, path: str, *steps: Behaviour) -> None:
        self.steps[path] = list(steps)

    def bodies(self, path: str) -> list[dict[str, Any]]:
        return [body for at, body, _ in self.seen if at == f"/v1{path}"]


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, script: Script) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script = script
        script.url = f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


# --- steps ---------------------------------------------------------------------------------------


def missing(handler: Handler, body: dict[str, Any]) -> None:
    handler.reply({"error": {"message": "no such path"}}, 404)


def value(content: Any, status: int = 200, **headers: str) -> Behaviour:
    return lambda handler, _: handler.reply(content, status, **headers)


def completion(text: str, *, finish: str | None = "stop", **more: Any) -> dict[str, Any]:
    return {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3},
        "system_fingerprint": "fp_1",
        **more,
    }


def says(text: str, **more: Any) -> Behaviour:
    return value(completion(text, **more))


def echoes(handler: Handler, body: dict[str, Any]) -> None:
    """Answers with the last turn."""
    handler.reply(completion(body["messages"][-1]["content"]))


def slowly(seconds: float, then: Behaviour) -> Behaviour:
    def step(handler: Handler, body: dict[str, Any]) -> None:
        time.sleep(seconds)
        then(handler, body)

    return step


def hangs_up(handler: Handler, body: dict[str, Any]) -> None:
    handler.close_connection = True
    handler.connection.shutdown(2)


def streams(
    *pieces: str | dict[str, Any], finish: str | None = "stop", pause: float = 0.0, done: bool = True
) -> Behaviour:
    def step(handler: Handler, body: dict[str, Any]) -> None:
        handler.close_connection = True
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Connection", "close")
        handler.end_headers()
        said = [{"content": piece} if isinstance(piece, str) else piece for piece in pieces]
        deltas = [{"choices": [{"delta": delta, "finish_reason": None}]} for delta in said]
        last = [{"choices": [{"delta": {}, "finish_reason": finish}]}] if finish else []
        usage = [{"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": len(pieces)}}]
        for event in [*deltas, *last, *usage]:
            handler.wfile.write(f": keep-alive\n\ndata: {json.dumps(event)}\n\n".encode())
            handler.wfile.flush()
            time.sleep(pause)
        handler.wfile.write(b"data: [DONE]\n\n" if done else b"")

    return step


# --- asking --------------------------------------------------------------------------------------


def asked(text: str = "Hello", **fields: Any) -> Generate:
    return Generate(messages=(Message("system", "Be brief."), Message("user", text)), **fields)


def replies(model: ServerModel, *requests: Any) -> list[Any]:
    return [reply for _, reply in model.run(requests)]


def failure(model: ServerModel, request: Any = None) -> str:
    (reply,) = replies(model, request or asked())
    assert isinstance(reply, Failure), reply
    assert isinstance(reply.error, ModelFailed), reply.error
    return str(reply.error)


# --- fixtures ------------------------------------------------------------------------------------


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr(connection, "_FIRST_WAIT", 0.01)
    script = Script()
    script.does("/models", value({"data": [{"id": "tiny", "max_model_len": 4096}]}))
    server = Server(script)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield script
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def opened(script: Script) -> Iterator[Callable[..., ServerModel]]:
    models: list[ServerModel] = []

    def opened(**options: Any) -> ServerModel:
        model = OpenAI().open(ModelSpec(reference=script.url, options=options))
        assert isinstance(model, ServerModel)
        models.append(model)
        return model

    yield opened
    for model in models:
        model.close()
