"""`orca-guard run`: one prompt, a conversation, or a file of questions through the pipeline."""

from __future__ import annotations

import errno
import json
import math
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

import click

from orca_guard.cli import host_of
from orca_guard.cli.attesting import attested_options
from orca_guard.cli.streams import decoded, json_text, plain, read_all, read_lines, whole
from orca_guard.errors import BadInput, ExitCode


class _Path(click.Path):
    """A path; an empty one, which a shell makes of a variable that is not set, is not the current folder."""

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not os.fspath(value):
            self.fail("it is empty; name a file or a folder, or . for the current one", param, ctx)
        return super().convert(value, param, ctx)


class Range(click.FloatRange):
    """Numbers in a range; what is no number lies in none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Raises `click.BadParameter`."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is no number", param, ctx)
        return number


PATH = _Path(path_type=Path)
_MODEL = (
    click.option("--pipeline", type=PATH, metavar="FILE", help="Pipeline file; the options below change it."),
    click.option("--model", metavar="MODEL", help="A named model, directory, hub id, or server's address."),
    click.option("--adapter", metavar="DIR", help="Adapter (PEFT) on top of the model."),
    click.option("--profile", metavar="NAME|FILE", help="Profile of the model family, if it is not found."),
    click.option("--revision", metavar="REV", help="Revision on the hub: a commit, tag or branch."),
    click.option("--device-map", metavar="MAP", help="auto, balanced, sequential, a device, or JSON."),
    click.option("--max-memory", metavar="JSON", help='Most memory a device, as in \'{"0": "20GiB"}\'.'),
    click.option("--dtype", type=click.Choice(["auto", "float32", "bfloat16", "float16"]), help="Of weights."),
    click.option("--offline", is_flag=True, default=None, help="Never touch the network."),
)
_CHOICE = (
    click.option("--strategy", metavar="NAME", help="The one strategy to answer with."),
    click.option("--selector", metavar="NAME", help="How a strategy is picked."),
    click.option("--guard", "guards", multiple=True, metavar="NAME[=N]", help="Add a guard or set its limit."),
    click.option("--no-guard", "no_guards", multiple=True, metavar="NAME", help="Turn off; answers say so."),
)
_WRITING = (
    click.option("--system", metavar="TEXT", help="Replace every strategy's system message."),
    click.option("--max-new-tokens", type=int, metavar="N", help="Most tokens of one pass."),
    click.option("--temperature", type=float, metavar="T", help="0 is greedy."),
    click.option("--seed", type=int, metavar="N", help="Equal seeds give equal samples."),
)


def pipeline_options(command: Any) -> Any:
    """The options that make up a pipeline."""
    return _with(command, *_MODEL, *_CHOICE, *_WRITING)


def model_options(command: Any) -> Any:
    """Those of them that are left where strategies and guards are not for the caller to choose."""
    return _with(command, *_MODEL, *_WRITING)


def _with(command: Any, *options: Any) -> Any:
    for option in reversed(options):
        command = option(command)
    return command


@click.command(
    epilog="""\b
    Examples:
      orca-guard run "What is the capital of France?"
      orca-guard run --strategy extract-generate --context report.txt "Who signed it?"
      echo "What is 12 * 7?" | orca-guard run --strategy step-by-step --trace
      orca-guard run --file prompts.jsonl --out answers.jsonl
      orca-guard run --model ./Orca-2-7b --device-map auto --chat

    \b
    Exit codes: 0 answered (a file: every row was decided), 1 blocked or abstained,
    2 wrong usage or bad input, 3 could not judge, 4 internal error, 130 interrupted."""
)
@click.argument("prompt", required=False)
@click.option("--file", "file", type=PATH, metavar="FILE", help="Questions as JSONL: prompt or messages, context, id.")
@click.option("--out", type=PATH, metavar="FILE", help="Answers as JSONL; an interrupted run goes on from here.")
@click.option("--context", multiple=True, type=PATH, metavar="FILE", help="A text the answer should rest on.")
@click.option("--chat", is_flag=True, help="Ask turn after turn.")
@click.option("--stream", is_flag=True, help="Print all that the final pass writes, as it is written.")
@click.option("--trace", is_flag=True, help="Show every pass with its prompt, and every verdict.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer as JSON; with --chat a line a turn.")
@click.option("--cache", type=PATH, metavar="DIR", help="Ask the model only what is not kept here.")
@click.option("--log", "log_file", type=PATH, metavar="FILE", help="Append every decision, without texts.")
@click.option("--log-texts", is_flag=True, help="With --log: prompts and answers too.")
@attested_options
@pipeline_options
@click.pass_context
def run(ctx: click.Context, /, **options: Any) -> int:
    """Answer PROMPT, or what is piped in, or a file of questions, or turn after turn."""
    asked = {key: options.pop(key) for key in ("prompt", "file", "out", "context", "chat", "stream", "trace")}
    asked |= {key: options.pop(key) for key in ("as_json", "log_file", "log_texts")}
    _check(asked)
    if asked["file"]:
        return _file(ctx, asked, options)
    if asked["chat"]:
        return _chat(ctx, asked, options)
    return _single(ctx, asked, options)


def _check(asked: dict[str, Any]) -> None:
    modes = [name for name, on in (("PROMPT", asked["prompt"] is not None), ("--file", asked["file"]),
                                   ("--chat", asked["chat"])) if on]  # fmt: skip
    if len(modes) > 1:
        raise click.UsageError(f"{' and '.join(modes)} do not go together")
    for wrong, why in _rules(asked):
        if wrong:
            raise click.UsageError(why)


def _rules(asked: dict[str, Any]) -> tuple[tuple[bool, str], ...]:
    """Options that would be without effect, or spoil each other's."""
    file, out, stream, as_json = (bool(asked[key]) for key in ("file", "out", "stream", "as_json"))
    return (
        (out and not file, "--out goes with --file"),
        (
            file and (stream or bool(asked["context"])),
            "a file is not streamed, and its rows carry their own context",
        ),
        (file and as_json, "--json is without effect with --file, whose answers are JSON lines as it is; leave it out"),
        (out and asked["trace"], "--trace does not go with --out: leave --out away, and each row on stdout has passes"),
        (stream and as_json, "--stream and --json do not go together: JSON is printed when the answer is whole"),
        (asked["log_texts"] and not asked["log_file"], "--log-texts goes with --log"),
    )


