"""`orca-guard run`: one prompt, a conversation, or a file of questions through the pipeline."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import click

from orca_guard.cli import host_of
from orca_guard.errors import BadInput, ExitCode

PATH = click.Path(path_type=Path)


def pipeline_options(command: Any) -> Any:
    """The options that make up a pipeline; any command that needs one takes them all."""
    for option in reversed(
        (
            click.option("--pipeline", type=PATH, metavar="FILE", help="Pipeline file; the options below change it."),
            click.option("--model", metavar="MODEL", help="A named model, directory, hub id, or server's address."),
            click.option("--adapter", metavar="DIR", help="Adapter (PEFT) on top of the model."),
            click.option("--profile", metavar="NAME|FILE", help="Profile of the model family, if it is not found."),
            click.option("--revision", metavar="REV", help="Revision on the hub: a commit, tag or branch."),
            click.option("--device-map", metavar="MAP", help="auto, balanced, sequential, a device, or JSON."),
            click.option("--max-memory", metavar="JSON", help='Most memory a device, as in \'{"0": "20GiB"}\'.'),
            click.option("--dtype", type=click.Choice(["auto", "float32", "bfloat16", "float16"]), help="Of weights."),
            click.option("--offline", is_flag=True, default=None, help="Never touch the network."),
            click.option("--strategy", metavar="NAME", help="The one strategy to answer with."),
            click.option("--selector", metavar="NAME", help="How a strategy is picked."),
            click.option("--system", metavar="TEXT", help="Replace every strategy's system message."),
            click.option("--guard", "guards", multiple=True, metavar="NAME[=N]", help="Add a guard or set its limit."),
            click.option("--no-guard", "no_guards", multiple=True, metavar="NAME", help="Turn off; answers say so."),
            click.option("--max-new-tokens", type=int, metavar="N", help="Most tokens of one pass."),
            click.option("--temperature", type=float, metavar="T", help="0 is greedy."),
            click.option("--seed", type=int, metavar="N", help="Equal seeds give equal samples."),
        )
    ):
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
@click.option("--stream", is_flag=True, help="Show the answer while it is written.")
@click.option("--trace", is_flag=True, help="Show every pass with its prompt, and every verdict.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer as JSON.")
@click.option("--log", "log_file", type=PATH, metavar="FILE", help="Append every decision, without texts.")
@click.option("--log-texts", is_flag=True, help="With --log: prompts and answers too.")
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
    modes = [name for name, on in (("PROMPT", asked["prompt"]), ("--file", asked["file"]), ("--chat", asked["chat"]))
             if on]  # fmt: skip
    if len(modes) > 1:
        raise click.UsageError(f"{' and '.join(modes)} do not go together")
    if asked["out"] and not asked["file"]:
        raise click.UsageError("--out goes with --file")
    if asked["file"] and (asked["stream"] or asked["context"]):
        raise click.UsageError("a file is not streamed, and its rows carry their own context")
    if asked["log_texts"] and not asked["log_file"]:
        raise click.UsageError("--log-texts goes with --log")


def open_pipeline(ctx: click.Context, options: dict[str, Any]) -> Any:
    """The pipeline that the options describe, with a spinner while its model loads."""
    from orca_guard.api import load, table_of  # noqa: PLC0415  # not before the options are known to be good
    from orca_guard.cli.show import note, stderr  # noqa: PLC0415

    options = dict(options)
    table = table_of(options.pop("pipeline"))
    if options.get("max_memory"):
        options["max_memory"] = _json(options["max_memory"], "--max-memory")
    if (options.get("device_map") or "").startswith("{"):
        options["device_map"] = _json(options["device_map"], "--device-map")
    with stderr().status("loading the model"):
        pipeline = load(table, host=host_of(ctx), **options)
    for notice in pipeline.notices:
        note(notice)
    return pipeline


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
    from orca_guard.cli.show import show, trace  # noqa: PLC0415  # as above
    from orca_guard.rows import answer_row  # noqa: PLC0415
    from orca_guard.types import Question  # noqa: PLC0415

    prompt = _prompt(asked["prompt"])
    documents = [_read(path) for path in asked["context"]]
    with _log(asked) as log:
        pipeline = open_pipeline(ctx, options)
        question = Question.of(prompt, *documents)
        answer = _streamed(pipeline, question) if asked["stream"] else pipeline.ask(question)
        log(answer, question)
    if asked["trace"] and not asked["as_json"]:
        trace(answer)
    if asked["as_json"]:
        click.echo(json.dumps(answer_row(answer, trace=asked["trace"]), indent=2, ensure_ascii=False))
    else:
        show(answer, streamed=asked["stream"] and answer.answered)
    return int(answer.exit_code)


def _prompt(argument: str | None) -> str:
    if argument is None or argument == "-":
        if argument is None and sys.stdin.isatty():
            raise click.UsageError('nothing to answer: give a PROMPT, as in orca-guard run "What is 2 + 2?"')
        prompt = _decoded(sys.stdin.buffer.read(), "stdin")
    else:
        prompt = argument
        if not prompt.isascii() and any("\ud800" <= c <= "\udfff" for c in prompt):
            raise BadInput("the prompt is not UTF-8 text")
    if not prompt.strip():
        raise BadInput("the prompt is empty")
    return prompt.strip("\n") if argument in {None, "-"} else prompt


def _read(path: Path) -> str:
    try:
        return _decoded(path.read_bytes(), str(path))
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error


def _decoded(data: bytes, source: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{source} is not UTF-8 text: byte {data[error.start]:#04x} at {error.start}") from error


def _streamed(pipeline: Any, question: Any) -> Any:
    from orca_guard.cli.show import note, plain  # noqa: PLC0415  # as above
    from orca_guard.types import Answer  # noqa: PLC0415

    if pipeline.held:
        note(f"held to the end: {pipeline.held}")
    for piece in pipeline.stream(question):
        if isinstance(piece, Answer):
            return piece
        sys.stdout.write(plain(piece))
        sys.stdout.flush()
    raise AssertionError("a stream ends with its answer")


@contextmanager
def _log(asked: dict[str, Any]) -> Iterator[Any]:
    """A function that appends a decision to `--log`, which is opened before anything is asked."""
    from orca_guard.rows import decision_row  # noqa: PLC0415  # as above

    path: Path | None = asked["log_file"]
    if path is None:
        yield lambda _answer, _question: None
        return

    def write(answer: Any, question: Any) -> None:
        row = decision_row(answer, question, texts=asked["log_texts"])
        try:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()
        except OSError as error:
            raise BadInput(f"cannot write {path}: {error.strerror}") from error

    with _opened(path) as file:
        yield write


def _opened(path: Path) -> TextIO:
    try:
        return path.open("a", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}") from error


# --- turn after turn ---------------------------------------------------------------------------


def _chat(ctx: click.Context, asked: dict[str, Any], options: dict[str, Any]) -> int:
    from orca_guard.cli.show import note, show, trace  # noqa: PLC0415  # as above
    from orca_guard.types import Document, Message, Question  # noqa: PLC0415

    documents = tuple(Document(_read(path)) for path in asked["context"])
    with _log(asked) as log:
        pipeline = open_pipeline(ctx, options)
        if sys.stdin.isatty():
            note("Ctrl-D ends the conversation.")
        turns: tuple[Message, ...] = ()
        for prompt in _turns():
            question = Question(messages=(*turns, Message("user", prompt)), documents=documents)
            answer = _streamed(pipeline, question) if asked["stream"] else pipeline.ask(question)
            log(answer, question)
            if asked["trace"]:
                trace(answer)
            show(answer, streamed=asked["stream"] and answer.answered)
            if answer.answered:  # what was stopped is no part of the conversation
                turns = (*question.messages, Message("assistant", answer.text))
    return ExitCode.DONE


def _turns() -> Iterator[str]:
    while True:
        try:
            prompt = input("> " if sys.stdin.isatty() else "")
        except EOFError:
            return
        except UnicodeDecodeError as error:
            raise BadInput("stdin is not UTF-8 text") from error
        if prompt.strip():
            yield prompt


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

    def record(answer: Any) -> None:
        counts["error" if answer.error else answer.action.value] += 1
        if answers:
            answers.write(answer)
        else:
            click.echo(json.dumps(answer_row(answer, trace=trace), ensure_ascii=False))
        bar.update(bar.task_ids[0], advance=1)

    todo = list(pending(rows, done))
    try:
        with progress(len(todo)) as bar:
            for row in todo:
                if row.question is None:
                    record(refused_row(row, pipeline=pipeline.digest))
            for question, answer in pipeline.batch([row.question for row in todo if row.question]):
                record(answer)
                log(answer, question)
    except KeyboardInterrupt:
        again = "run the same command again to go on" if answers else "with --out the next run would go on from here"
        note(f"{len(done) + sum(counts.values())} of {len(rows)} answered; {again}", style="yellow")
        raise
    return counts
