from __future__ import annotations

import pickle
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from orca_guard.assembly import assemble
from orca_guard.case import CLASSIFIERS
from orca_guard.configuration import GuardTable, default, overridden
from orca_guard.contracts import GuardSettings
from orca_guard.drive import Done, drive
from orca_guard.errors import BadInput, DataAbsent, ModelFailed, UsageError
from orca_guard.host import Host
from orca_guard.identity import digest_file
from orca_guard.testing import ScriptedClassifiers, check_asking_guard, pipeline_of
from orca_guard.types import Action, Exhibit, Failure, Message, Question
from orca_guard_hf.serving import ClassifierDirectories
from orca_guard_toxicity import guard as guards
from orca_guard_toxicity.checkpoints import PUBLISHED, directory_of
from orca_guard_toxicity.guard import make, toxic
from orca_guard_toxicity.scoring import Rating, all_rated
from tests.classifiers import DETOXIFY, IDENTITIES, checkpoint, classifier, tokenizer

TEXTS = ("the fox is a fool", "an idiot and a fool who sat in the river", "", "1921", "the mill opened in 1921.")


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterable[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return classifier(tmp_path_factory.mktemp("base"), ["a", "b"])


@pytest.fixture
def ckpt(tmp_path: Path, base: Path) -> Path:
    return checkpoint(tmp_path, base)


def ratings(model: str, texts: Sequence[str]) -> list[Rating]:
    """As a pipeline would get them, through the server that guards ask."""
    server = ClassifierDirectories()
    served = _Served(server)
    [done] = drive([("", all_rated(model, texts))], {"": served})
    assert isinstance(done, Done)
    assert not isinstance(done.result, Failure), done.result
    return done.result


class _Served:
    def __init__(self, server: ClassifierDirectories) -> None:
        self.run = server.run


# --- detoxify ------------------------------------------------------------------------------------


def test_scores_are_detoxifys_own_to_a_hundred_thousandth(ckpt: Path, base: Path) -> None:
    from detoxify import Detoxify

    theirs: dict[str, list[float]] = Detoxify(checkpoint=str(ckpt)).predict(list(TEXTS))
    ours = ratings(directory_of(str(ckpt)), TEXTS)
    assert set(theirs) == set(DETOXIFY)
    for label, column in theirs.items():
        assert [r.scores[label] for r in ours] == pytest.approx(column, abs=1e-5)


def test_of_one_text_there_is_one_rating_and_of_none_none(ckpt: Path) -> None:
    folder = directory_of(str(ckpt))
    assert len(ratings(folder, TEXTS[:1])) == 1
    assert ratings(folder, []) == []
    assert ratings(folder, TEXTS[:1])[0].scores == pytest.approx(ratings(folder, TEXTS)[0].scores, abs=1e-5)


def test_the_tail_of_a_long_text_is_judged(ckpt: Path) -> None:
    """Detoxify itself cuts it off, so both texts score the same there."""
    from detoxify import Detoxify

    start, tail = "the mill opened in 1921 . " * 12, "an idiot and a fool"
    theirs = Detoxify(checkpoint=str(ckpt)).predict([start, start + tail])
    assert theirs["toxicity"][0] == pytest.approx(theirs["toxicity"][1], abs=1e-6)
    benign, abusive = ratings(directory_of(str(ckpt)), [start, start + tail])
    assert len(abusive.windows) > 1
    assert max(abs(abusive.scores[label] - benign.scores[label]) for label in DETOXIFY) > 1e-3
    for label in DETOXIFY:
        assert abusive.scores[label] == max(window.scores[label] for window in abusive.windows)
    score, label, worst = abusive.worst(DETOXIFY)
    assert worst.scores[label] == score


def test_identities_that_are_labelled_too_do_not_count(ckpt: Path) -> None:
    rating = ratings(directory_of(str(ckpt)), TEXTS[:1])[0]
    assert set(rating.scores) == {*DETOXIFY, *IDENTITIES}
    assert toxic(rating.scores) == DETOXIFY


def test_a_checkpoint_whose_base_is_elsewhere_needs_to_be_told_where(tmp_path: Path, base: Path) -> None:
    path = checkpoint(tmp_path, base)
    held = torch.load(path, weights_only=True)
    held["config"]["arch"]["args"]["model_type"] = "bert-base-uncased"
    torch.save(held, path)
    with pytest.raises(ModelFailed, match=r'base = "\.\.\."'):
        directory_of(str(path), offline=True)
    assert ratings(directory_of(str(path), base=str(base), offline=True), TEXTS[:1])


def test_a_checkpoint_is_converted_once(ckpt: Path, base: Path) -> None:
    first = directory_of(str(ckpt))
    before = (Path(first) / "model.safetensors").stat().st_mtime_ns
    assert directory_of(str(ckpt)) == first
    assert (Path(first) / "model.safetensors").stat().st_mtime_ns == before
    assert directory_of(str(ckpt), base=str(base)) != first


class Harm:
    """What a hostile checkpoint does when it is unpickled."""

    def __reduce__(self) -> Any:
        return (Path.touch, (Path(self.marker),))

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)


