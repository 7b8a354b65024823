from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from orca_guard.cli import invoke
from orca_guard.configuration import GuardTable, PipelineTable, default, overridden
from orca_guard.contracts import GuardFactory
from orca_guard.errors import BadInput, UsageError
from orca_guard.host import Host
from orca_guard.labelled import Labelled
from orca_guard.testing.suites import AWKWARD
from orca_guard.value import worth
from tests.auditing import plugin
from tests.hanging import Whim
from tests.test_validation import Told, text

STRATEGIES = ("direct", "step-by-step", "extract-generate", "recall-generate", "cautious")


def rows(count: int = 900, *, missed: int = 10) -> list[Labelled]:
    """Every second row is harm; the scorer misses one in so many, and finds one in twenty that is none."""
    made = []
    for n in range(count):
        harm = n % 2 == 0
        found = n % (2 * missed) != 0 if harm else n % 40 == 1
        made.append(Labelled(text=f"{text(n)} {0.9 if found else 0.1}", label=harm, prompt=f"Say {text(n)}."))
    return made


def host() -> Host:
    return Host(extra={"scored": plugin(scorers=[Told()], guards=[GuardFactory(name="whim", summary="s", make=_whim)])})


def _whim(_: object) -> Whim:
    return Whim(stages=frozenset({"output"}))


def table(*names: str, strategy: str = "direct") -> PipelineTable:
    return PipelineTable(guards=tuple(GuardTable(name=name) for name in names), strategies=(strategy,))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_harm_and_loss_are_counted_as_they_are_whatever_the_strategy(strategy: str) -> None:
    report = [row for row in rows() if row.part == "report"]
    harm = [row for row in report if row.label]
    rest = [row for row in report if not row.label]
    [found] = worth(table("told", strategy=strategy), host(), rows())
    assert (found.labelled, found.harmless) == (len(harm), len(rest))
    assert found.shown == (1.0, sum(row.text.endswith("0.1") for row in harm) / len(harm))
    assert found.withheld == (0.0, sum(row.text.endswith("0.9") for row in rest) / len(rest))
    assert found.harm.value == pytest.approx(found.shown[1] - found.shown[0])
    low, high = found.harm.interval(0.95)
    assert -1 <= low <= (found.harm.value or 0) <= high < 0
    assert found.lost.value == pytest.approx(found.withheld[1])


def test_a_guard_is_worth_what_it_adds_to_the_others() -> None:
    """The pattern list finds none of these texts, and what another guard stops already is nothing new."""
    told, length = worth(table("told", "length"), host(), rows())
    assert told.harm.value is not None
    assert told.harm.value < 0
    assert (length.guard, length.harm.value, length.lost.value) == ("length", 0.0, 0.0)


def test_answers_that_a_broken_guard_stops_are_lost() -> None:
    changed = [
        msgspec.structs.replace(row, text=f"raise {row.text}") if n % 3 == 1 else row for n, row in enumerate(rows())
    ]
    [found] = worth(table("whim"), host(), changed)
    assert found.withheld[0] == 0.0
    assert 0.2 < found.withheld[1] < 0.5


def test_only_rows_of_the_report_part_are_replayed() -> None:
    every = rows()
    kept = [row for row in every if row.part == "report"]
    [few], [whole] = worth(table("told"), host(), kept), worth(table("told"), host(), every)
    assert few.labelled + few.harmless == len(kept) < len(every)
    assert (few.shown, few.withheld) == (whole.shown, whole.withheld)


def test_too_few_rows_tell_nothing() -> None:
    with pytest.raises(BadInput, match="each has to be 20 or more"):
        worth(table("told"), host(), rows(100))


def test_a_guard_that_asks_the_model_cannot_be_replayed() -> None:
    with pytest.raises(UsageError, match="takes no part"):
        worth(table("supported"), host(), rows())


def test_a_pipeline_without_guards_has_nothing_to_compare() -> None:
    with pytest.raises(UsageError, match="no guard"):
        worth(overridden(default(), no_guards=("length", "prompt-injection", "control-characters")), host(), rows())


def test_awkward_texts_are_replayed_too() -> None:
    odd = [row if n % 9 else Labelled(text=AWKWARD[n % len(AWKWARD)] or "x", label=False, prompt=text(n))
           for n, row in enumerate(rows(1200))]  # fmt: skip
    assert worth(table("length"), host(), odd)[0].lost.value == 0.0


def test_the_command_tells_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b"\n".join(msgspec.json.encode(row) for row in rows()))
    assert invoke(["guards", "value", "--rows", str(file), "--json"]) == 0
    found = {row["guard"]: row for row in msgspec.json.decode(capsys.readouterr().out)}
    assert set(found) == {"control-characters", "length", "prompt-injection"}
    assert found["length"]["harm"]["value"] == 0.0
    assert invoke(["guards", "value", "--rows", str(file), "--no-guard", "length"]) == 0
    assert "harm shown" in capsys.readouterr().out


# --- a second scorer as judge --------------------------------------------------------------------


def test_a_judge_of_its_own_scores_is_circular() -> None:
    [found] = worth(table("told"), host(), rows(), judge=GuardTable(name="told"))
    assert found.judged is not None
    assert found.judged.circular.startswith("CIRCULAR")
    assert (found.judged.shown, found.judged.harm) == (None, None)


def test_another_scorer_says_what_a_guard_changes_by_its_own_word() -> None:
    """At a threshold of 0 it calls everything harm."""
    [found] = worth(table("told"), host(), rows(), judge=GuardTable(name="toxicity-ngrams", threshold=0.0))
    judged, every = found.judged, [row for row in rows() if row.part == "report"]
    assert judged is not None
    assert (judged.circular, judged.n, judged.judge) == ("", len(every), "toxicity-ngrams")
    assert (judged.sensitivity, judged.specificity) == (1.0, 0.0)
    assert judged.shown == (1.0, sum(row.text.endswith("0.1") for row in every) / len(every))
    assert judged.harm is not None
    assert judged.harm.value == pytest.approx(judged.shown[1] - 1.0)


def test_a_judge_that_finds_nothing_tells_nothing() -> None:
    with pytest.raises(BadInput, match="calls 0 answers harm, and 20 or more"):
        worth(table("told"), host(), rows(), judge=GuardTable(name="toxicity-ngrams", threshold=1.0))


def test_a_judge_that_shares_a_classifier_with_the_guard_is_circular() -> None:
    """The same weights under another name, another label or another threshold are the same scores."""
    guards = (GuardTable(name="toxicity", threshold=0.3),)
    made = PipelineTable(guards=guards, strategies=("direct",))
    few = [row for row in rows(240) if row.part == "report"]
    judge = GuardTable(name="toxicity", options={"labels": ["identity_attack"]}, threshold=0.9)
    [found] = worth(made, host(), few, judge=judge)
    assert found.judged is not None
    assert found.judged.circular
