"""Guards of grounding, on scripted models and classifiers, and on small real ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.contracts import GuardSettings, Reported
from orca_guard.errors import ModelFailed, UsageError
from orca_guard.testing import ScriptedClassifiers, ScriptedModel, check_asking_guard, pipeline_of
from orca_guard.types import (
    Action,
    Answer,
    Generate,
    Likelihood,
    Question,
    Score,
    Scores,
    TokenSpan,
)
from orca_guard_extract.strategy import ExtractGenerate
from orca_guard_grounding import consistency, entailment, spans, supported
from orca_guard_grounding.consistency import inconsistencies
from orca_guard_grounding.entailment import supporting
from orca_guard_hf.serving import ClassifierDirectories
from tests.classifiers import classifier

MILL = "The Old Mill opened in 1921. It stands by the river."


def made(module: Any, *, action: Action | None = Action.ABSTAIN, threshold: float = 0.5, **options: Any) -> Any:
    needs = {"model": "c"} if module in {entailment, spans} else {}
    return module.make(GuardSettings(action=action, threshold=threshold, options={**needs, **options}))


def says(text: str) -> ScriptedModel:
    return ScriptedModel(script=lambda _: text)


def entails(pair: Any) -> Mapping[str, float]:
    """A premise holds up what shares its numbers."""
    premise, statement = pair
    held = all(word in premise for word in statement.replace(".", " ").split() if word.isdigit())
    return {"entailment": 0.9, "neutral": 0.1} if held else {"entailment": 0.1, "neutral": 0.9}


def asked(guard: Any, text: str, *documents: str, script: Callable[[Any], Any] = entails, **more: Any) -> Answer:
    server = ScriptedClassifiers(script=script, longest=more.pop("longest", 1000))
    model = more.pop("model", says(text))
    return pipeline_of(model, guards=[guard], classifiers=server, **more).ask("When did it open?", *documents)


# --- entailment ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "action"), [("It opened in 1921.", Action.ALLOW), ("In 1930.", Action.ABSTAIN)])
def test_an_answer_that_the_documents_do_not_entail_is_stopped(text: str, action: Action) -> None:
    assert asked(made(entailment), text, MILL).action is action


def test_one_loose_statement_among_many_is_found_and_alone_is_masked() -> None:
    answer = asked(made(entailment, action=Action.REDACT), "It opened in 1921. It closed in 1960. It is old.", MILL)
    assert answer.text == "It opened in 1921. [redacted] It is old."


def test_any_window_of_any_document_may_hold_a_statement_up() -> None:
    far = "Nothing of interest is told here at all. " * 60 + MILL
    assert asked(made(entailment), "It opened in 1921.", "Another text.", far, longest=40).action is Action.ALLOW


def test_without_documents_there_is_nothing_to_hold_an_answer_against() -> None:
    assert asked(made(entailment), "It opened in 1930.").action is Action.ALLOW


def test_all_pairs_are_asked_in_one_request() -> None:
    server = ScriptedClassifiers(script=entails)
    pipeline_of(says("One. Two. Three."), guards=[made(entailment)], classifiers=server).ask("?", MILL, "More.")
    assert [len(request.texts) for request in server.asked] == [6]


def test_extract_generate_is_checked_against_its_passage() -> None:
    model = ScriptedModel(script=lambda r: "Extract: nothing" if r.name == "extract" else "Answer: it opened in 1930.")
    answer = asked(made(entailment), "", MILL, model=model, strategies=[ExtractGenerate()])
    assert (answer.action, answer.text) == (Action.ABSTAIN, "")


@pytest.mark.parametrize("wrong", [RuntimeError("x"), {"entailment": math.nan}, {"neutral": 1.0, "contradiction": 0.0}])
def test_a_classifier_that_fails_or_makes_no_sense_passes_nothing(wrong: Any) -> None:
    answer = asked(made(entailment, action=Action.WARN), "It opened in 1921.", MILL, script=lambda _: wrong)
    assert answer.action is Action.BLOCK
    assert answer.exit_code == 3


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [
        (("contradiction", "neutral", "entailment"), "entailment"),
        (("ENTAILMENT", "NEUTRAL"), "ENTAILMENT"),
        (("not_entailment", "entailment"), "entailment"),
        (("LABEL_0", "LABEL_1"), "LABEL_1"),
        (("score",), "score"),
        (("hallucinated", "consistent"), "consistent"),
    ],
)
def test_labels_that_mean_support_are_known(labels: Sequence[str], wanted: str) -> None:
    assert supporting(labels) == wanted


def test_of_three_labels_without_names_none_is_guessed() -> None:
    with pytest.raises(UsageError, match="which label means"):
        supporting(("LABEL_0", "LABEL_1", "LABEL_2"))


# --- token labels --------------------------------------------------------------------------------


def invents(pair: Any) -> list[TokenSpan]:
    """A token that the premise does not have is made up."""
    premise, answer = pair
    found, at = [], 0
    for word in answer.split(" "):
        start = answer.index(word, at)
        at = start + len(word)
        bad = 0.1 if word.strip(".") in premise else 0.95
        found.append(TokenSpan(start=start, end=at, scores={"supported": 1 - bad, "hallucinated": bad}))
    return found


def test_made_up_words_are_masked_and_their_neighbours_are_not() -> None:
    answer = asked(made(spans, action=Action.REDACT), "opened in May 1930 by the river.", MILL, script=invents)
    assert answer.text == "opened in [redacted] by the river."


def test_a_word_that_one_window_has_is_not_made_up() -> None:
    far = "filler words stand here in a row " * 30 + MILL
    answer = asked(made(spans), "opened in 1921", far, script=invents, longest=40)
    assert answer.action is Action.ALLOW


def test_windows_that_cut_the_answer_otherwise_are_an_error() -> None:
    def wild(pair: Any) -> list[TokenSpan]:
        return invents(pair)[len(pair[0]) % 2 :]

    assert asked(made(spans), "opened in 1921", "a", "bb", script=wild).exit_code == 3


# --- the model's own word ------------------------------------------------------------------------


class Rating(ScriptedModel):
    """Also rates continuations: certain that statements with 1921 in them are supported."""

    def run(self, requests: Any) -> Iterator[Reported]:
        for request in requests:
            if isinstance(request, Score):
                yield request, self._rated(request)
            else:
                yield from super().run([request])

    def _rated(self, request: Score) -> Scores:
        yes = "1921" in request.messages[-1].content.rpartition("Statement:")[2]
        logs = [-0.1, -3.0, -5.0, -6.0] if yes else [-5.0, -6.0, -0.1, -3.0]
        return Scores(likelihoods=tuple(Likelihood(logprob=log, tokens=1, greedy=False) for log in logs))


@pytest.mark.parametrize(("text", "action"), [("It was 1921.", Action.ALLOW), ("It was 1930.", Action.ABSTAIN)])
def test_the_models_own_word_stops_what_it_does_not_believe(text: str, action: Action) -> None:
    model = Rating(script=lambda _: text, requests=frozenset({Generate, Score}))
    assert asked(made(supported), text, MILL, model=model).action is action


def test_a_model_that_rates_nothing_passes_nothing() -> None:
    assert asked(made(supported), "It was 1921.", MILL).exit_code == 3


@given(st.lists(st.floats(-1000, 0), min_size=4, max_size=4))
def test_yes_and_no_together_are_certain(logs: list[float]) -> None:
    def scores(values: Sequence[float]) -> Scores:
        return Scores(likelihoods=tuple(Likelihood(logprob=v, tokens=1, greedy=False) for v in values))

    chance = supported.affirmed(scores(logs))
    assert 0 <= chance <= 1
    assert chance + supported.affirmed(scores([*logs[2:], *logs[:2]])) == pytest.approx(1)


def test_what_is_no_number_is_no_word() -> None:
    bad = Scores(likelihoods=tuple(Likelihood(logprob=math.nan, tokens=1, greedy=False) for _ in range(4)))
    with pytest.raises(ModelFailed):
        supported.affirmed(bad)


# --- asked again ---------------------------------------------------------------------------------


def again(samples: Sequence[str]) -> ScriptedModel:
    return ScriptedModel(script=lambda r: samples[r.sample] if r.name == consistency.NAME else samples[0])


def test_an_answer_that_the_model_repeats_passes_and_one_it_does_not_is_stopped() -> None:
    guard = made(consistency, threshold=0.6)
    assert asked(guard, "", model=again(["Paris is in France."] * 5)).action is Action.ALLOW
    others = ["Paris is in France.", "Rome sits near water.", "Nobody knows.", "Perhaps Oslo?", "Eleven kings ruled."]
    assert asked(guard, "", model=again(others)).action is Action.ABSTAIN


def test_samples_differ_whatever_the_pipelines_temperature() -> None:
    model = ScriptedModel()
    pipeline_of(model, guards=[made(consistency, samples=3)]).ask("Who?")
    samples = [request for request in model.asked if request.name == consistency.NAME]
    assert [request.decoding.temperature for request in samples] == [1.0] * 3
    assert len({request.seed for request in samples}) == 3
    assert [r.decoding.temperature for r in model.asked if r.name != consistency.NAME] == [0.0]


def test_unigrams_are_counted_as_the_paper_counts_them() -> None:
    """One sentence `a b`, one sample `a`: with the text itself a is there twice and b once, of three and two kinds."""
    total = math.log(3 + 2 + 1)
    surprise = [total - math.log(2 + 1), total - math.log(1 + 1)]
    assert inconsistencies("a b", ["a"]) == [pytest.approx(sum(surprise) / 2 / total)]


@given(st.text(alphabet="ab c.", max_size=40), st.lists(st.text(alphabet="ab c.", max_size=40), max_size=4))
def test_inconsistency_lies_between_0_and_1(text: str, samples: list[str]) -> None:
    for n in (1, 2, 3):
        assert all(0 <= score <= 1 for score in inconsistencies(text, samples, n=n))


def test_more_support_is_never_more_inconsistent() -> None:
    scores = [inconsistencies("the mill opened", ["the mill opened"] * k + ["x y z"] * (4 - k))[0] for k in range(5)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[-1]


# --- all of them ---------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [entailment, spans, supported, consistency])
def test_without_evidence_they_warn(module: Any) -> None:
    assert made(module, action=None).standing.action is Action.WARN
    sound = module.make(GuardSettings(sound=True, options={"model": "c"} if module in {entailment, spans} else {}))
    assert sound.standing.action is Action.ABSTAIN


@pytest.mark.parametrize(
    ("module", "settings"),
    [
        (entailment, GuardSettings()),
        (spans, GuardSettings()),
        (entailment, GuardSettings(options={"model": "c", "lable": "x"})),
        (supported, GuardSettings(threshold=1.5)),
        (consistency, GuardSettings(options={"samples": 0})),
        (consistency, GuardSettings(options={"temperature": 0})),
        (consistency, GuardSettings(action=Action.REDACT)),
    ],
)
def test_settings_that_make_no_sense_are_refused(module: Any, settings: GuardSettings) -> None:
    with pytest.raises(UsageError):
        module.make(settings)


def test_real_classifiers_keep_the_contract(tmp_path: Path) -> None:
    pairs = classifier(tmp_path / "nli", ["contradiction", "neutral", "entailment"], longest=64)
    check_asking_guard(made(entailment, model=str(pairs)), ClassifierDirectories())


def test_a_real_token_classifier_marks_characters_of_the_answer(tmp_path: Path) -> None:
    folder = classifier(tmp_path / "t", ["LABEL_0", "LABEL_1"], cls="BertForTokenClassification", longest=64)
    guard = made(spans, model=str(folder), threshold=0.0, action=Action.REDACT)
    server = ClassifierDirectories()
    answer = pipeline_of(says("the mill opened in 1921"), guards=[guard], classifiers=server).ask("When?", MILL * 4)
    assert answer.text == "[redacted]", answer.error


def test_pairs_equal_those_asked_one_by_one(tmp_path: Path) -> None:
    """What is batched and sorted is what is asked alone."""
    folder = classifier(tmp_path / "nli", ["contradiction", "neutral", "entailment"], longest=64)
    guard, server = made(entailment, model=str(folder), threshold=0.0, action=Action.WARN), ClassifierDirectories()
    texts = ["the mill opened.", "the fox is a fool. the river sat in the mill.", "1921"]
    questions = [Question.of(f"When? {n}", MILL, id=str(n)) for n in range(3)]
    model = ScriptedModel(script=lambda r: texts[int(r.messages[-1].content.rpartition(" ")[2])])
    pipeline = pipeline_of(model, guards=[guard], classifiers=server)
    together = {q.id: a.verdicts[-1].score for q, a in pipeline.batch(questions)}
    alone = {q.id: pipeline.ask(q).verdicts[-1].score for q in questions}
    assert together == pytest.approx(alone, abs=1e-5)
