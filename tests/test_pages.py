"""A page in a run's folder is what the run gives, or it is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from orca_guard.errors import BadInput
from orca_guard.pages import PAGE, check_page, make_again, summary_of
from orca_guard.reports import html
from orca_guard.reports.html import Html
from orca_guard.verify import Status, verify
from tests.auditing import arm, audited, request

GATES = ({"benchmark": "basics-questions", "metric": "accuracy", "at_least": 0.5},)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    asked = request(arm("oracle"), gates=GATES)
    return audited(asked, tmp_path_factory.mktemp("runs"), name="release")[0].bundle.root


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A copy with its page."""
    folder = Path(shutil.copytree(made, tmp_path / "release"))
    (folder / PAGE).write_text(Html().render(folder, summary_of(folder, verify(folder))))
    return folder


def test_without_a_page_there_is_nothing_to_check(made: Path) -> None:
    with pytest.raises(BadInput, match=PAGE):
        check_page(made)


def test_the_page_that_the_run_gives_stands_whatever_its_folder_is_called(run: Path) -> None:
    assert check_page(run).status is Status.PROVEN
    assert check_page(run.rename(run.parent / "handed over")).status is Status.PROVEN


def test_a_page_of_a_run_that_nobody_had_verified_stands_too(run: Path) -> None:
    (run / PAGE).write_text(Html().render(run, summary_of(run, None)))
    assert check_page(run).status is Status.PROVEN


@pytest.mark.parametrize(("before", "after"), [("pass", "PASS"), ("100.0", "99.9"), ("</body>", "<p>ok</p></body>")])
def test_an_edited_page_is_found(run: Path, before: str, after: str) -> None:
    page = (run / PAGE).read_text()
    assert before in page
    (run / PAGE).write_text(page.replace(before, after, 1))
    assert check_page(run).status is Status.FAULT


def test_a_page_by_another_version_is_not_judged_by_this_one(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "version", lambda _: "9.9")
    html.maker.cache_clear()
    check = check_page(run)
    html.maker.cache_clear()
    assert check.status is Status.ASSERTED
    assert "Make it again" in check.what


@pytest.mark.parametrize("data", [b"", b"<h1>PASSED</h1>", b"\xff"])
def test_what_is_no_page_of_ours_is_a_fault_and_stays_as_it_is(run: Path, data: bytes) -> None:
    (run / PAGE).write_bytes(data)
    check = check_page(run)
    assert check.status is Status.FAULT
    assert "orca-guard did not make it" in check.what
    assert not make_again(run)
    assert (run / PAGE).read_bytes() == data


def test_a_page_without_its_makers_name_is_a_fault(run: Path) -> None:
    page = (run / PAGE).read_text()
    (run / PAGE).write_text(page.replace('name="generator"', 'name="made"', 1))
    assert check_page(run).status is Status.FAULT
