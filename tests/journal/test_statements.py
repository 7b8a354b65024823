"""Statements are bound to the seal and to each other, and whatever was done to one is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from orca_guard.cli.sign import DECISIONS
from orca_guard.errors import BadInput
from orca_guard.identity import canonical, digest_bytes
from orca_guard.journal.bundle import Bundle
from orca_guard.journal.statements import path_of, state, statements
from orca_guard.verify import verify
from tests.reports.conftest import folder, sealed

__all__ = ["folder", "sealed"]


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    path.touch(mode=0o600)
    private = Ed25519PrivateKey.generate()
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


WHO = {"name": "d", "role": "model risk"}


@pytest.fixture
def bundle(folder: Path, key: Path) -> Bundle:
    """Three statements; the second is signed."""
    made = Bundle(folder)
    state(made, "sign", WHO | {"name": "a", "decision": "go"})
    state(made, "sign", WHO | {"name": "b", "decision": "no-go"}, key=key)
    state(made, "waive", WHO | {"name": "c", "gate": "g", "reason": "r", "expires": "2999-01-01"})
    return made


def rows(bundle: Bundle) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path_of(bundle).read_text("utf-8").splitlines()]


def write(bundle: Bundle, lines: list[dict[str, Any]]) -> None:
    path_of(bundle).write_bytes(b"".join(canonical(line) + b"\n" for line in lines))


def faults(bundle: Bundle) -> list[int]:
    return [said.line for said in statements(bundle) if said.fault]


def test_statements_that_nobody_touched_hold_and_the_run_still_verifies(bundle: Bundle) -> None:
    assert not faults(bundle)
    assert [said.fields["name"] for said in statements(bundle)] == ["a", "b", "c"]
    report = verify(bundle.root)
    assert not report.faulty
    assert "3 statements" in report.checks[-1].what


def test_a_changed_word_is_named_in_its_line_or_the_next(bundle: Bundle) -> None:
    lines = rows(bundle)
    lines[0]["decision"] = "no-go"
    write(bundle, lines)
    assert faults(bundle) == [2], "the line after no longer follows"


def test_a_signed_line_that_is_changed_and_chained_again_does_not_hold(bundle: Bundle) -> None:
    lines = rows(bundle)
    lines[1]["decision"] = "go"
    write(bundle, lines)
    found = [said.fault for said in statements(bundle) if said.fault]
    assert "signature does not hold" in found[0]
    assert verify(bundle.root).faulty


@pytest.mark.parametrize("gone", [0, 1])
def test_a_line_that_was_taken_out_is_missed(bundle: Bundle, gone: int) -> None:
    lines = rows(bundle)
    del lines[gone]
    write(bundle, lines)
    assert faults(bundle)


def test_statements_of_another_run_are_not_taken_for_this_ones(bundle: Bundle, tmp_path: Path) -> None:
    other = Bundle(Path(shutil.copytree(bundle.root, tmp_path / "other")))
    seal = json.loads(other.seal.read_bytes())
    other.seal.write_bytes(canonical(seal | {"finished": "2999-01-01T00:00:00Z"}) + b"\n")
    assert faults(other) == [1, 2, 3]


@pytest.mark.parametrize("raw", [b"{}\n", b"no JSON\n", b'{"kind":"sign"}', b"\xff\n"])
def test_a_line_that_is_no_statement_is_named_and_nothing_is_added_after_it(bundle: Bundle, raw: bytes) -> None:
    with path_of(bundle).open("ab") as file:
        file.write(raw)
    assert faults(bundle) == [4]
    with pytest.raises(BadInput, match="line 4"):
        state(bundle, "sign", WHO | {"decision": "go"})


def test_a_run_without_a_seal_takes_no_statement(folder: Path) -> None:
    (folder / "seal.json").unlink()
    with pytest.raises(BadInput, match="not sealed"):
        state(Bundle(folder), "sign", WHO | {"decision": "go"})


SIGNED = {"kind": "sign", "decision": "go"}
WAIVED = {"kind": "waive", "gate": "g", "reason": "r", "expires": "2999-01-01"}


@pytest.mark.parametrize(
    "said",
    [
        SIGNED | {"decision": "maybe"},
        SIGNED | {"decision": 7},
        SIGNED | {"name": " "},
        SIGNED | {"role": None},
        SIGNED | {"at": "yesterday"},
        SIGNED | {"at": 5},
        {"kind": "waive"},
        WAIVED | {"expires": "2999-99-99"},
        WAIVED | {"reason": ""},
        {"kind": "noise", "told": "little"},
    ],
)
def test_what_states_nothing_is_neither_written_nor_taken_for_a_statement(bundle: Bundle, said: dict[str, Any]) -> None:
    """As somebody writes it who knows how lines are bound to one another."""
    fields = WHO | {key: value for key, value in said.items() if key != "kind"}
    if "at" not in fields:
        with pytest.raises(BadInput, match="Nothing is stated"):
            state(bundle, said["kind"], fields)
    assert not faults(bundle)
    last = path_of(bundle).read_bytes().splitlines()[-1]
    bound = {"n": 3, "prev": digest_bytes(last), "seal": rows(bundle)[0]["seal"], "at": "2031-01-02T03:04:05Z"}
    write(bundle, [*rows(bundle), bound | {"kind": said["kind"]} | fields])
    assert faults(bundle) == [4]
    assert verify(bundle.root).faulty


@pytest.mark.parametrize("part", ["signature", "public_key"])
def test_half_a_signature_is_a_fault(bundle: Bundle, part: str) -> None:
    lines = rows(bundle)[:2]
    del lines[1][part]
    write(bundle, lines)
    assert faults(bundle) == [2]


def test_statements_that_are_no_file_are_a_fault(bundle: Bundle) -> None:
    path_of(bundle).unlink()
    path_of(bundle).mkdir()
    assert verify(bundle.root).faulty


def test_the_command_line_takes_the_decisions_that_can_be_stated(folder: Path) -> None:
    for decision in DECISIONS:
        state(Bundle(folder), "sign", WHO | {"decision": decision})
    assert [said.fields["decision"] for said in statements(Bundle(folder)) if not said.fault] == [*DECISIONS]