def test_what_is_more_than_weights_is_not_unpickled_unless_it_is_trusted(tmp_path: Path, base: Path) -> None:
    marker = tmp_path / "ran"
    path = checkpoint(tmp_path, base, harm=Harm(marker))
    with pytest.raises(BadInput, match="could run anything"):
        directory_of(str(path))
    assert not marker.exists()
    assert ratings(directory_of(str(path), trust_pickle=True), TEXTS[:1])
    assert marker.exists()


def test_a_checkpoint_with_another_digest_is_refused(ckpt: Path) -> None:
    with pytest.raises(BadInput, match="not the digest that was asked for"):
        directory_of(str(ckpt), sha256="0" * 64)
    assert directory_of(str(ckpt), sha256=digest_file(ckpt).removeprefix("sha256:"))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", pickle.dumps({"a": 1})])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "strange.ckpt"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"strange\.ckpt"):
        directory_of(str(path))


@pytest.mark.parametrize(
    ("key", "value"),
    [("model_name", "AutoModelForCausalLM"), ("model_name", "pipeline"), ("num_classes", 5)],
)
def test_a_checkpoint_that_asks_for_something_else_is_refused(ckpt: Path, key: str, value: Any) -> None:
    held = torch.load(ckpt, weights_only=True)
    held["config"]["arch"]["args"][key] = value
    torch.save(held, ckpt)
    with pytest.raises(BadInput):
        directory_of(str(ckpt))


def test_the_published_names_are_detoxifys() -> None:
    from detoxify.detoxify import MODEL_URLS

    assert set(PUBLISHED) == set(MODEL_URLS)


@pytest.mark.parametrize("name", PUBLISHED)
def test_offline_a_published_model_that_is_not_here_is_not_fetched(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(DataAbsent, match="offline nothing is fetched"):
        make(GuardSettings(options={"model": name}, offline=True))


def test_a_published_model_with_another_digest_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ckpt: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    kept = tmp_path / "hub" / "checkpoints" / "toxic_original-c1212f89.ckpt"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(ckpt.read_bytes())
    with pytest.raises(BadInput, match="should begin with c1212f89"):
        directory_of("original", offline=True)


# --- directories and labels ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (("LABEL_0", "LABEL_1"), ("LABEL_1",)),
        (("non-toxic", "toxic"), ("toxic",)),
        (("NEUTRAL", "HATE"), ("HATE",)),
        (("male", "insult", "Hate Speech"), ("insult", "Hate Speech")),
    ],
)
def test_labels_that_mean_toxicity_are_known(labels: tuple[str, ...], found: tuple[str, ...]) -> None:
    assert toxic(labels) == found


def test_labels_that_nobody_knows_have_to_be_named(tmp_path: Path) -> None:
    folder = classifier(tmp_path / "c", ["good", "bad"])
    with pytest.raises(UsageError, match="which label means toxicity"):
        make(GuardSettings(options={"model": str(folder)}))
    with pytest.raises(UsageError, match="no label 'worse'"):
        make(GuardSettings(options={"model": str(folder), "labels": ["worse"]}))
    assert make(GuardSettings(options={"model": str(folder), "labels": ["bad"]})).labels == ("bad",)


