"""Holds the page that lies in a run's folder against the run: it is made again, and has to come out the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from orca_guard.errors import BadInput
from orca_guard.journal.bundle import Bundle
from orca_guard.journal.chain import Fault
from orca_guard.journal.disk import write_whole
from orca_guard.reports import summary
from orca_guard.reports.html import Html, made_by, maker
from orca_guard.reports.summarise import summarise
from orca_guard.reviewed import review, takes_labels
from orca_guard.verify import Report, verify
from orca_guard.verify.report import Check, Ledger, Status

PAGE = "report.html"
NAME = "page"


def told(report: Report) -> list[summary.Check]:
    """What verifying came to, as reports take it."""
    return [summary.Check(name=one.name, status=one.status.value, what=one.what) for one in report.checks]


def summary_of(folder: Path, report: Report | None) -> summary.Summary:
    """What a run has to say, with what verifying it came to, if somebody did. Raises `BadInput`."""
    plan, sealed = Bundle(folder).read_plan(), Bundle(folder).seal.is_file()
    found = review(folder) if report and not report.faulty and sealed and takes_labels(plan) else None
    reviewed = (found.verdict.value, found.told) if found else ("", {})
    return summarise(
        folder, checks=told(report) if report else (), faulty=bool(report and report.faulty), reviewed=reviewed
    )


def make_again(folder: Path) -> bool:
    """The page that lies in a folder, where there is one and it is ours, with what was stated since it was made.

    Returns:
        Whether there was one.

    Raises:
        BadInput: it cannot be read or written.
    """
    path = folder / PAGE
    if not path.is_file():
        return False
    try:
        ours, name = made_by(path.read_bytes().decode())
    except (OSError, ValueError):
        return False
    if not ours:
        return False
    write_whole(path, _rendered(folder, name, verify(folder)).encode())
    return True


def check_page(folder: Path) -> Check:
    """The page in a folder that has one.

    A page is no evidence, and so nobody has to believe it: here it is made again. It shows what verifying came to
    without anchor, data and key, and what people had stated by then. What names no maker is no page of ours, and a
    fault; what another orca-guard made cannot be made again here, and stays asserted.

    Raises:
        BadInput: there is none, or it cannot be read.
    """
    path = folder / PAGE
    try:
        lies = path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error}") from error
    other, run = made_by(lies)
    if other and other != maker():
        what = f"that the page is what the run gives: it says that {other} made it, and here is {maker()}"
        return Check(name=NAME, status=Status.ASSERTED, what=f"{what}. Make it again")
    ledger = Ledger()
    if not other:
        ledger.add(NAME, Fault(PAGE, 0, "orca-guard did not make it. Take it away, or make it again"))
    elif all(lies != _rendered(folder, run, report) for report in (verify(folder), None)):
        told = (
            "it is not what the run gives now: it was changed, or made before somebody stated something. Make it again"
        )
        ledger.add(NAME, Fault(PAGE, 0, told))
    return ledger.settle(NAME, Status.PROVEN, f"{PAGE} is what the run gives, to the letter")


def _rendered(folder: Path, name: str, report: Report | None) -> str:
    """The page, of a folder that was called so when it was made."""
    found = summary_of(folder, report)
    return Html().render(folder, replace(found, run=replace(found.run, folder=name)))
