"""Where the embedded scorers stand as they come, and what each says of how good it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orca_guard.configuration import GuardTable
from orca_guard.guards import GuardInPlace
from orca_guard.host import Host
from orca_guard.placing import Circumstances, Placed, prepare, put
from orca_guard.testing.suites import check_guard
from orca_guard.types import Action, Exhibit, Question
from orca_guard_toxicity import guard, second
from orca_guard_toxicity.recipe.scorers import MOST

SCORERS = {"toxicity": "encoder", "toxicity-ngrams": "second"}


@pytest.fixture(scope="module")
def host() -> Host:
    return Host.installed()


def placed(name: str, host: Host) -> Placed:
    return put(prepare(GuardTable(name=name), host, Circumstances(offline=True)), 0, model="")


@pytest.mark.parametrize("name", SCORERS)
def test_a_scorer_comes_with_the_point_that_its_figures_are_of(name: str, host: Host) -> None:
    place: GuardInPlace = placed(name, host).place
    assert place.point is not None
    figures = json.loads((guard.WEIGHTS / "figures.json").read_text("utf-8"))
    assert place.point.threshold == pytest.approx(figures["points"][SCORERS[name]]["threshold"], abs=1e-5)
    assert place.settings.threshold == place.point.threshold
    assert place.point.bound == MOST
    told = {one.name: one.auroc.value for one in place.point.sets}
    known = {key: found[SCORERS[name]]["value"] for key, found in figures["separation"].items()}
    assert told == pytest.approx(known, abs=1e-4)


@pytest.mark.parametrize("name", SCORERS)
def test_it_stops_texts_on_the_evidence_of_the_relevant_set_and_tells_the_worst_first(name: str, host: Host) -> None:
    found = placed(name, host)
    point = found.place.point
    assert point is not None
    assert (point.worst.name, point.decisive.name) == ("hatemoji", "toxigen")
    assert point.sound
    assert "on hatemoji" in point.weak
    assert "toxigen" not in point.weak
    assert point.told.index("hatemoji") < point.told.index("toxigen")
    assert found.place.guard.action is Action.BLOCK  # type: ignore[union-attr]
    assert not found.warning


def test_with_another_classifier_the_point_counts_for_nothing(host: Host, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(guard.WEIGHTS, copy)
    config = json.loads((copy / "config.json").read_text("utf-8"))
    config["id2label"] = {"0": "insult", "1": "threat"}
    (copy / "config.json").write_text(json.dumps(config))
    table = GuardTable(name="toxicity", options={"model": str(copy)})
    found = put(prepare(table, host, Circumstances(offline=True)), 0, model="")
    assert found.place.point is None
    assert "has not been measured" in found.warning


def test_the_second_scorer_keeps_the_contract_of_guards(host: Host) -> None:
    place = placed("toxicity-ngrams", host).place
    assert isinstance(place.guard, second.Second)
    check_guard(place.guard)


def test_the_second_scorer_reads_a_long_text_to_its_end(host: Host) -> None:
    """A text of a megabyte is judged as its worst window is."""
    place = placed("toxicity-ngrams", host).place
    assert isinstance(place.guard, second.Second)

    def judged(text: str) -> tuple[float, tuple[tuple[int, int], ...]]:
        [found] = place.guard.judge([Exhibit(text=text, stage="output", part="answer", question=Question.of("?"))])  # type: ignore[union-attr]
        assert found.score is not None
        return found.score, found.spans

    calm = "the river runs by the old mill . " * 30_000
    low, none = judged(calm)
    assert not none
    high, spans = judged(calm + "you stupid idiot , shut up you worthless idiot . " * 40)
    assert high > place.guard.threshold > low
    assert min(start for start, _ in spans) > 900_000


@pytest.mark.parametrize(
    ("settings", "match"), [({"options": {"model": "x"}}, "no option"), ({"threshold": 2}, "0, 1")]
)
def test_settings_of_the_second_scorer_that_make_no_sense(settings: dict[str, object], match: str, host: Host) -> None:
    from orca_guard.errors import UsageError

    with pytest.raises(UsageError, match=match):
        prepare(GuardTable(name="toxicity-ngrams", **settings), host, Circumstances())  # type: ignore[arg-type]