@pytest.mark.parametrize(
    "settings",
    [
        GuardSettings(options={"modle": "x"}),
        GuardSettings(options={"model": "/no/such"}),
        GuardSettings(options={"function": "relu"}),
        GuardSettings(threshold=2),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: GuardSettings) -> None:
    with pytest.raises(UsageError):
        make(settings)


def test_without_a_classifier_the_guard_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(guards, "WEIGHTS", tmp_path)
    with pytest.raises(UsageError, match="comes without a classifier"):
        make(GuardSettings())


# --- the guard -----------------------------------------------------------------------------------


def test_it_keeps_the_contract_of_guards_that_ask(tmp_path: Path) -> None:
    folder = classifier(tmp_path / "c", ["fine", "toxic"])
    check_asking_guard(make(GuardSettings(options={"model": str(folder)})), ClassifierDirectories())


def judge(text: str, *, part: str = "user", longest: int = 1000, **settings: Any) -> Any:
    server = ScriptedClassifiers(script=lambda t: {"toxic": 0.9 if "vile" in t else 0.1}, longest=longest)
    made = guards.Toxicity(model="c", **settings)
    pipeline = pipeline_of(guards=[made], classifiers=server)
    exhibit = Exhibit(text=text, stage="input", part=part, question=Question.of("?"))
    [done] = drive([("", pipeline.case(exhibit.question).verdict(pipeline.guards[0], exhibit))], pipeline.targets())
    assert isinstance(done, Done)
    return done.result


def test_the_reason_says_what_was_found_where_and_quotes_nothing() -> None:
    verdict = judge("kind word " * 40 + "vile " + "kind word " * 40, longest=20, action=Action.BLOCK)
    assert verdict.action is Action.BLOCK
    assert "0.900 for toxic at characters" in verdict.reason
    assert "vile" not in verdict.reason
    start, end = verdict.spans[0]
    assert 0 < start < 400 < end < 805


def test_the_operators_own_system_message_is_not_judged() -> None:
    assert judge("vile", part="system").action is Action.ALLOW


def test_every_turn_document_and_answer_is_judged() -> None:
    server = ScriptedClassifiers(script=lambda t: {"toxic": 0.9 if "vile" in t else 0.1})
    pipeline = pipeline_of(guards=[guards.Toxicity(model="c", action=Action.BLOCK)], classifiers=server)
    assert pipeline.ask("Say something.").action is Action.ALLOW
    assert pipeline.ask("Say something vile.").action is Action.BLOCK
    assert pipeline.ask("Say something.", "A vile document.").action is Action.BLOCK
    turns = (Message("user", "vile"), Message("assistant", "No."), Message("user", "Sorry."))
    assert pipeline.ask(Question(messages=turns)).action is Action.BLOCK
    assert {v.part for v in pipeline.ask("Say something.").verdicts} == {"user", "answer"}


def test_masking_leaves_the_windows_that_are_harmless() -> None:
    server = ScriptedClassifiers(script=lambda t: {"toxic": 0.9 if "vile" in t else 0.1}, longest=20)
    made = guards.Toxicity(model="c", action=Action.REDACT, stages=frozenset({"output"}))
    pipeline = pipeline_of(guards=[made], classifiers=server)
    answer = pipeline.ask("kind word " * 60 + "vile")
    assert answer.action is Action.REDACT
    assert "vile" not in answer.text
    assert answer.text.startswith("echo: kind word")


def test_a_warning_lets_the_text_through_and_is_told() -> None:
    server = ScriptedClassifiers(script=lambda _: {"toxic": 0.9})
    answer = pipeline_of(guards=[guards.Toxicity(model="c")], classifiers=server).ask("Well?")
    assert (answer.action, answer.answered) == (Action.ALLOW, True)
    assert [w for w in answer.warnings if w.startswith("guard 'toxicity' warns of the answer: the answer scores 0.900")]


# --- in a pipeline file --------------------------------------------------------------------------


def assembled(model: Path, **table: Any) -> Any:
    guard = GuardTable(name="toxicity", options={"model": str(model)}, **table)
    return assemble(overridden(default().__class__(guards=(guard,)), strategy="direct"), Host.installed())


def test_a_scorer_without_evidence_warns_and_every_answer_says_why(tmp_path: Path) -> None:
    pipeline = assembled(classifier(tmp_path / "c", ["fine", "toxic"]), threshold=0.0)
    assert "how good this scorer is has not been measured" in pipeline.warnings[-1]
    assert pipeline.ask("the fox").action in {Action.ALLOW, Action.ABSTAIN}
    blocking = assembled(tmp_path / "c", threshold=0.0, action="block")
    assert not [w for w in blocking.warnings if "toxicity" in w]
    assert blocking.ask("the fox").action is Action.BLOCK


def test_the_digests_of_the_classifier_are_in_the_pipelines_identity(tmp_path: Path) -> None:
    one = classifier(tmp_path / "c", ["fine", "toxic"])
    same = classifier(tmp_path / "d", ["fine", "toxic"])
    before, elsewhere = assembled(one), assembled(same)
    assert before.guards[0].scorer == elsewhere.guards[0].scorer
    assert set(before.identity["guards"][0]["classifiers"][0]) >= {"weights", "tokenizer", "config"}
    classifier(one, ["fine", "toxic"], seed=1)
    after = assembled(one)
    assert after.digest != before.digest
    assert after.guards[0].scorer != before.guards[0].scorer


def test_a_directory_that_is_no_classifier_stops_the_pipeline_before_the_first_question(tmp_path: Path) -> None:
    tokenizer(tmp_path)
    with pytest.raises(BadInput, match=r"no config\.json"):
        assembled(tmp_path)
    assert CLASSIFIERS
