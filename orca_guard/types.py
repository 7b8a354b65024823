"""The frozen nouns: what goes in, what is asked of a model, what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal, TypeAlias

Role: TypeAlias = Literal["system", "user", "assistant"]
AnswerForm: TypeAlias = Literal["free", "letter", "number", "span"]
Stage: TypeAlias = Literal["input", "output"]
Scope: TypeAlias = Literal["window", "whole"]


# --- what is asked of the pipeline -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Document:
    """A text the answer should rest on."""

    text: str
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Everything a strategy may know of one item.

    Attributes:
        messages: the turns so far; the last one is the user's.
        documents: texts that belong to the last turn.
        choices: options of a multiple-choice question, without their letters.
        form: what shape the answer has.
        id: names the item in records and in the seeds of its generations.
    """

    messages: tuple[Message, ...]
    documents: tuple[Document, ...] = ()
    choices: tuple[str, ...] = ()
    form: AnswerForm = "free"
    id: str = ""

    @classmethod
    def of(cls, prompt: str, *documents: str, id: str = "") -> Question:
        """A question of one user turn."""
        return cls(messages=(Message("user", prompt),), documents=tuple(map(Document, documents)), id=id)

    @property
    def prompt(self) -> str:
        """The last user turn."""
        return self.messages[-1].content

    def with_turn(self, answer: str, prompt: str) -> Question:
        """The conversation continued by the model's answer and the user's next turn."""
        return replace(self, messages=(*self.messages, Message("assistant", answer), Message("user", prompt)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """How tokens are chosen.

    Attributes:
        max_new_tokens: most tokens of one generation.
        temperature: 0 is greedy.
        top_p: nucleus; 1 keeps everything.
        top_k: 0 keeps everything.
        stop: strings that end a generation and are not part of it.
        seed: the run's seed; each generation derives its own from it.
    """

    max_new_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    stop: tuple[str, ...] = ()
    seed: int = 0


# --- requests: what a generator yields ---------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Generate:
    """Continue a conversation by one assistant turn.

    A strategy sets `messages`, `name`, `final` and, where it needs to, `max_new_tokens`, `sample` and `stop`;
    the pipeline fills in the rest before the request reaches a model.

    Attributes:
        messages: turns without a system message; the pipeline puts the right one in front.
        name: of the pass, for the trace.
        final: the reply holds the answer, so it may be streamed.
        max_new_tokens: a tighter limit than the pipeline's, if any.
        sample: tells repeated samples of the same prompt apart.
        temperature: in place of the pipeline's, for samples that should differ; None leaves that.
        stop: strings that end this generation, added to the pipeline's.
        raw: the last turn's text is continued as it stands: no template, no system message, no other turn.
        target: which model; empty is the pipeline's.
        decoding: how tokens are chosen.
        seed: of this generation.
        deadline: a `time.monotonic()` after which the model should stop; no part of the request's identity.
        stream: whether partial replies are wanted; no part of the request's identity.
    """

    messages: tuple[Message, ...]
    name: str = "answer"
    final: bool = True
    max_new_tokens: int | None = None
    sample: int = 0
    temperature: float | None = None
    stop: tuple[str, ...] = ()
    raw: bool = False
    target: str = ""
    decoding: Decoding = Decoding()
    seed: int = 0
    deadline: float | None = field(default=None, compare=False)
    stream: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Log-likelihood of each continuation after a context.

    Attributes:
        messages: a conversation rendered with the model's template, opened up to where the text of the assistant's
            turn begins; or empty.
        context: raw text instead of a conversation.
        continuations: scored one by one after the same context.
        target: which model; empty is the pipeline's.
    """

    continuations: tuple[str, ...]
    messages: tuple[Message, ...] = ()
    context: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Embed:
    """A vector for each text: mean of the last hidden states over its tokens."""

    texts: tuple[str, ...]
    target: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Classify:
    """Label scores for texts, or pairs of texts, by the classifier in a directory.

    Attributes:
        model: directory (or hub id) of a sequence or token classifier.
        texts: one text, or premise and hypothesis, each.
        function: how logits become scores; `auto` follows the classifier's own configuration.
        target: which model plugin serves it; empty is the pipeline's.
    """

    model: str
    texts: tuple[str | tuple[str, str], ...]
    function: Literal["auto", "sigmoid", "softmax", "none"] = "auto"
    target: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrace:
    """Follow recorded tokens: is this what the model would have written, token by token, by always taking the best?

    Attributes:
        request: what was asked, as the model got it.
        ids: of the tokens that were written, the one that ended the answer not among them.
        target: which model; empty is the pipeline's.
    """

    request: Generate
    ids: tuple[int, ...]
    target: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Ask a text guard for its verdict. Only the pipeline makes these."""

    exhibit: Exhibit
    target: str


Request: TypeAlias = Generate | Score | Embed | Classify | Retrace | Judge
Requests: TypeAlias = Request | tuple[Request, ...]


# --- replies: what a generator is sent ---------------------------------------------------------


Finish: TypeAlias = Literal["stop", "length", "deadline"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """The reply to `Generate`.

    Attributes:
        text: the assistant's turn, without stop strings and special tokens.
        finish: `stop` by itself, `length` when cut, `deadline` when time ran out.
        prompt: the rendered prompt, exactly as the model saw it; empty where only a server knows.
        prompt_tokens: tokens of the rendered prompt.
        new_tokens: tokens generated, the stop token not counted.
        ids: of those tokens; None where only a server knows.
        seconds: wall time of the batch it was part of.
        logprob: mean natural log-probability of those tokens, before temperature and cuts; None where nobody knows.
        entropy: mean entropy in nats of what they were chosen from, likewise. Both say how sure the model was of its
            words, and neither whether they are true.
        cached: it was kept from an earlier run; so in every reply that can be.
    """

    text: str
    finish: Finish = "stop"
    prompt: str = ""
    prompt_tokens: int = 0
    new_tokens: int = 0
    ids: tuple[int, ...] | None = None
    seconds: float = field(default=0.0, compare=False)
    logprob: float | None = field(default=None, compare=False)
    entropy: float | None = field(default=None, compare=False)
    cached: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Likelihood:
    """Of one continuation: natural log-probability, its tokens, and whether greedy decoding would write it."""

    logprob: float
    tokens: int
    greedy: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """The reply to `Score`, in the order of the continuations."""

    likelihoods: tuple[Likelihood, ...]
    cached: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """The reply to `Embed`: one vector a text."""

    vectors: tuple[tuple[float, ...], ...]
    cached: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSpan:
    """One token of a token classifier: characters `[start, end)` of the text, with its label scores.

    Of a pair, the text is its second part.
    """

    start: int
    end: int
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """The reply to `Classify`: label scores a text, or for a token classifier the spans of each text."""

    scores: tuple[Mapping[str, float], ...] = ()
    spans: tuple[tuple[TokenSpan, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Retraced:
    """The reply to `Retrace`. All likelihoods are in nats, computed in one forward over prompt and tokens.

    Attributes:
        prompt: the rendered prompt, exactly as the model saw it.
        text: what the tokens say, cut at a stop string as an answer would be.
        finish: how an answer of these tokens ends: at a stop string, or at its limit; None where only a token that
            ends the turn could have ended it.
        logprobs: of every token.
        shortfalls: how far every token lies below the most likely one; 0 where it is the most likely.
        end: how far the likeliest token that ends the turn lies below the most likely one, after the last.
    """

    prompt: str
    text: str
    finish: Finish | None
    logprobs: tuple[float, ...]
    shortfalls: tuple[float, ...]
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """A streamed generation so far: the whole text, not the increment, and its tokens where they are known."""

    text: str
    prompt_tokens: int = 0
    new_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one request has no reply. `error` is thrown into the generator that asked."""

    error: Exception


# --- what comes out ----------------------------------------------------------------------------


class Outcome(StrEnum):
    """What reading made of a segment."""

    EXTRACTED = "extracted"
    AMBIGUOUS = "ambiguous"
    ABSENT = "absent"
    TRUNCATED = "truncated"
    REFUSED = "refused"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Where a strategy says the final answer stands.

    Attributes:
        text: everything the final pass wrote.
        answer: the part of `text` that is the answer; None where the strategy looked for one and found none.
        finish: how the final pass ended.
    """

    text: str
    answer: str | None
    finish: Finish = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A segment read for its value: a letter, a number, a span or free text."""

    outcome: Outcome
    value: str | None = None


class Action(StrEnum):
    """What a guard wants done, from harmless to severe. WARN lets the text through, and the answer says so."""

    ALLOW = "allow"
    WARN = "warn"
    REDACT = "redact"
    REVISE = "revise"
    ABSTAIN = "abstain"
    BLOCK = "block"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibit:
    """A text put before a guard, with the question it belongs to.

    Attributes:
        text: to be judged: a turn or document of the question, or the answer.
        stage: whether it goes into the model or came out of it.
        part: which text: `system`, `user`, `assistant`, `document` or `answer`.
        question: the item it belongs to.
    """

    text: str
    stage: Stage
    part: str
    question: Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one guard says of one exhibit.

    Attributes:
        guard: its name; the pipeline fills it in.
        action: what it wants done.
        score: the number behind it, where there is one.
        threshold: the operating point the score was held against.
        reason: a sentence for the person who asked; it says what was found and does not quote it.
        spans: characters `[start, end)` that REDACT would mask.
        stage: of the exhibit; the pipeline fills it in.
        part: of the exhibit; the pipeline fills it in.
        seconds: how long the guard took for the batch.
        on_error: what an ERROR led to, by this guard's configuration; None on every other verdict.
    """

    action: Action
    reason: str = ""
    score: float | None = None
    threshold: float | None = None
    spans: tuple[tuple[int, int], ...] = ()
    guard: str = ""
    stage: Stage = "output"
    part: str = ""
    seconds: float = field(default=0.0, compare=False)
    on_error: Action | None = None


Reply: TypeAlias = Generation | Scores | Embedding | Classification | Retraced | Verdict
Replies: TypeAlias = Reply | tuple[Reply, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One generation as it happened, for the trace."""

    name: str
    strategy: str
    messages: tuple[Message, ...]
    generation: Generation


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One strategy tried on a question, what it found, and what the guards make of that."""

    strategy: str
    segment: Segment
    action: Action
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the pipeline gives back, whatever happened.

    Attributes:
        id: of the question.
        action: ALLOW or REDACT with an answer; BLOCK or ABSTAIN without; ERROR when nothing could be judged.
        final: the answer itself; empty unless the action is ALLOW or REDACT.
        text: everything the final pass wrote; empty likewise.
        outcome: what reading made of it; None when the model was not asked or its text is withheld.
        value: the letter, number or span read out of it.
        segment: what reading saw; None where there is no answer.
        strategy: the last one tried; empty when none was.
        verdicts: of every guard, in the order they were asked.
        reason: why there is no answer, or what was changed in it.
        error: what went wrong, when that decided the action.
        error_code: the exit code that goes with `error`; 0 without one.
        passes: the trace; texts are withheld from it when the answer is.
        form: how the model went about it, where it chose for itself and a recogniser is fitted.
        tokens: prompt and new tokens over all passes.
        seconds: wall time from question to answer.
        pipeline: digest of everything that decided it.
        warnings: what went wrong without deciding anything.
    """

    id: str
    action: Action
    final: str = ""
    text: str = ""
    outcome: Outcome | None = None
    value: str | None = None
    segment: Segment | None = None
    strategy: str = ""
    verdicts: tuple[Verdict, ...] = ()
    reason: str = ""
    error: str = ""
    error_code: int = 0
    passes: tuple[Pass, ...] = ()
    form: str = ""
    tokens: tuple[int, int] = (0, 0)
    seconds: float = field(default=0.0, compare=False)
    pipeline: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def answered(self) -> bool:
        """Whether there is a text to show."""
        return self.action in {Action.ALLOW, Action.REDACT}

    @property
    def exit_code(self) -> int:
        """0 answered, 1 blocked or abstained, otherwise what `error` means."""
        return self.error_code or (0 if self.answered else 1)


# --- what observers are told -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """A run is about to ask its first question."""

    pipeline: str
    questions: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRecorded:
    """One question has its answer."""

    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished:
    """A run is over; `actions` counts what became of its questions."""

    pipeline: str
    actions: Mapping[str, int]
    interrupted: bool


# --- what an examination finds -----------------------------------------------------------------


class Health(StrEnum):
    """Whether something that was examined can be relied on."""

    WELL = "well"
    ILL = "ill"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found of one thing that was examined.

    Attributes:
        name: of what was looked at, in a few words.
        health: well, ill, or not applicable here.
        detail: what was seen.
        advice: what to do next; empty where nothing is to be done.
        about: which plugin, model or benchmark; whoever asked for the examination fills it in.
    """

    name: str
    health: Health
    detail: str = ""
    advice: str = ""
    about: str = ""