def open_pipeline(ctx: click.Context, options: dict[str, Any], *, guarded: bool = True) -> Any:
    """The pipeline that the options describe, perhaps without its guards; a spinner shows while its model loads."""
    import msgspec  # noqa: PLC0415  # not before the options are known to be good

    from orca_guard.api import load, table_of  # noqa: PLC0415
    from orca_guard.cli.show import note, stderr  # noqa: PLC0415

    options = dict(options)
    cache = options.pop("cache", None)
    table = table_of(options.pop("pipeline"))
    if not guarded:
        table = msgspec.structs.replace(table, guards=())
    options = from_json(options)
    with stderr().status("loading the model"):
        pipeline = load(table, host=host_of(ctx), **options)
    if cache is not None:
        pipeline = _remembering(pipeline, cache)
    for notice in pipeline.notices:
        note(notice)
    return pipeline


def _remembering(pipeline: Any, folder: Path) -> Any:
    from dataclasses import replace  # noqa: PLC0415  # as above

    from orca_guard.cache import AnswerCache  # noqa: PLC0415

    return replace(pipeline, before=AnswerCache(folder).over(pipeline.model))


def from_json(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, decoded where they hold JSON. Raises `BadInput`."""
    found = dict(options)
    if found.get("max_memory"):
        found["max_memory"] = _json(found["max_memory"], "--max-memory")
    if (found.get("device_map") or "").startswith("{"):
        found["device_map"] = _json(found["device_map"], "--device-map")
    return found


def _json(text: str, option: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise BadInput(f"{option} is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadInput(f'{option} is a JSON object, as in {{"cpu": "20GiB"}}')
    return value


# --- one prompt --------------------------------------------------------------------------------


def _single(ctx: click.Context, asked: dict[str, Any], options: dict[str, Any]) -> int:
    from orca_guard.types import Question  # noqa: PLC0415  # as above

    prompt = _prompt(asked["prompt"])
    documents = [_read(path) for path in asked["context"]]
    with _log(asked) as log:
        pipeline = open_pipeline(ctx, options)
        question = Question.of(prompt, *documents)
        answer = _answered(pipeline, question, asked, log, indent=2)
    return int(answer.exit_code)


def _answered(pipeline: Any, question: Any, asked: dict[str, Any], log: Any, *, indent: int | None = None) -> Any:
    """The answer, logged and shown; shown even where it cannot be logged."""
    answer = _streamed(pipeline, question) if asked["stream"] else pipeline.ask(question)
    try:
        log(answer, question)
    finally:
        _present(answer, asked, indent=indent)
    return answer


def _present(answer: Any, asked: dict[str, Any], *, indent: int | None) -> None:
    from orca_guard.cli.show import show, trace  # noqa: PLC0415  # as above
    from orca_guard.rows import answer_row  # noqa: PLC0415

    if asked["as_json"]:
        click.echo(json_text(answer_row(answer, trace=asked["trace"]), indent=indent))
        return
    if asked["trace"]:
        trace(answer)
    show(answer, streamed=asked["stream"])


def _prompt(argument: str | None) -> str:
    if argument is None and sys.stdin.isatty():
        raise click.UsageError('nothing to answer: give a PROMPT, as in orca-guard run "What is 2 + 2?"')
    prompt = read_all().strip("\n") if argument in {None, "-"} else whole(argument, "the prompt")
    if not prompt.strip():
        raise BadInput("the prompt is empty")
    return prompt


def _read(path: Path) -> str:
    try:
        return decoded(path.read_bytes(), str(path))
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error


def _streamed(pipeline: Any, question: Any) -> Any:
    from orca_guard.cli.show import note  # noqa: PLC0415  # as above
    from orca_guard.types import Answer  # noqa: PLC0415

    if pipeline.held:
        note(f"held to the end: {pipeline.held}")
    begun = False
    for piece in pipeline.stream(question):
        if isinstance(piece, Answer):
            sys.stdout.write("\n" if begun else "")
            sys.stdout.flush()
            return piece
        sys.stdout.write(plain(piece))
        sys.stdout.flush()
        begun = True
    raise AssertionError("a stream ends with its answer")


@contextmanager
def _log(asked: dict[str, Any]) -> Iterator[Any]:
    """A function that appends a decision to `--log`, which is opened before anything is asked.

    A row that held no question is logged without one.
    """
    from orca_guard.rows import decision_row  # noqa: PLC0415  # as above
    from orca_guard.types import Question  # noqa: PLC0415

    path: Path | None = asked["log_file"]
    if path is None:
        yield lambda _answer, _question: None
        return

    def write(answer: Any, question: Question | None) -> None:
        row = decision_row(answer, question or Question(messages=()), texts=asked["log_texts"])
        line = json.dumps(row if question else row | {"question": None}, ensure_ascii=False).encode() + b"\n"
        with _writing(path):
            if file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with _writing(path):
        file = FileIO(path, "a")  # unbuffered: a line is written or an error, and nothing is left over
    try:
        yield write
    finally:
        with _writing(path):
            file.close()


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}") from error


# --- turn after turn ---------------------------------------------------------------------------


def _chat(ctx: click.Context, asked: dict[str, Any], options: dict[str, Any]) -> int:
    from orca_guard.cli.show import note  # noqa: PLC0415  # as above
    from orca_guard.types import Document, Message, Question  # noqa: PLC0415

    documents = tuple(Document(_read(path)) for path in asked["context"])
    with _log(asked) as log:
        pipeline = open_pipeline(ctx, options)
        if sys.stdin.isatty():
            note("Ctrl-D ends the conversation.")
        turns: tuple[Message, ...] = ()
        for prompt in read_lines("" if asked["as_json"] else "> "):
            if prompt.strip():
                question = Question(messages=(*turns, Message("user", prompt)), documents=documents)
                answer = _answered(pipeline, question, asked, log)
                if answer.answered:  # what was stopped is no part of the conversation
                    turns = (*question.messages, Message("assistant", answer.text))
    return ExitCode.DONE


# --- a file ------------------------------------------------------------------------------------


def _file(ctx: click.Context, asked: dict[str, Any], options: dict[str, Any]) -> int:
    from contextlib import nullcontext  # noqa: PLC0415  # as above

    from orca_guard.cli.show import note  # noqa: PLC0415
    from orca_guard.rows import AnswerFile, read_questions  # noqa: PLC0415

    rows = read_questions(asked["file"])
    with _log(asked) as log:
        pipeline = open_pipeline(ctx, options)
        out = asked["out"]
        opened = AnswerFile(out, rows, identity=pipeline.identity, digest=pipeline.digest) if out else nullcontext()
        with opened as answers:
            done = answers.done if answers else set()
            if done:
                note(f"{len(done)} of {len(rows)} are already answered")
            if answers and answers.again:
                note(f"{answers.again} have changed since and are asked again")
            counts = _answer_rows(pipeline, rows, answers, log, trace=asked["trace"], done=done)
    note(", ".join(f"{n} {action}" for action, n in sorted(counts.items())) or "nothing left to do")
    return ExitCode.INCONCLUSIVE if counts["error"] else ExitCode.DONE


def _answer_rows(pipeline: Any, rows: Any, answers: Any, log: Any, *, trace: bool, done: set[str]) -> Counter[str]:
    from orca_guard.cli.show import note, progress  # noqa: PLC0415  # as above
    from orca_guard.rows import answer_row, pending, refused_row  # noqa: PLC0415

    counts: Counter[str] = Counter()

    def record(answer: Any, question: Any) -> None:
        counts["error" if answer.error else answer.action.value] += 1
        try:
            log(answer, question)
        finally:
            if answers:
                answers.write(answer)
            else:
                click.echo(json_text(answer_row(answer, trace=trace)))
        bar.update(bar.task_ids[0], advance=1)

    todo = list(pending(rows, done))
    try:
        with progress(len(todo)) as bar:
            for row in todo:
                if row.question is None:
                    record(refused_row(row, pipeline=pipeline.digest), None)
            for question, answer in pipeline.batch([row.question for row in todo if row.question]):
                record(answer, question)
    except KeyboardInterrupt:
        again = "run the same command again to go on" if answers else "with --out the next run would go on from here"
        note(f"{len(done) + sum(counts.values())} of {len(rows)} answered; {again}", style="yellow")
        raise
    return counts
