"""Attested serving: what differs from what was measured, in whatever small thing, is refused and named."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner

from orca_guard import load
from orca_guard.attest import Attestation, attestation_of
from orca_guard.audit import Rank, run
from orca_guard.cli import host_of
from orca_guard.cli.attesting import attested_options
from orca_guard.configuration import PipelineTable, default, guards_of, overridden
from orca_guard.errors import BadInput, NotAttested
from orca_guard.host import Host
from orca_guard.journal.bundle import Bundle
from orca_guard.plan import Arm, BenchmarkTable
from orca_guard.testing.scripted import Plain
from tests.auditing import arm, audited, begun, host, request

GATE = {"benchmark": "basics-questions", "metric": "accuracy", "at_least": 0.0}
"""Which everybody passes: what is tested here is not how good a model is."""

POLICY = """
name = "far"
[[gates]]
benchmark = "far"
metric = "accuracy"
at_least = 0.1
kind = "capability"
because = "it is not measured here"
"""

SMALL = (BenchmarkTable(name="basics-questions", limit=16),)


def passed(folder: Path, *arms: Arm, by: Host | None = None, **settings: Any) -> Path:
    """A sealed run that passed."""
    asked = request(*arms, **{"benchmarks": SMALL, "gates": (GATE,), **settings})
    audit, seal = audited(asked, folder, by=by)
    assert settings or seal["verdict"] == "pass"
    return audit.bundle.root


def refusal(run: Path, table: PipelineTable, *, by: Host | None = None, **more: Any) -> NotAttested:
    """With which a pipeline is refused."""
    with pytest.raises(NotAttested) as caught:
        load(table, host=by or host(), attested=run, **more)
    assert caught.value.exit_code == 3
    return caught.value


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that passed, of the pipeline `arm()`."""
    return passed(tmp_path_factory.mktemp("oracle"), arm())


