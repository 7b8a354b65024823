"""Nothing that stands in a bundle brings the verifier down, and what it does not need is not there."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orca_guard.errors import BadInput
from orca_guard.verify import verify
from tests.verify.forging import Forger

Way = tuple[Any, ...]
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        2,
        2**53 - 1,
        1.5,
        1e300,
        "",
        "x",
        "\x1b[31m",
        "sha256:00",
        [],
        {},
        [[]],
        {"a": None},
        [None] * 3,
    ]
)


def leaves(value: Any, path: Way = ()) -> Iterator[Way]:
    yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield from leaves(inner, (*path, key))


def put(document: Any, path: Way, value: Any, *, gone: bool) -> None:
    *way, last = path
    for key in way:
        document = document[key]
    if gone:
        del document[last]
    else:
        document[last] = value


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_is_put_anywhere(bundle: Path, small: Callable[[], Forger], data: st.DataObject) -> None:
    """With a chain and a seal that fit, so that it gets as far as it can."""
    forger = small()
    forger.folder = bundle
    documents = {"plan": forger.plan, "item": forger.items[-1], "seal": forger.seal}
    documents |= {"record": data.draw(st.sampled_from(forger.records)), "open": forger.shards[0][0]}
    document = documents[data.draw(st.sampled_from([*documents]))]
    path = data.draw(st.sampled_from([path for path in leaves(document) if path]))
    put(document, path, data.draw(VALUES), gone=data.draw(st.booleans()))
    for step in data.draw(st.sampled_from([(), ("rechain",), ("replan", "reseal"), ("reseal",)])):
        try:
            getattr(forger, step)()
        except (KeyError, TypeError, AttributeError, ValueError, BadInput, IndexError):
            return  # the forger cannot, either
    forger.write()
    with suppress(BadInput):
        verify(bundle, data=bundle)


@pytest.fixture(scope="session")
def small(made: Callable[[int], Path]) -> Callable[[], Forger]:
    read = Forger(made(1))
    return lambda: copy.deepcopy(read)


@pytest.mark.parametrize("name", ["plan.json", "items.jsonl", "journal-0.jsonl", "texts-0.jsonl", "seal.json"])
@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\n", b"\0" * 100, b"{}\n", b"null\n", b"\xff\xfe\n", b"1" * 5000, b'{"format":1}\n'),
        *(b"[" * 100_000 + b"\n", b'{"a":' * 900 + b"1" + b"}" * 900 + b"\n"),
    ],
    ids=range(10),
)
def test_whatever_a_file_holds(bundle: Path, name: str, data: bytes) -> None:
    (bundle / name).write_bytes(data)
    assert verify(bundle).faulty or (name, data) == ("texts-0.jsonl", b"")


def test_a_plan_as_deep_as_json_goes(forger: Forger, bundle: Path) -> None:
    deep: Any = 1
    for _ in range(400):
        deep = {"a": deep}
    for place in (forger.plan["arms"][0]["identity"], forger.shards[0][3]):
        place["deep"] = deep
    forger.reseal()
    forger.write()
    assert "identities" in {check.name for check in verify(bundle).checks if check.faults}


# --- without torch and plugins -----------------------------------------------------------------

ALONE = """
import sys

FORBIDDEN = {"accelerate", "cryptography", "peft", "pluggy", "safetensors", "sentencepiece", "tokenizers",
             "torch", "transformers", "huggingface_hub", "httpx", "jinja2"}

class Refuse:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in FORBIDDEN or top.startswith("orca_guard_") or name in {"orca_guard.host", "orca_guard.hookspecs"}:
            raise ModuleNotFoundError(f"{name} is not here", name=name)

sys.meta_path.insert(0, Refuse())
from orca_guard.cli import invoke
sys.exit(invoke(sys.argv[1:]))
"""


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["table", "json"])
def test_it_needs_neither_torch_nor_plugins(made: Callable[[int], Path], options: tuple[str, ...]) -> None:
    command = [sys.executable, "-c", ALONE, "verify", str(made(1)), *options]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "proven" in ended.stdout


def test_with_nothing_forbidden_it_loads_nothing_of_the_kind(made: Callable[[int], Path]) -> None:
    code = ALONE.replace("sys.meta_path.insert(0, Refuse())", "").replace(
        "sys.exit(invoke(sys.argv[1:]))", "invoke(sys.argv[1:]); print(*sorted(FORBIDDEN & {*sys.modules}), 'end')"
    )
    command = [sys.executable, "-c", code, "verify", str(made(1)), "--json"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    assert told == "end"
