"""What people stated beside the run, held against the seal, the line before, and its own signature."""

from __future__ import annotations

from collections.abc import Iterator

from orca_guard.journal.bundle import Bundle
from orca_guard.journal.chain import Fault
from orca_guard.journal.statements import NAME, path_of, statements
from orca_guard.verify.report import Check, Ledger, Status


def check_statements(bundle: Bundle, ledger: Ledger) -> Iterator[Check]:
    """One check, where there are any. They are no part of what is sealed, and change nothing of it."""
    if not path_of(bundle).exists():
        return
    if not path_of(bundle).is_file():
        ledger.add("statements", Fault(NAME, 0, "it is no file"))
        yield ledger.settle("statements", Status.FAULT, "")
        return
    if not bundle.seal.is_file():
        ledger.add("statements", Fault(NAME, 0, "there is no seal that they could be about"))
        yield ledger.settle("statements", Status.FAULT, "")
        return
    said = list(statements(bundle))
    ledger.add_all("statements", (Fault(NAME, one.line, one.fault) for one in said if one.fault))
    signed = sum("signature" in one.fields and not one.doubt for one in said)
    told = f"that these people made the {len(said)} statements, and no others after them; {signed} are signed and hold"
    yield ledger.settle("statements", Status.ASSERTED, told)
