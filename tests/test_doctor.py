"""What the doctor finds in plugins, models and benchmarks that are sick on purpose, and that it finds no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from orca_guard.bench import load_bench
from orca_guard.configuration import default, overridden
from orca_guard.contracts import ModelSpec
from orca_guard.doctor import diagnose, examine
from orca_guard.errors import DataAbsent, UnknownName
from orca_guard.freezing import freeze
from orca_guard.host import Host
from orca_guard.items import ACCURACY, Item, Kind, Metric
from orca_guard.testing.known import KnownLoader, KnownModel
from orca_guard.types import Finding, Generate, Health, Message, Question, Score
from tests.auditing import MODELS, arm, host, plugin, request
from tests.plugins.orca_guard_hf.conftest import CHATML, byte_level, llama

RATES, ASKED, PLACES = "log-likelihoods are numbers", "a few items can be asked", "gold stands in different places"
KNOWN = "known models get their scores"


def ill(findings: Iterable[Finding]) -> dict[tuple[str, str], str]:
    return {(f.about, f.name): f.detail for f in findings if f.health is Health.ILL}


def health(findings: Iterable[Finding], name: str) -> list[Health]:
    return [finding.health for finding in findings if finding.name == name]


def findings_of(by: Host, *suites: str, model: str = "oracle", data: Path | None = None) -> list[Finding]:
    return list(diagnose(arm(model).table, by, suites=suites, data=data))


# --- what is well ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(MODELS.keys() - {"nan", "infinite"}))
def test_known_models_are_well(name: str) -> None:
    findings = findings_of(host(), "basics", model=name)
    assert not ill(findings)
    assert health(findings, KNOWN) == [Health.WELL] * 2
    assert health(findings, "template, tokens, weights") == [Health.NOT_APPLICABLE]


def test_every_illness_says_what_to_do() -> None:
    extra = {"known": plugin(models=[KnownLoader(models=MODELS)]), "sick": plugin(strategies=[object()])}
    findings = findings_of(Host(extra=extra), "basics", model="nan")
    assert {about for about, _ in ill(findings)} == {"sick of extra 0", "model", "basics-choices"}
    assert all(f.advice for f in findings if f.health is Health.ILL)
    assert all(f.about and f.name for f in findings)


def test_a_name_that_nobody_provides_is_no_finding() -> None:
    for suites, table in (["basic"], arm().table), ([], overridden(default(), model="nosuch")):
        with pytest.raises(UnknownName):
            list(diagnose(table, host(), suites=suites))


# --- plugins -----------------------------------------------------------------------------------


def test_a_plugin_that_fails_is_named() -> None:
    broken = plugin(strategies=["no strategy"])
    findings = findings_of(Host(extra={"known": plugin(models=[KnownLoader(models=MODELS)]), "sick": broken}))
    [(place, detail)] = ill(findings).items()
    assert place == ("sick of extra 0", "loads")
    assert "which is no Strategy" in detail


def test_a_name_that_one_provides_twice_is_named() -> None:
    twice = plugin(models=[KnownLoader(models=MODELS), *(KnownLoader(models={}, name="twice") for _ in "ab")])
    [(place, detail)] = ill(findings_of(Host(extra={"known": twice}))).items()
    assert place == ("plugins", "model 'twice'")
    assert detail == "provided twice by plugin 'known' of extra 0, so neither is used"


def test_a_name_that_two_claim_is_named() -> None:
    twice = {name: plugin(models=[KnownLoader(models={}, name="twice")]) for name in "ab"}
    findings = findings_of(Host(extra={"known": plugin(models=[KnownLoader(models=MODELS)]), **twice}))
    [(place, detail)] = ill(findings).items()
    assert place == ("plugins", "model 'twice'")
    assert "'a'" in detail
    assert "'b'" in detail


def test_a_plugin_that_is_left_out_is_said_and_no_illness() -> None:
    by = Host(extra={"known": plugin(models=[KnownLoader(models=MODELS)])}, without=["recall"])
    findings = findings_of(by)
    assert not ill(findings)
    assert [f.detail for f in findings if f.about.startswith("recall ")] == ["left out: left out by --no-plugin"]


# --- models ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nan", "infinite"])
def test_likelihoods_that_are_no_numbers(name: str) -> None:
    assert set(ill(findings_of(host(), "basics", model=name))) == {("model", RATES), ("basics-choices", ASKED)}


def test_a_likelihood_above_certainty() -> None:
    certain = replace(MODELS["uniform"], name="certain", rates=lambda request: [0.5] * len(request.continuations))
    assert ("model", RATES) in ill(findings_of(host({"certain": certain}), model="certain"))


def test_a_model_that_cannot_answer() -> None:
    def raises(_: str) -> str:
        raise RuntimeError("out of order")

    found = ill(findings_of(host({"dead": replace(MODELS["uniform"], name="dead", writes=raises)}), model="dead"))
    assert set(found) == {("model", "generates"), ("model", "a question goes through")}
    assert "out of order" in found["model", "generates"]


def test_what_a_model_does_not_claim_is_not_asked_of_it() -> None:
    asked: list[Any] = []

    def rates(request: Score) -> list[float]:
        asked.append(request)
        return [0.0] * len(request.continuations)

    writer = replace(MODELS["uniform"], name="writer", rates=rates, requests=frozenset({Generate}))
    findings = findings_of(host({"writer": writer}), model="writer")
    assert not ill(findings)
    assert not asked
    assert health(findings, RATES) == [Health.NOT_APPLICABLE]


@dataclass(frozen=True, kw_only=True)
class Changing(KnownLoader):
    """Opens another model than it describes."""

    def open(self, spec: ModelSpec) -> KnownModel:
        return replace(super().open(spec), name="another")


def test_a_model_that_is_not_what_it_was_described_as() -> None:
    by = Host(extra={"known": plugin(models=[Changing(models=MODELS)])})
    assert 'model.name: "oracle" → "another"' in ill(findings_of(by))["model", "same described and loaded"]


@dataclass(frozen=True, kw_only=True)
class Telling(KnownModel):
    """Knows of itself whether it is well."""

    def examine(self) -> Iterable[Finding]:
        yield Finding(name="pulse", health=Health.ILL, detail="none", advice="call somebody")
        raise RuntimeError("fainted")


def test_what_only_the_model_can_tell_is_asked_of_it() -> None:
    telling = Telling(name="telling", writes=MODELS["uniform"].writes, rates=MODELS["uniform"].rates)
    found = ill(findings_of(host({"telling": telling}), model="telling"))
    assert found["model", "pulse"] == "none"
    assert "fainted" in found["model", "template, tokens, weights"]


# --- models from a directory -------------------------------------------------------------------


def directory(folder: Path, **tokenizer: Any) -> Path:
    llama(folder, vocabulary=len(byte_level(folder, **tokenizer)), max_position_embeddings=1024)
    return folder


def of_directory(folder: Path) -> dict[tuple[str, str], str]:
    table = overridden(default(), model=str(folder), strategy="direct", device_map="cpu", max_new_tokens=4)
    return ill(diagnose(table, Host(), suites=["basics"]))


def test_a_model_in_a_directory_is_well(tmp_path: Path) -> None:
    assert not of_directory(directory(tmp_path))


def test_a_template_with_two_first_tokens(tmp_path: Path) -> None:
    assert set(of_directory(directory(tmp_path, template="<s><s>" + CHATML))) == {("model", "one BOS")}


def test_a_special_token_that_is_split(tmp_path: Path) -> None:
    """The template writes what the tokenizer does not know; and a profile that names it does not even load."""
    folder = directory(tmp_path, special=["<unk>", "<s>", "</s>", "<pad>", "<|im_end|>"])
    assert set(of_directory(folder)) == {("model", "special tokens are whole")}
    (folder / "profile.toml").write_text('name = "strict"\n[special_tokens]\n"<|im_start|>" = 4\n')
    assert "needs 4" in of_directory(folder)["model", "loads"]


def test_weights_that_are_no_numbers(tmp_path: Path) -> None:
    file = directory(tmp_path) / "model.safetensors"
    weights: Mapping[str, Any] = load_file(file)
    weights["model.norm.weight"][:] = float("nan")
    save_file(dict(weights), file, {"format": "pt"})
    found = of_directory(tmp_path)
    assert set(found) == {
        ("model", "generates"),
        ("model", RATES),
        ("model", "weights are numbers"),
        ("model", "a question goes through"),
        ("basics-choices", ASKED),
        ("basics-questions", ASKED),
    }
    assert "not a number" in found["model", RATES]


# --- benchmarks --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Made:
    """A benchmark of given items."""

    made: tuple[Any, ...]
    name: str = "made"
    summary: str = "made for a test"
    version: str = "1"
    kind: Kind = "score"
    scoring: str = "likelihood"
    metrics: tuple[Metric, ...] = field(default=(ACCURACY,))

    def files(self, data: Path | None, /) -> Mapping[str, Path]:
        if data is None:
            return {}
        raise DataAbsent(f"nothing is in {data}")

    def items(self, _files: Mapping[str, Path], /) -> Iterable[Item]:
        for item in self.made:
            if isinstance(item, Exception):
                raise item
            yield item


def ending(number: int, gold: int, *, options: int = 4, **fields: Any) -> Item:
    continuations = tuple(f" word{n}" for n in range(options))
    made = Item(
        id=f"e{number}", request=Score(context=f"Once {number}", continuations=continuations), gold=(str(gold),)
    )
    return replace(made, **fields)


def letter(number: int, gold: str) -> Item:
    choices = ("red", "green", "blue", "pink")
    question = Question(
        messages=(Message("user", f"Which? {number}"),), choices=choices, form="letter", id=f"l{number}"
    )
    return Item(id=f"l{number}", question=question, gold=(gold,))


def of_items(items: Iterable[Any], *, data: Path | None = None, **fields: Any) -> list[Finding]:
    benchmark = Made(made=tuple(items), **fields)
    return findings_of(host(benchmarks=[benchmark]), "made", data=data)


QUESTIONS: dict[str, Any] = {"kind": "question", "scoring": "match"}


def test_a_gold_that_always_comes_first() -> None:
    for golds in ([0] * 8, [3] * 8):
        assert set(ill(of_items(ending(n, gold) for n, gold in enumerate(golds)))) == {("made", PLACES)}
    for gold in ("A", "red", "C"):
        assert set(ill(of_items((letter(n, gold) for n in range(8)), **QUESTIONS))) == {("made", PLACES)}


def test_a_gold_that_moves_is_well() -> None:
    assert health(of_items(ending(n, n % 4) for n in range(8)), PLACES) == [Health.WELL]
    assert health(of_items((letter(n, "ABCD"[n % 4]) for n in range(8)), **QUESTIONS), PLACES) == [Health.WELL]


def test_too_few_items_tell_nothing_of_places() -> None:
    assert health(of_items(ending(n, 0) for n in range(4)), PLACES) == [Health.NOT_APPLICABLE]
    assert health(of_items(ending(n, 0, options=1) for n in range(20)), PLACES) == [Health.NOT_APPLICABLE]


def test_all_right_is_no_place() -> None:
    """Whoever picks anything is right, and that is the benchmark's own business."""
    items = [replace(ending(n, 0), gold=("0", "1", "2", "3")) for n in range(20)]
    assert health(of_items(items), PLACES) == [Health.NOT_APPLICABLE]


