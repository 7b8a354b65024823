"""Operating points: chosen on some rows, told of others, bound to the scorer they were made with."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard import labelled, operating, validation
from orca_guard.assembly import assemble
from orca_guard.configuration import GuardTable, PipelineTable
from orca_guard.contracts import Examining, GuardFactory, GuardSettings
from orca_guard.errors import BadInput, GuardFailed, NotReady, UsageError
from orca_guard.freezing import freeze
from orca_guard.host import Host
from orca_guard.labelled import Labelled, LabelledSet
from orca_guard.operating import OnSet, OperatingPoint, Rate, Rows
from orca_guard.testing.known import KnownLoader
from orca_guard.types import Action, Exhibit, Scope, Stage, Verdict
from orca_guard.validation import Scored, alone, calibrated, quality, scored, threshold_under
from tests import auditing
from tests.auditing import plugin


@dataclass(frozen=True)
class Told:
    """Scores a text by the number it ends with."""

    name: str = "told"
    summary: str = "the number at the end"
    stages: frozenset[Stage] = frozenset({"output"})
    scope: Scope = "window"
    threshold: float = 0.5
    action: Action = Action.BLOCK

    def score(self, exhibits: Sequence[Exhibit], /) -> Sequence[float]:
        return [float(exhibit.text.rpartition(" ")[2]) for exhibit in exhibits]


@dataclass(frozen=True)
class Trained:
    """A guard whose scores are said to come from a trained model."""

    settings: GuardSettings
    name: str = "trained"
    stages: frozenset[Stage] = frozenset({"output"})
    classifiers: tuple[str, ...] = ()

    @property
    def scored_by(self) -> dict[str, Any]:
        return dict(self.settings.options)

    def examine(self, exhibit: Exhibit, /) -> Examining:
        score = float(exhibit.text.rpartition(" ")[2])
        limit = 0.5 if self.settings.threshold is None else self.settings.threshold
        stopped = self.settings.action or (Action.BLOCK if self.settings.sound else Action.WARN)
        return Verdict(action=stopped if score >= limit else Action.ALLOW, score=score, threshold=limit)
        yield  # it is a generator that asks nothing


TRAINED = GuardFactory(name="trained", summary="by a trained model", make=Trained)
WORDS = ("alder", "birch", "cedar", "dogwood", "elm", "fir", "gum", "hazel", "ivy", "juniper")


def host(*factories: GuardFactory) -> Host:
    module: ModuleType = plugin(scorers=[Told()], guards=list(factories) or [TRAINED])
    return Host(extra={"scored": module})


def text(n: int) -> str:
    """Texts that differ in words, as the split and the clusters see them."""
    return " ".join(WORDS[int(digit)] for digit in f"{n:05d}")


def rows(count: int = 1200, *, separated: float = 0.5) -> LabelledSet:
    """Every third row carries the label; its score is so much higher."""
    made = []
    for n in range(count):
        label = n % 3 == 0
        score = (n * 37 % 100) / 200 + (separated if label else 0)
        made.append(Labelled(text=f"{text(n)} {score}", label=label, group="even" if n % 2 else "odd"))
    return LabelledSet("made", tuple(made))


# --- choosing ------------------------------------------------------------------------------------

SCORES = st.lists(st.tuples(st.booleans(), st.one_of(st.none(), st.integers(0, 10).map(lambda n: n / 10))), min_size=1)


@given(SCORES, st.floats(0, 1))
def test_a_threshold_keeps_to_its_bound_and_no_lower_score_does(
    pairs: list[tuple[bool, float | None]], bound: float
) -> None:
    made = [Scored(Labelled(text=str(n), label=label), score) for n, (label, score) in enumerate(pairs)]
    others = [math.inf if s is None else s for label, s in pairs if not label]

    def rate(threshold: float) -> float:
        return sum(score >= threshold for score in others) / max(1, len(others))

    candidates = sorted({s for _, s in pairs if s is not None} | {0.0, 1.0})
    allowed = [t for t in candidates if rate(t) <= bound + 1e-9]
    try:
        threshold = threshold_under(made, bound)
    except BadInput:
        assert rate(1.0) > bound
        return
    assert rate(threshold) <= bound + 1e-9
    assert threshold == min(allowed)


def test_rows_that_chose_the_threshold_are_in_no_figure() -> None:
    point = calibrated(GuardTable(name="told"), host(), rows(), bound=0.02)
    parts = {part: [r for r in rows().rows if r.part == part] for part in ("dev", "report")}
    [found] = point.sets
    assert (point.dev, found.rows) == (labelled.told(parts["dev"]), labelled.told(parts["report"]))
    assert point.dev.digest != found.rows.digest
    assert found.tpr.n + found.fpr.n == len(parts["report"])
    assert found.fpr.n == sum(not row.label for row in parts["report"])


def test_rows_that_nothing_was_trained_on_may_all_choose() -> None:
    point = calibrated(GuardTable(name="told"), host(), rows(600), bound=0.02, untrained=True)
    assert point.dev.n + point.worst.rows.n == 600


def test_too_few_rows_choose_nothing() -> None:
    with pytest.raises(BadInput, match="each has to be 20 or more"):
        calibrated(GuardTable(name="told"), host(), rows(200), bound=0.02)


def test_figures_are_those_of_the_rows() -> None:
    made = [Scored(Labelled(text=text(n), label=n < 40), n % 40 / 40 + (0.2 if n < 40 else 0)) for n in range(80)]
    found = quality(made, 0.5)
    assert found.tpr.value == sum(n / 40 + 0.2 >= 0.5 for n in range(40)) / 40
    assert found.fpr.value == sum(n / 40 >= 0.5 for n in range(40)) / 40
    assert found.tpr.low < found.tpr.value < found.tpr.high
    assert found.balanced == pytest.approx((found.tpr.value + 1 - found.fpr.value) / 2)


def test_a_row_without_a_score_counts_as_wrong_either_way() -> None:
    sure = [Scored(Labelled(text=text(n), label=n < 40), float(n < 40)) for n in range(80)]
    lost = [Scored(one.row, None if n % 4 == 0 else one.score) for n, one in enumerate(sure)]
    assert (quality(sure, 0.5).tpr.value, quality(sure, 0.5).fpr.value) == (1.0, 0.0)
    found = quality(lost, 0.5)
    assert (found.tpr.value, found.fpr.value, found.unscored) == (0.75, 0.25, 20)
    assert found.auroc.value < quality(sure, 0.5).auroc.value


def test_a_guard_without_any_score_is_no_measurement() -> None:
    pipeline = alone(GuardTable(name="told"), host())
    with pytest.raises(GuardFailed, match="has no score for any row"):
        scored(pipeline, [Labelled(text="no number", label=True)])


def test_a_guard_that_asks_the_model_needs_one() -> None:
    with pytest.raises(UsageError, match="say which with --model"):
        alone(GuardTable(name="supported"), Host.installed())


# --- of several sets -----------------------------------------------------------------------------


def two_sets() -> LabelledSet:
    """An easy set that is large and a hard one that is small."""
    easy = [msgspec.structs.replace(row, set="easy") for row in rows(1800).rows]
    hard = [msgspec.structs.replace(row, set="hard", text=f"hard {row.text}") for row in rows(900, separated=0.02).rows]
    return LabelledSet("made", (*easy, *hard))


def test_a_large_easy_set_does_not_hide_a_small_hard_one() -> None:
    point = calibrated(GuardTable(name="told"), host(), two_sets(), bound=0.05)
    assert [one.name for one in point.sets] == ["hard", "easy"]
    assert (point.worst.name, point.decisive.name) == ("hard", "hard")
    assert not point.sound
    assert point.weak.startswith("no better than an AUROC of 0.")
    assert "on hard" in point.weak
    assert point.told.index("on hard") < point.told.index("on easy")
    relevant = calibrated(GuardTable(name="told"), host(), two_sets(), bound=0.05, relevant="easy")
    assert relevant.sound
    assert relevant.weak == point.weak


def test_sets_count_alike_for_the_bound() -> None:
    """Of 100 harmless rows of one set and 10 of another, one of the small set counts as ten of the large one."""
    large = [Scored(Labelled(text=f"a{n}", label=False, set="large"), 0.4 + n / 1000) for n in range(100)]
    small = [Scored(Labelled(text=f"b{n}", label=False, set="small"), 0.9 if n < 2 else 0.1) for n in range(10)]
    at = threshold_under([*large, *small], 0.1)
    shares = [sum(one.score >= at for one in part if one.score is not None) / len(part) for part in (large, small)]
    assert sum(shares) / 2 <= 0.1
    assert at == 0.9


@pytest.mark.parametrize("relevant", ["medium", "HARD"])
def test_a_relevant_set_has_to_be_there(relevant: str) -> None:
    with pytest.raises(UsageError, match="There is: easy, hard"):
        calibrated(GuardTable(name="told"), host(), two_sets(), bound=0.05, relevant=relevant)


def test_a_set_that_is_too_small_has_no_evidence() -> None:
    few = [Labelled(text=f"few {text(n)} 0.5", label=True, set="few") for n in range(60)]
    with pytest.raises(BadInput, match="the report part of few has"):
        calibrated(GuardTable(name="told"), host(), LabelledSet("made", (*rows().rows, *few)), bound=0.05)


def test_parts_of_one_text_stay_together() -> None:
    cut = [Labelled(text=text(n), label=True, origin="the post") for n in range(20)]
    assert len({row.part for row in cut}) == len({row.cluster for row in cut}) == 1


# --- in a pipeline -------------------------------------------------------------------------------


def point(*, scorer: str, low: float = 0.9, **more: Any) -> OperatingPoint:
    rate = Rate(value=0.95, low=low, high=0.99, n=100)
    part = Rows(digest="sha256:0", n=100, hits=30)
    one = OnSet(name="made", rows=part, tpr=rate, fpr=rate, auroc=rate, balanced=0.9)
    fields = {"guard": "trained", "data": "made", "threshold": 0.3, "bound": 0.02, "dev": part, "sets": (one,)}
    return OperatingPoint(scorer=scorer, **{**fields, "unscored": 0, "ms": 1.0, **more})


def placed(table: GuardTable, found: Host) -> Any:
    return assemble(PipelineTable(guards=(table,), strategies=("direct",)), found)


def test_a_point_that_a_file_names_gives_the_threshold_and_lets_the_guard_stop(tmp_path: Path) -> None:
    file = tmp_path / "point.json"
    bare = placed(GuardTable(name="trained"), host())
    operating.write(point(scorer=bare.guards[0].scorer), file)
    pipeline = placed(GuardTable(name="trained", operating_point=str(file)), host())
    assert pipeline.guards[0].settings.threshold == 0.3
    assert pipeline.guards[0].settings.sound
    assert pipeline.digest != bare.digest
    assert [w for w in bare.warnings if "has not been measured" in w]
    assert not pipeline.warnings


def test_a_scorer_that_tells_too_little_apart_warns_and_says_how_little(tmp_path: Path) -> None:
    file = tmp_path / "point.json"
    scorer = placed(GuardTable(name="trained"), host()).guards[0].scorer
    operating.write(point(scorer=scorer, low=0.649), file)
    pipeline = placed(GuardTable(name="trained", operating_point=str(file)), host())
    assert "it is no better than an AUROC of 0.65 on made" in pipeline.warnings[0]
    assert not pipeline.guards[0].settings.sound


@pytest.mark.parametrize("change", [{"options": {"labels": "others"}}, {"name": "told"}])
def test_a_point_of_another_scorer_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    file = tmp_path / "point.json"
    operating.write(point(scorer=placed(GuardTable(name="trained"), host()).guards[0].scorer), file)
    with pytest.raises(BadInput, match="says nothing of guard"):
        placed(GuardTable(**{"name": "trained", "operating_point": str(file), **change}), host())


def test_a_point_that_comes_with_a_guard_counts_only_for_the_scorer_it_is_of(tmp_path: Path) -> None:
    file = tmp_path / "point.json"
    shipped = GuardFactory(name="trained", summary="s", make=Trained, operating_point=file)
    scorer = placed(GuardTable(name="trained"), host(shipped)).guards[0].scorer
    operating.write(point(scorer=scorer), file)
    assert placed(GuardTable(name="trained"), host(shipped)).guards[0].point
    assert placed(GuardTable(name="trained", options={"x": 1}), host(shipped)).guards[0].point is None


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", '{"format": 1}', json.dumps({"guard": "x"}), msgspec.json.encode(point(scorer="s")).decode()],
)
def test_a_file_that_is_no_point_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "point.json"
    file.write_text(text.replace('"threshold":0.3', '"threshold":3'))
    with pytest.raises(BadInput, match="is no operating point"):
        operating.read(file)


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_point_written_is_the_point_read(threshold: float, bound: float) -> None:
    import tempfile

    made = point(scorer="s", threshold=threshold, bound=bound)
    with tempfile.TemporaryDirectory() as folder:
        operating.write(made, Path(folder) / "p.json")
        assert operating.read(Path(folder) / "p.json") == made


# --- rows ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    ["{}", "[1]", "x", '{"text": "a"}', '{"text": "a", "label": "yes"}', '{"text": "a", "label": true, "grp": "b"}'],
)
def test_a_line_that_is_no_labelled_row_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"text": "fine", "label": false}\n\n' + line + "\n")
    with pytest.raises(BadInput, match="line 3 is no labelled row"):
        labelled.read([file])


def test_rows_are_told_apart_by_everything_they_say_and_not_by_their_order() -> None:
    one, two = Labelled(text="a", label=True), Labelled(text="b", label=False)
    assert labelled.told([one, two]) == labelled.told([two, one])
    assert labelled.told([one]).digest != labelled.told([msgspec.structs.replace(one, label=False)]).digest
    assert labelled.told([one, two]).hits == 1


def test_groups_are_all_there() -> None:
    every = scored(alone(GuardTable(name="told"), host()), rows(60).rows)
    parts = validation.by_group(every)
    assert sorted(parts) == ["even", "odd"]
    assert sum(map(len, parts.values())) == 60


# --- in an audit ---------------------------------------------------------------------------------


def audited(table: GuardTable) -> None:
    arm = auditing.arm()
    arm = replace(arm, table=msgspec.structs.replace(arm.table, guards=(table,)))
    extra = plugin(models=[KnownLoader(models=auditing.MODELS)], scorers=[Told()], guards=[TRAINED])
    freeze(auditing.request(arm, limit=2, sound_guards=("trained",)), Host(extra={"known": extra}))


def test_an_audit_that_requires_a_sound_guard_is_inconclusive_without_one(tmp_path: Path) -> None:
    file = tmp_path / "point.json"
    scorer = placed(GuardTable(name="trained"), host()).guards[0].scorer
    with pytest.raises(NotReady, match="has no guard 'trained'") as missing:
        audited(GuardTable(name="length"))
    assert missing.value.exit_code == 3
    with pytest.raises(NotReady, match="has not been measured"):
        audited(GuardTable(name="trained"))
    operating.write(point(scorer=scorer, low=0.6), file)
    with pytest.raises(NotReady, match=r"no better than an AUROC of 0\.60"):
        audited(GuardTable(name="trained", operating_point=str(file)))
    operating.write(point(scorer=scorer), file)
    audited(GuardTable(name="trained", operating_point=str(file)))
