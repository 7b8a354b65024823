"""What verifying says of runs that nobody forged: whole, cut, redacted, signed, and of folders that are none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from orca_guard.errors import BadInput, ExitCode, NotReady
from orca_guard.figures import results_digest
from orca_guard.journal import signature
from orca_guard.journal.bundle import Bundle
from orca_guard.journal.reading import ShardReader
from orca_guard.verify import Check, Report, Status, verify
from orca_guard.verify.report import SHOWN
from orca_guard.verify.shards import Results
from tests.verify.conftest import STOPPING, Kind, Make
from tests.verify.forging import Forger, Line

ASSERTED = {"anchor", "data", "answers", "guards", "history", "signature"}


def by_name(report: Report) -> Mapping[str, Check]:
    return {check.name: check for check in report.checks}


def named(report: Report, status: Status) -> set[str]:
    return {check.name for check in report.checks if check.status is status}


@pytest.mark.parametrize("kind", [1, 2, STOPPING])
def test_a_sealed_run_is_verified(made: Make, kind: Kind) -> None:
    report = verify(made(kind))
    assert report.exit_code is ExitCode.DONE
    assert named(report, Status.ASSERTED) == ASSERTED
    assert named(report, Status.PROVEN) == by_name(report).keys() - ASSERTED
    assert Forger(made(kind)).digest == report.plan


def test_an_anchor_proves_that_the_plan_was_there(made: Make) -> None:
    digest = verify(made(1)).plan
    for anchor in (digest, digest.removeprefix("sha256:")):
        assert by_name(verify(made(1), anchor=anchor))["anchor"].status is Status.PROVEN
    assert verify(made(1), anchor="0" * 64).exit_code is ExitCode.FAILED
    with pytest.raises(BadInput, match="64 hex digits"):
        verify(made(1), anchor="sha256:07b2")


def test_of_many_faults_the_first_are_named_and_all_counted(forger: Forger, bundle: Path) -> None:
    wrong = [record for record in forger.records if record["mark"] == "fail"]
    for record in wrong:
        record["mark"] = "pass"
    forger.reseal()
    forger.write()
    check = by_name(verify(bundle))["scores"]
    assert (check.count, len(check.faults)) == (len(wrong), SHOWN)
    assert check.what.endswith(f"and {len(wrong) - SHOWN} more")
    first = next(n for n, line in enumerate(forger.shards[0], 1) if line in wrong)
    assert (check.faults[0].file, check.faults[0].line) == ("journal-0.jsonl", first)


# --- cut short ---------------------------------------------------------------------------------


def test_a_run_without_a_seal_is_not_complete(bundle: Path) -> None:
    (bundle / "seal.json").unlink()
    report = verify(bundle)
    assert (report.sealed, report.exit_code) == (False, ExitCode.INCONCLUSIVE)
    assert named(report, Status.SKIPPED) == {"seal", "results", "figures", "gates", "verdict"}


@pytest.mark.parametrize("keep", [0, 1, 400, 5000, 40_000])
def test_a_run_may_be_cut_anywhere(bundle: Path, keep: int) -> None:
    (bundle / "seal.json").unlink()
    for name in ("journal-0.jsonl", "texts-0.jsonl"):
        os.truncate(bundle / name, min(keep, (bundle / name).stat().st_size))
    report = verify(bundle)
    assert report.exit_code is ExitCode.INCONCLUSIVE, report
    assert "records are here" in by_name(report)["completeness"].what


def test_a_run_that_has_not_begun(bundle: Path) -> None:
    for path in (*bundle.glob("journal*"), *bundle.glob("texts*"), bundle / "seal.json"):
        path.unlink()
    assert verify(bundle).exit_code is ExitCode.INCONCLUSIVE


def test_a_run_that_was_cut_is_no_excuse_for_what_stands_before(forger: Forger, bundle: Path) -> None:
    forger.shards[0][3]["scores"] = {"accuracy": 0.5}
    forger.write()
    (bundle / "seal.json").unlink()
    assert verify(bundle).exit_code is ExitCode.FAILED


# --- texts taken out ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "keep", [lambda rows: rows[::3], lambda rows: rows[:1], lambda _: []], ids=["third", "one", "0"]
)
def test_what_was_taken_out_is_said_and_no_fault(
    forger: Forger, bundle: Path, keep: Callable[[list[Line]], list[Line]]
) -> None:
    forger.texts[0] = keep(forger.texts[0])
    forger.write()
    report = verify(bundle)
    checks = by_name(report)
    assert report.exit_code is ExitCode.DONE
    for name in ("texts", "results", "figures", "gates", "verdict", "seal", "completeness"):
        assert checks[name].status is Status.PROVEN
    assert "name one that was taken out" in checks["texts"].what
    for name in ("gold", "reading", "scores"):
        assert checks[name].status is Status.ASSERTED
        assert "as texts were taken out" in checks[name].what


def test_files_of_texts_may_be_gone(bundle: Path) -> None:
    (bundle / "texts-0.jsonl").unlink()
    assert verify(bundle).exit_code is ExitCode.DONE


def test_a_score_without_its_text_still_follows_the_others(forger: Forger, bundle: Path) -> None:
    """Two metrics of one answered item cannot differ, and a refusal has its declared worth, whatever was taken out."""
    forger.texts[0] = []
    forger.one(disposition="refused").update(scores={"accuracy": 1, "refused": 1}, mark="pass")
    forger.reseal()
    forger.write()
    assert named(verify(bundle), Status.FAULT) == {"scores"}


def test_choices_that_a_guard_has_changed_are_no_fault(forger: Forger, bundle: Path) -> None:
    choosing = (r for r in forger.records if r["answer"] and '"choices":["' in forger.text(r["question"]))
    record = next(r for r in choosing if r["outcome"] == "extracted")
    record |= {"outcome": "absent", "value": None, "disposition": "absent", "mark": "fail"}
    record["scores"] = {"accuracy": 0, "refused": 0}
    forger.reseal()
    forger.write()
    assert named(verify(bundle), Status.FAULT) == {"reading"}
    record["verdicts"].append({"guard": "g", "stage": "input", "part": "choice", "action": "redact"})
    forger.reseal()
    forger.write()
    report = verify(bundle)
    assert not report.faulty
    assert by_name(report)["reading"].status is Status.ASSERTED
    assert "1 were read from choices" in by_name(report)["reading"].what


# --- what is none ------------------------------------------------------------------------------


def test_a_folder_without_a_plan_is_no_run(tmp_path: Path) -> None:
    for folder, why in (
        (tmp_path, r"is no run: it has no plan\.json"),
        (tmp_path / "nothing", "there is no .*nothing"),
    ):
        with pytest.raises(BadInput, match=why):
            verify(folder)


@pytest.mark.parametrize("name", ["plan.json", "seal.json"])
def test_a_newer_format_is_not_read(forger: Forger, bundle: Path, name: str) -> None:
    (forger.plan if name == "plan.json" else forger.seal)["format"] = 2
    forger.write()
    with pytest.raises(BadInput, match="Install a newer one"):
        verify(bundle)


@pytest.mark.parametrize(("key", "value"), [("scoring", "psychic"), ("aggregate", "median")])
def test_a_rule_that_is_not_known_is_no_fault_of_the_run(forger: Forger, bundle: Path, key: str, value: str) -> None:
    entry = forger.plan["benchmarks"][0]
    (entry if key == "scoring" else entry["metrics"][0])[key] = value
    forger.write()
    with pytest.raises(BadInput, match=f"{value!r}.*Install a newer one"):
        verify(bundle)


@pytest.mark.parametrize("name", ["items.jsonl", "journal-0.jsonl", "texts-0.jsonl", "journal-1.jsonl", "seal.json"])
def test_what_is_no_file_is_not_read(bundle: Path, name: str) -> None:
    (bundle / name).unlink(missing_ok=True)
    os.mkfifo(bundle / name)
    with pytest.raises(BadInput, match="is no file"):
        verify(bundle)


def test_items_that_are_gone(bundle: Path) -> None:
    (bundle / "items.jsonl").unlink()
    report = verify(bundle)
    assert named(report, Status.FAULT) == {"items"}
    assert by_name(report)["chain"].status is Status.PROVEN


def test_a_plan_that_would_fill_memory_is_refused(forger: Forger, bundle: Path) -> None:
    forger.plan["benchmarks"][0]["items"] = 2**50
    forger.write()
    assert named(verify(bundle), Status.FAULT) >= {"items"}


# --- signatures --------------------------------------------------------------------------------


def keys(folder: Path, name: str) -> tuple[Path, Path]:
    key, private, public = Ed25519PrivateKey.generate(), folder / f"{name}.pem", folder / f"{name}-public.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    private.chmod(0o600)
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


def test_a_signature_says_who_sealed_it(bundle: Path, tmp_path: Path) -> None:
    private, public = keys(tmp_path, "auditor")
    _, other = keys(tmp_path, "other")
    assert named(verify(bundle, public=public), Status.FAULT) == {"signature"}
    signature.sign(Bundle(bundle), private)
    assert by_name(verify(bundle))["signature"].status is Status.ASSERTED
    assert by_name(verify(bundle, public=public))["signature"].status is Status.PROVEN
    assert named(verify(bundle, public=other), Status.FAULT) == {"signature"}


def test_a_signature_finds_a_seal_that_was_made_again(forger: Forger, bundle: Path, tmp_path: Path) -> None:
    private, public = keys(tmp_path, "auditor")
    signature.sign(Bundle(bundle), private)
    forger.seal["finished"] = "2030-01-01T00:00:00Z"
    forger.write()
    assert named(verify(bundle, public=public), Status.FAULT) == {"signature"}


def test_without_the_package_a_signature_is_left_out(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private, public = keys(tmp_path, "auditor")
    signature.sign(Bundle(bundle), private)
    monkeypatch.setitem(__import__("sys").modules, "orca_guard.journal.keys", None)
    monkeypatch.delattr("orca_guard.journal.keys", raising=False)
    assert by_name(verify(bundle))["signature"].status is Status.SKIPPED
    with pytest.raises(NotReady, match="cryptography"):
        verify(bundle, public=public)


def test_an_attestation_says_what_the_seal_says(forger: Forger, bundle: Path, tmp_path: Path) -> None:
    private, public = keys(tmp_path, "auditor")
    other, _ = keys(tmp_path, "other")
    signature.attest(Bundle(bundle), private)
    assert named(verify(bundle), Status.FAULT) == {"attestation"}, "the seal is not signed"
    signature.sign(Bundle(bundle), private)
    assert by_name(verify(bundle, public=public))["attestation"].status is Status.PROVEN
    signature.attest(Bundle(bundle), other)
    assert named(verify(bundle, public=public), Status.FAULT) == {"attestation"}
    signature.attest(Bundle(bundle), private)
    forger.seal["verdict"] = "pass"
    forger.write()
    assert named(verify(bundle), Status.FAULT) >= {"attestation", "signature", "verdict"}


# --- the data ----------------------------------------------------------------------------------


@pytest.fixture
def packs(tmp_path: Path) -> Path:
    """Copies of the packs that the runs were made of."""
    import orca_guard_basics

    folder = tmp_path / "packs"
    folder.mkdir()
    for pack in Path(orca_guard_basics.__file__).parent.glob("*.jsonl"):
        shutil.copy(pack, folder)
    return folder


def test_items_are_those_of_their_data(made: Make, packs: Path) -> None:
    assert by_name(verify(made(1), data=packs))["data"].status is Status.PROVEN


def test_data_that_is_not_there_is_left_out(made: Make, packs: Path) -> None:
    check = by_name(verify(made(1), data=packs / "basics-choices.jsonl"))["data"]
    assert check.status is Status.SKIPPED
    assert "basics-choices: its items are those of its pack" in check.what
    assert "basics-questions: basics-questions.jsonl is not there" in check.what
    with pytest.raises(BadInput, match="there is no"):
        verify(made(1), data=packs / "nothing")


def test_data_that_was_changed_is_a_fault(made: Make, packs: Path) -> None:
    path = packs / "basics-choices.jsonl"
    path.write_bytes(path.read_bytes() + b"\n")
    check = by_name(verify(made(1), data=packs))["data"]
    assert check.status is Status.FAULT
    assert "basics-choices.jsonl: its digest is" in check.what


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gold swapped in the text of an item and in the plan, chained and sealed again", "is not the item that"),
        ("a hard item dropped from the plan too, chained and sealed again", "1 that come first are left out"),
    ],
)
def test_data_tells_what_a_plan_hides(forger: Forger, bundle: Path, packs: Path, name: str, words: str) -> None:
    from tests.verify.forging import FORGERIES

    next(forgery for forgery in FORGERIES if forgery.name == name).do(forger)
    check = by_name(verify(bundle, data=packs))["data"]
    assert check.status is Status.FAULT
    assert words in check.what


def test_items_in_an_order_of_somebodys_own(forger: Forger, bundle: Path, packs: Path) -> None:
    forger.plan["nonce"] = "another"
    forger.reseal()
    forger.write()
    assert "do not stand in the order of the seed" in by_name(verify(bundle, data=packs))["data"].what


def test_data_is_looked_for_in_its_folder_alone(forger: Forger, bundle: Path, packs: Path) -> None:
    entry = forger.plan["benchmarks"][0]
    entry["data"] = {f"../packs/{name}": digest for name, digest in entry["data"].items()}
    forger.reseal()
    forger.write()
    inside = packs / "inside"
    inside.mkdir()
    assert "../packs/basics" in by_name(verify(bundle, data=inside))["data"].what


# --- the digest of the results -----------------------------------------------------------------


def test_results_are_digested_as_the_seal_does(forger: Forger, bundle: Path) -> None:
    """Also where the fast encoder spells numbers or sorts keys otherwise."""
    forger.shards[0][1]["seconds"] = 1e-7
    forger.shards[0][2] |= {"tokens": [1e21, 1e-9], "\U0001f600": 1, "\ufb01": 2}
    forger.rechain()
    forger.write()
    reader, results = ShardReader(bundle / "journal-0.jsonl", plan=forger.digest, rank=0), Results()
    lines = [line for line in reader if line.kind == "item"]
    for line in lines:
        results.add(line)
    assert not reader.faults
    assert results.digest() == results_digest(line.fields for line in lines)