def test_ids_that_two_items_share() -> None:
    found = ill(of_items([ending(1, 0), ending(2, 1), ending(1, 2)]))
    assert found == {("made", "ids are unique"): "e1 there more than once"}


def test_a_benchmark_that_scores_wrongly() -> None:
    """The gold is none of the choices, so even who knows everything gets nothing."""
    found = ill(of_items((letter(n, "E") for n in range(4)), **QUESTIONS))
    assert "oracle" in found["made", KNOWN]
    wrong = ill(of_items((ending(n, n % 4) for n in range(4)), scoring="unheard"))
    assert "unheard" in wrong["made", KNOWN]


@pytest.mark.parametrize("items", [[], [RuntimeError("torn")]])
def test_a_benchmark_without_items(items: list[Any]) -> None:
    assert set(ill(of_items(items))) == {("made", "has items")}


def test_data_that_is_not_there(tmp_path: Path) -> None:
    assert str(tmp_path) in ill(of_items([ending(1, 0)], data=tmp_path))["made", "has items"]


def test_items_that_do_not_fit_are_named() -> None:
    long = replace(letter(0, "A"), id="long")
    assert long.question
    long = replace(long, question=replace(long.question, messages=(Message("user", "word " * 99),)))
    items = (long, *(letter(n, "ABCD"[n % 4]) for n in range(1, 9)))
    small = {"small": replace(MODELS["uniform"], name="small", context=90)}
    by = host(small, benchmarks=[Made(made=items, kind="question", scoring="match")])
    findings = findings_of(by, "made", model="small")
    [fits] = [f for f in findings if f.name == "items fit the model"]
    assert (fits.health, fits.detail) == (Health.WELL, "1 of 9 do not and will not be asked: long")
    assert fits.advice
    alone = host(small, benchmarks=[Made(made=(long,), kind="question", scoring="match")])
    assert "none does" in ill(findings_of(alone, "made", model="small"))["made", "items fit the model"]


# --- before an audit ---------------------------------------------------------------------------


def before(*names: str, by: Host) -> list[Finding]:
    asked = request(*map(arm, names))
    frozen = freeze(asked, by)
    return examine(load_bench(asked.arms, frozen.plan, by), frozen.benchmarks, by)


def test_before_an_audit_everything_is_looked_at() -> None:
    findings = before("oracle", "uniform", by=host())
    assert not ill(findings)
    assert {f.about for f in findings} >= {"plugins", "model", "model-2", "basics-choices", "basics-questions"}
    assert [f.detail for f in findings if f.name == ASKED] == ["4 answers from 2 items"] * 2


def test_before_an_audit_the_sick_arm_is_found() -> None:
    found = ill(before("oracle", "nan", by=host()))
    assert set(found) == {("model-2", RATES), ("basics-choices", ASKED)}
    assert found["basics-choices", ASKED].startswith("2 of 4 ")