@pytest.fixture
def copied(oracle: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return Path(shutil.copytree(oracle, tmp_path / "copy"))


def test_what_was_measured_is_served(oracle: Path) -> None:
    pipeline = load(arm().table, host=host(), attested=oracle, max_age=timedelta(days=1))
    assert pipeline.digest == Bundle(oracle).read_plan()["arms"][0]["pipeline"]
    assert pipeline.notices[-1] == f"attested by arm 'oracle' of {oracle}"
    assert pipeline.ask("What is 2 + 2?").pipeline == pipeline.digest


# --- single drifts -----------------------------------------------------------------------------


def guarded(*names: str, **changes: Any) -> PipelineTable:
    """The measured pipeline with its guards in this order, and the first of them changed."""
    found = {guard.name: guard for guard in guards_of(default())}
    first, *rest = [found[name] for name in names]
    return msgspec.structs.replace(arm().table, guards=(msgspec.structs.replace(first, **changes), *rest))


ORDER = [guard.name for guard in guards_of(default())]
DRIFTS: dict[str, tuple[PipelineTable, str]] = {
    "system message": (arm(system="Be brief.").table, 'system: null → "Be brief."'),
    "guard threshold": (arm(guards=["length=7"]).table, "guards[1].threshold: null → 7"),
    "guard order": (guarded(*reversed(ORDER)), f'guards[0].name: "{ORDER[0]}" → "{ORDER[-1]}"'),
    "on_error": (guarded(*ORDER, on_error="abstain"), 'guards[0].on_error: "block" → "abstain"'),
    "decoding": (arm(temperature=0.5).table, "decoding.temperature: 0 → 0.5"),
}


@pytest.mark.parametrize("name", DRIFTS)
def test_a_single_drift_is_refused_and_named(oracle: Path, name: str) -> None:
    table, line = DRIFTS[name]
    found = refusal(oracle, table)
    assert line in found.difference
    assert "The nearest is arm 'oracle':" in str(found)
    assert set(found.difference) <= {line} or name in {"guard order", "system message"}


def test_the_text_of_a_strategy(tmp_path: Path) -> None:
    """A plugin whose files nobody can digest still answers for what it tells the model."""
    before, after = (host(strategies=[Plain(name="own", system=text)]) for text in ("Think.", "Think twice."))
    asked = arm(strategy="own")
    found = refusal(passed(tmp_path, asked, by=before), asked.table, by=after)
    assert found.difference == ('strategies[0].system: "Think." → "Think twice."',)


STRATEGY = """
from orca_guard.hookspecs import hookimpl
from orca_guard.testing.scripted import Plain

ORCA_GUARD_API = 1


@hookimpl
def strategies():
    return [Plain(name="theirs")]
"""


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """An installed distribution with a strategy, in the version that is asked for."""
    site = tmp_path / "site"
    monkeypatch.syspath_prepend(str(site))

    def install(version: str) -> None:
        shutil.rmtree(site, ignore_errors=True)
        info = site / f"acme_words-{version}.dist-info"
        info.mkdir(parents=True)
        (site / "acme_words.py").write_text(STRATEGY)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: acme-words\nVersion: {version}\n")
        (info / "entry_points.txt").write_text("[orca_guard]\nwords = acme_words\n")

    yield install
    sys.modules.pop("acme_words", None)


def test_the_version_of_a_plugin(tmp_path: Path, distribution: Callable[[str], None]) -> None:
    asked = arm(strategy="theirs")
    distribution("1.0")
    run = passed(tmp_path / "runs", asked)
    distribution("1.1")
    assert refusal(run, asked.table).difference == ('strategies[0].version: "1.0" → "1.1"',)


# --- real weights ------------------------------------------------------------------------------

Change = Callable[[Path], dict[str, Any]]


@dataclass(frozen=True)
class Served:
    """A model directory, an adapter for it, and a run that passed on the model without it."""

    model: Path
    adapter: Path
    run: Path

    def table(self, model: Path, **settings: Any) -> PipelineTable:
        wanted = {
            "model": str(model),
            "strategy": "direct",
            "max_new_tokens": 2,
            "dtype": "float32",
            "device_map": "cpu",
        }
        return overridden(default(), **{**wanted, **settings})


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    from tests.plugins.orca_guard_hf.conftest import byte_level, llama

    model = tmp_path_factory.mktemp("model")
    size: dict[str, Any] = {"hidden_size": 128, "intermediate_size": 256, "max_position_embeddings": 4096}
    llama(model, vocabulary=len(byte_level(model)), **size)
    assert (model / "model.safetensors").stat().st_size > 1 << 20, "large enough for its digest to be remembered"
    found = Served(model, tmp_path_factory.mktemp("adapter"), tmp_path_factory.mktemp("runs") / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        make_adapter(found)
        passed(found.run.parent, Arm("small", found.table(model)))
    return found


def make_adapter(found: Served) -> None:
    import peft

    from tests.plugins.orca_guard_hf.conftest import open_model

    settings = peft.LoraConfig(target_modules=["q_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    peft.get_peft_model(open_model(found.model).network.model, settings).save_pretrained(str(found.adapter))


def flipped(path: Path) -> None:
    """One bit of the last weight, in place, with the file's time put back."""
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)[0]
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def appended(path: Path, text: str) -> None:
    path.write_text(path.read_text("utf-8") + text, "utf-8")


CHANGES: dict[str, Callable[[Path], None]] = {
    "weights": lambda model: flipped(model / "model.safetensors"),
    "tokenizer": lambda model: appended(model / "tokenizer.json", "\n"),
    "template": lambda model: appended(model / "chat_template.jinja", "{# #}"),
}


@pytest.mark.filterwarnings("ignore::FutureWarning")  # peft asks transformers for what it is about to rename
class TestRealWeights:
    def test_what_was_measured_is_served(self, served: Served) -> None:
        assert load(served.table(served.model), attested=served.run).ask("the fox").error == ""

    @pytest.mark.parametrize("part", CHANGES)
    def test_a_file_that_changed_is_refused_and_named(self, served: Served, tmp_path: Path, part: str) -> None:
        """Also where all that can be seen without reading it is as before, and its digest is remembered."""
        model = Path(shutil.copytree(served.model, tmp_path / "model"))
        load(served.table(model), attested=served.run)
        CHANGES[part](model)
        found = refusal(served.run, served.table(model), by=Host.installed())
        wanted = {"weights": {"weights"}, "tokenizer": {"tokenizer"}, "template": {"template", "tokenizer"}}[part]
        assert {line.partition(":")[0] for line in found.difference} == {f"model.{name}" for name in wanted}

    def test_an_adapter(self, served: Served) -> None:
        found = refusal(served.run, served.table(served.model, adapter=str(served.adapter)), by=Host.installed())
        assert [line.partition("sha256")[0] for line in found.difference] == ['model.adapter: absent → "']

    def test_the_dtype(self, served: Served) -> None:
        found = refusal(served.run, served.table(served.model, dtype="bfloat16"), by=Host.installed())
        assert found.difference == ('model.dtype: "float32" → "bfloat16"',)


# --- runs that attest nothing ------------------------------------------------------------------


def test_a_run_that_is_not_sealed(tmp_path: Path) -> None:
    audit = begun(request(arm(), benchmarks=SMALL, gates=(GATE,)), tmp_path)
    assert "it is planned, and only a sealed run" in str(refusal(audit.bundle.root, arm().table))
    run(audit, host(), place=Rank(), told=lambda *_: None)
    assert "it is interrupted, and only a sealed run" in str(refusal(audit.bundle.root, arm().table))


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    assert "attests nothing: cannot read" in str(refusal(tmp_path / "absent", arm().table))


@pytest.mark.parametrize(
    ("gates", "model", "what"),
    [
        ((), "oracle", "its verdict is none: it has no gate"),
        ((GATE | {"at_least": 0.3},), "empty", "its verdict is fail"),
    ],
)
def test_a_verdict_that_is_no_pass(tmp_path: Path, gates: Any, model: str, what: str) -> None:
    found = passed(tmp_path, arm(model), gates=gates)
    assert what in str(refusal(found, arm(model).table))


def test_a_verdict_of_a_policy_that_judges_more_than_was_measured(tmp_path: Path) -> None:
    policy = tmp_path / "far.toml"
    policy.write_text(POLICY)
    found = passed(tmp_path, arm(), gates=(), policies=(str(policy),))
    assert "its verdict is inconclusive: there was not enough" in str(refusal(found, arm().table))


def test_an_arm_that_no_gate_has_judged(tmp_path: Path) -> None:
    """The pass is another arm's."""
    bare = arm("bare", model="oracle", no_guards=["length"])
    run = passed(tmp_path, arm(), bare, gates=(GATE | {"subject": "oracle"},))
    assert load(arm().table, host=host(), attested=run)
    assert "as arm 'bare', and no gate has judged that arm" in str(refusal(run, bare.table))


def test_gates_on_the_model_alone_judge_the_arms_around_it(tmp_path: Path) -> None:
    choices = {"benchmark": "basics-choices", "metric": "accuracy", "at_least": 0.0, "subject": "model"}
    arms = (arm(), arm("uniform"))
    run = passed(tmp_path, *arms, gates=(choices,), benchmarks=(BenchmarkTable(name="basics-choices", limit=16),))
    assert load(arms[0].table, host=host(), attested=run)
    assert "no gate has judged that arm" in str(refusal(run, arms[1].table))


def test_the_nearest_arm_is_shown(tmp_path: Path) -> None:
    run = passed(tmp_path, arm("far", model="uniform", temperature=0.7), arm("near", model="oracle"))
    found = refusal(run, arm("oracle", max_new_tokens=99).table)
    assert "The nearest is arm 'near':" in str(found)
    assert found.difference == ("decoding.max_new_tokens: 256 → 99",)


def test_a_whole_number_is_the_same_with_or_without_a_point(oracle: Path) -> None:
    """As a plan is read, 0.0 and 600.0 have become 0 and 600, and are shown as no difference."""
    assert Bundle(oracle).read_plan()["arms"][0]["identity"]["limits"]["deadline_s"].__class__ is int
    assert refusal(oracle, arm(retries=2).table).difference == ("limits.retries: 1 → 2",)


def test_an_identity_under_another_digest_is_no_arm(oracle: Path) -> None:
    [entry] = Bundle(oracle).read_plan()["arms"]
    odd = Attestation(run=oracle, arms=(entry | {"pipeline": "sha256:0"},), judged=frozenset({"oracle"}))
    pipeline = load(arm().table, host=host())
    with pytest.raises(NotAttested, match=f"pipeline: sha256:0 → {pipeline.digest}"):
        odd.check(pipeline)


def changed(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


TAMPERED: dict[str, Callable[[Path], None]] = {
    "a record": lambda run: changed(run / "journal-0.jsonl", '"mark":"pass"', '"mark":"fail"'),
    "the plan": lambda run: changed(run / "plan.json", '"temperature":0', '"temperature":1'),
    "the verdict": lambda run: changed(run / "seal.json", '"verdict":"pass"', '"verdict":"fail"'),
    "a figure": lambda run: changed(run / "seal.json", '"value":1', '"value":0'),
    "a record taken out": lambda run: without_line(run / "journal-0.jsonl", 1),
    "items": lambda run: changed(run / "items.jsonl", '"cluster":"', '"cluster":"x'),
    "no items": lambda run: (run / "items.jsonl").unlink(),
    "form": lambda run: changed(run / "seal.json", '"attempt":1', '"attempt": 1'),
}


def without_line(path: Path, number: int) -> None:
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:number] + lines[number + 1 :]), "utf-8")


@pytest.mark.parametrize("what", TAMPERED)
def test_a_run_that_was_tampered_with(copied: Path, what: str) -> None:
    TAMPERED[what](copied)
    assert "attests nothing" in str(refusal(copied, arm().table))


def test_a_pass_that_was_written_into_the_seal(tmp_path: Path) -> None:
    run = passed(tmp_path, arm("empty"), gates=(GATE | {"at_least": 0.3},))
    changed(run / "seal.json", '"verdict":"fail"', '"verdict":"pass"')
    found = refusal(run, arm("empty").table)
    assert "it is not as it was sealed:" in str(found)
    assert any("verdict" in line for line in found.difference)


# --- time --------------------------------------------------------------------------------------


def sealed_at(finished: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that passed when the clock said so."""
    for module in ("orca_guard.journal.shard", "orca_guard.sealing"):
        monkeypatch.setattr(f"{module}.utc_now", lambda: finished)
    return passed(folder, arm())


def test_too_old(oracle: Path) -> None:
    finished = datetime.fromisoformat(Bundle(oracle).read_seal()["finished"])

    def at(age: timedelta) -> Any:
        return attestation_of(oracle, max_age=timedelta(days=30), now=finished + age)

    assert at(timedelta(days=30)).judged == {"oracle"}
    with pytest.raises(NotAttested, match=r"30\.01 days ago, and 30 days is the most\. Audit again"):
        at(timedelta(days=30, minutes=10))


def test_too_old_by_the_clock_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = sealed_at("2020-01-01T00:00:00Z", tmp_path, monkeypatch)
    assert "days is the most" in str(refusal(run, arm().table, max_age=timedelta(days=30)))
    assert load(arm().table, host=host(), attested=run)


@pytest.mark.parametrize("max_age", [None, timedelta(days=30)])
def test_sealed_in_the_future(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_age: timedelta | None) -> None:
    later = datetime.now(UTC) + timedelta(hours=2)
    run = sealed_at(f"{later:%Y-%m-%dT%H:%M:%SZ}", tmp_path, monkeypatch)
    assert "One of the two clocks was wrong" in str(refusal(run, arm().table, max_age=max_age))


@pytest.mark.parametrize("finished", ["yesterday", "2020-01-01T00:00:00", ""])
def test_a_time_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finished: str) -> None:
    run = sealed_at(finished, tmp_path, monkeypatch)
    assert "attests nothing: when it was sealed" in str(refusal(run, arm().table))


def test_an_age_that_makes_no_sense(oracle: Path) -> None:
    with pytest.raises(BadInput, match="0 days or more"):
        load(arm().table, host=host(), attested=oracle, max_age=timedelta(days=-1))
    with pytest.raises(BadInput, match="goes with an attested run"):
        load(arm().table, host=host(), max_age=timedelta(days=1))


# --- options -----------------------------------------------------------------------------------


@click.command()
@attested_options
@click.pass_context
def serve(ctx: click.Context, /, **options: Any) -> None:
    """As `run` opens its pipeline."""
    click.echo(load(arm().table, host=host_of(ctx), **options).digest)


def called(*arguments: str | Path) -> Any:
    return CliRunner().invoke(serve, [str(argument) for argument in arguments], obj=host())


def test_options(oracle: Path) -> None:
    plain, attested = called(), called("--attested", oracle, "--max-age", "0.5")
    assert plain.output == attested.output != ""
    assert isinstance(called("--attested", oracle.parent).exception, NotAttested)
    assert isinstance(called("--attested", oracle, "--max-age", "-1").exception, BadInput)


@pytest.mark.parametrize("days", ["nan", "inf", "1e30", "soon"])
def test_days_that_are_none(oracle: Path, days: str) -> None:
    found = called("--attested", oracle, "--max-age", days)
    assert (found.exit_code, "Invalid value for '--max-age'" in found.output) == (2, True)
