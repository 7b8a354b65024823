"""Opens a bundle: its files are files, its plan and seal are as they were written and have the shape they should."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orca_guard.errors import BadInput, NotReady
from orca_guard.identity import digest_bytes, digest_of
from orca_guard.items import metric_json
from orca_guard.journal.bundle import FORMAT, Bundle
from orca_guard.journal.chain import Fault
from orca_guard.journal.signature import attestation_fault, verify_signature
from orca_guard.verify.planned import check_known
from orca_guard.verify.report import Check, Ledger, Status
from orca_guard.verify.shapes import PlanShape, SealShape, shaped

_ANCHOR = re.compile(r"(?:sha256:)?([0-9a-f]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedPlan:
    """A plan that can be worked with.

    Attributes:
        document: as it stands in the file.
        shape: the same, checked.
        digest: of the file's bytes without the end of line.
    """

    document: Mapping[str, Any]
    shape: PlanShape
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedSeal:
    """A seal that can be worked with."""

    document: Mapping[str, Any]
    shape: SealShape


def check_files(bundle: Bundle) -> None:
    """Raise `BadInput` where this is no bundle, or where something in it would be read that is no file."""
    if not bundle.root.exists():
        raise BadInput(f"there is no {bundle.root}")
    if not bundle.plan.exists():
        raise BadInput(f"{bundle.root} is no run: it has no plan.json")
    shards = [*bundle.journals().values(), *bundle.all_texts().values()]
    for path in (bundle.plan, bundle.items, bundle.seal, *shards):
        if path.exists() and not path.is_file():
            raise BadInput(f"{path} is no file")


def open_plan(bundle: Bundle, ledger: Ledger) -> OpenedPlan | None:
    """The plan; None where it was changed, which is noted.

    Raises:
        BadInput: it is of another format, or has rules that this version does not know.
    """
    try:
        document = bundle.read_plan()
        shape = shaped(document, PlanShape)
        _check_metrics(document, shape)
    except BadInput as error:
        _refuse_another_format(bundle.plan)
        ledger.add("plan", Fault("plan.json", 0, str(error)))
        return None
    check_known(shape)
    digest = digest_bytes(bundle.plan.read_bytes().removesuffix(b"\n"))
    return OpenedPlan(document=document, shape=shape, digest=digest)


def _check_metrics(document: Mapping[str, Any], shape: PlanShape) -> None:
    """A metric in a plan says everything, for whoever reads it may have other defaults."""
    for entry, found in zip(document["benchmarks"], shape.benchmarks, strict=True):
        for row, metric in zip(entry["metrics"], found.metrics, strict=True):
            if lacking := sorted(metric_json(metric).keys() - row.keys()):
                raise BadInput(f"a metric of {found.name!r} has no {lacking[0]}")


def open_seal(bundle: Bundle, ledger: Ledger) -> OpenedSeal | None:
    """The seal; None where there is none, or where it was changed, which is noted. Raises `BadInput` likewise."""
    if not bundle.seal.exists():
        return None
    try:
        document = bundle.read_seal()
        return OpenedSeal(document=document, shape=shaped(document, SealShape))
    except BadInput as error:
        _refuse_another_format(bundle.seal)
        ledger.add("seal", Fault("seal.json", 0, str(error)))
        return None


def _refuse_another_format(path: Path) -> None:
    """What this version cannot read may be sound."""
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return
    version = document.get("format") if isinstance(document, dict) else FORMAT
    if type(version) is int and version > FORMAT:
        raise BadInput(
            f"{path} is of format {version}, and this version of orca-guard reads format {FORMAT}. Install a newer one."
        )


# --- who vouches for it ------------------------------------------------------------------------


def check_signature(bundle: Bundle, public: Path | None, ledger: Ledger) -> Check:
    """The seal's signature held against a public key.

    Raises:
        BadInput: the public key cannot be used.
        NotReady: a key was given, and the package that checks signatures is not installed.
    """
    name = "signature"
    if public is None and not bundle.signature.exists():
        what = "that nobody made the seal again: there is no signature, and whoever can write here can"
        return Check(name=name, status=Status.ASSERTED, what=what)
    try:
        good, told = verify_signature(bundle, public)
    except NotReady as error:
        if public is not None:
            raise
        return Check(name=name, status=Status.SKIPPED, what=str(error))
    if not good:
        ledger.add(name, Fault("seal.sig", 0, told))
    return ledger.settle(name, Status.ASSERTED if public is None else Status.PROVEN, told)


def check_attestation(bundle: Bundle, plan: Mapping[str, Any], ledger: Ledger) -> Check:
    """The attestation held against plan, seal and the key that signed the seal."""
    name = "attestation"
    try:
        why = attestation_fault(bundle, plan, bundle.read_seal())
    except (BadInput, KeyError, TypeError, AttributeError) as error:
        why = f"there is no seal that it could be about: {error}"
    except NotReady as error:
        return Check(name=name, status=Status.SKIPPED, what=str(error))
    if why:
        ledger.add(name, Fault(bundle.attestation.name, 0, why))
    return ledger.settle(name, Status.PROVEN, "it says what plan and seal say, under the key of the signature")


# --- what the plan says of itself --------------------------------------------------------------


def check_anchor(digest: str, anchor: str, ledger: Ledger) -> Check:
    """The digest held against one that was registered elsewhere. Raises `BadInput` where that is no digest."""
    name = "anchor"
    if not anchor:
        what = "that the plan was made before the run; register its digest beforehand, and give it by --anchor"
        return Check(name=name, status=Status.ASSERTED, what=what)
    match = _ANCHOR.fullmatch(anchor)
    if match is None:
        raise BadInput(f"an anchor is the digest of a plan, 64 hex digits, not {anchor!r:.100}")
    if digest != f"sha256:{match[1]}":
        ledger.add(name, Fault("plan.json", 0, f"its digest is {digest}, and sha256:{match[1]} was registered"))
    return ledger.settle(name, Status.PROVEN, "the plan is the one whose digest you were given")


def check_identities(shape: PlanShape, ledger: Ledger) -> Check:
    """Digests of arms and models held against what the plan says they stand for."""
    name = "identities"
    ledger.add_all(name, (Fault("plan.json", 0, what) for what in _strange(shape)))
    return ledger.settle(name, Status.PROVEN, "the digest of every arm and model is that of its description")


def _strange(shape: PlanShape) -> Iterator[str]:
    models = {model.name: model.identity for model in shape.models}
    for arm in shape.arms:
        if _digest(arm.identity) != arm.pipeline:
            yield f"arm {arm.name!r} has the digest {arm.pipeline}, and its description {_digest(arm.identity)}"
        if arm.identity.get("model") != models.get(arm.model):
            yield f"arm {arm.name!r} is of {arm.model!r}, and describes another model"
    for model in shape.models:
        if _digest(model.identity) != model.digest:
            yield f"model {model.name!r} has the digest {model.digest}, and its description {_digest(model.identity)}"


def _digest(identity: Mapping[str, Any]) -> str:
    try:
        return digest_of(identity)
    except (ValueError, RecursionError):
        return "none"
