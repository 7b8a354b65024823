"""Pulling from a hub: a real server on this machine that speaks as much of the hub's language as it takes."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from orca_guard.data.folder import recognised
from orca_guard.data.hub import pull
from orca_guard.errors import BadInput, DataAbsent, NotReady
from orca_guard_hhh.data import HHH, SUBSETS
from orca_guard_xstest.data import XSTEST
from tests.packs import PAIRS

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {f"data/{subset}.jsonl": "".join(f"{json.dumps(row)}\n" for row in PAIRS).encode() for subset in SUBSETS}


def _entry(name: str, data: bytes) -> dict[str, object]:
    return {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}


class Hub(BaseHTTPRequestHandler):
    """One data set at one commit."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path in {f"/api/datasets/{HHH.hub}/revision/{revision}" for revision in ("main", COMMIT)}:
            told = {"id": HHH.hub, "sha": COMMIT, "siblings": [{"rfilename": name} for name in FILES]}
            self._send(json.dumps(told).encode())
        elif path == f"/api/datasets/{HHH.hub}/tree/{COMMIT}":
            self._send(json.dumps([_entry(name, data) for name, data in FILES.items()]).encode())
        elif path.startswith(f"/datasets/{HHH.hub}/resolve/{COMMIT}/"):
            self._send(FILES[path.partition(f"{COMMIT}/")[2]])
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RevisionNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from huggingface_hub import constants

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    yield
    server.shutdown()
    server.server_close()


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("revision", ["", COMMIT])
def test_a_set_is_fetched_at_a_commit_that_is_known(revision: str, tmp_path: Path) -> None:
    folder = pull(HHH, tmp_path, revision=revision)
    assert folder.name == COMMIT
    found = recognised(folder, [HHH])
    assert sorted(found.imports) == [f"hhh_alignment/{subset}.jsonl" for subset in SUBSETS]


@pytest.mark.usefixtures("hub")
def test_a_revision_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no revision 'nowhere'"):
        pull(HHH, tmp_path, revision="nowhere")


def test_a_hub_that_cannot_be_reached_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(NotReady, match=r"pull needs the network, .* By hand it is to be had from"):
        pull(HHH, tmp_path, revision="")


def test_what_is_on_no_hub_by_its_authors_is_to_be_had_by_hand(tmp_path: Path) -> None:
    with pytest.raises(DataAbsent, match=r"xstest is not on the hub by its authors. Get it by hand from github"):
        pull(XSTEST, tmp_path, revision="")
