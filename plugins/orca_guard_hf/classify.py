"""Sequence and token classifiers from a directory: loaded once, all texts that wait read together, nothing cut off."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from torch import Tensor

from orca_guard.errors import BadInput, ModelFailed, OrcaGuardError, TextTooLong
from orca_guard.identity import digest_of
from orca_guard.types import Classification, Classify, Failure, TokenSpan
from orca_guard_hf.directory import inspect
from orca_guard_hf.hub import download
from orca_guard_hf.loader import LOADING, is_hub_id
from orca_guard_hf.loading import check_loaded, quiet, refusing
from orca_guard_hf.reader import AFTER_PADDING, Classifier, Reader

Function = Literal["auto", "sigmoid", "softmax", "none"]
_Text = str | tuple[str, str]
_Reported = tuple[Classify, Classification | Failure]
_HUGE = 1 << 30


class Classifiers:
    """Classifiers by the digest of their files.

    Args:
        device: where they go.
        trust_remote_code: whether code in their directories may run.
        offline: whether the hub is not asked.
        dtype: of their weights; a threshold means the same on every device only in single precision.
    """

    def __init__(
        self, *, device: torch.device, trust_remote_code: bool, offline: bool, dtype: torch.dtype = torch.float32
    ) -> None:
        self._device = device
        self._trust = trust_remote_code
        self._offline = offline
        self._dtype = dtype
        self._loaded: dict[str, Reader] = {}
        self._lock = threading.Lock()

    def classify(self, requests: Sequence[Classify], *, batch_size: int) -> Iterator[_Reported]:
        """Label scores for every text of the requests, those of one classifier read together.

        A request whose directory is no classifier, whose text is longer than it can read or whose scores are no numbers
        fails alone. Whatever torch raises comes through; requests that have no reply by then are not answered.
        """
        for model in dict.fromkeys(request.model for request in requests):
            mine = [request for request in requests if request.model == model]
            with self._lock:
                replies = self._answered(mine, model, batch_size)
            yield from replies

    def _answered(self, requests: Sequence[Classify], model: str, batch_size: int) -> list[_Reported]:
        try:
            reader = self._get(model)
        except OrcaGuardError as error:
            return [(request, Failure(error)) for request in requests]
        return _replies(requests, reader, batch_size)

    def load(self, reference: str) -> None:
        """Load a classifier, if it is not. Raises `OrcaGuardError` where that fails."""
        self._get(reference)

    def _get(self, reference: str) -> Reader:
        directory = inspect(located(reference, offline=self._offline, code=self._trust))
        key = digest_of(directory.digests(code=self._trust))
        if key not in self._loaded:
            with LOADING:
                more: Any = {"trust": self._trust, "dtype": self._dtype}
                self._loaded[key] = Reader(_load(directory.path, directory.config, self._device, **more))
        return self._loaded[key]


def located(reference: str, *, offline: bool, code: bool) -> Path:
    """The directory that a reference stands for. Raises as `hub.download` does."""
    path = Path(reference).expanduser()
    name, _, revision = reference.partition("@")
    if path.exists() or not is_hub_id(name):
        return path
    return download(name, revision=revision, offline=offline, code=code)[0]


def _load(
    path: Path, config: Mapping[str, Any], device: torch.device, *, trust: bool, dtype: torch.dtype
) -> Classifier:
    kind = _kind(path, config)
    tokens = kind is transformers.AutoModelForTokenClassification
    more = {"local_files_only": True, "trust_remote_code": trust}
    with refusing(f"the classifier in {path}"):
        loader: Any = transformers.AutoTokenizer
        tokenizer = loader.from_pretrained(path, **more)
        model, info = kind.from_pretrained(path, dtype=dtype, weights_only=True, output_loading_info=True, **more)
        check_loaded(info, path)
        model.to(device).eval()
    if tokens and not tokenizer.is_fast:
        raise BadInput(f"the tokenizer in {path} does not say where its tokens lie, which a token classifier needs.")
    labels = tuple(str(model.config.id2label[i]) for i in range(model.config.num_labels))
    return Classifier(
        model=model,
        tokenizer=tokenizer,
        labels=labels,
        tokens=tokens,
        longest=_longest(model.config, tokenizer),
        device=device,
    )


def _kind(path: Path, config: Mapping[str, Any]) -> Any:
    names = [str(name) for name in config.get("architectures") or ()]
    if any("SequenceClassification" in name for name in names):
        return transformers.AutoModelForSequenceClassification
    if any("TokenClassification" in name for name in names):
        return transformers.AutoModelForTokenClassification
    raise BadInput(f"{path} is no sequence or token classifier: its config.json says {', '.join(names) or 'nothing'}.")


def _longest(config: Any, tokenizer: Any) -> int:
    """What tokenizer and positions allow; models that count positions from the padding id hold that many fewer."""
    positions = getattr(config, "max_position_embeddings", None) or _HUGE
    if config.model_type in AFTER_PADDING:
        positions -= config.pad_token_id + 1
    return int(min(positions, tokenizer.model_max_length or _HUGE))


def _encode(classifier: Classifier, texts: Sequence[_Text], **more: Any) -> Any:
    """Tokenise without cutting, and without reading control tokens out of a text."""
    first = [text if isinstance(text, str) else text[0] for text in texts]
    second = [text[1] for text in texts if not isinstance(text, str)]
    if second and len(second) < len(first):
        raise BadInput("texts and pairs of texts cannot be classified in one request. Ask twice.")
    return classifier.tokenizer(first, second or None, truncation=False, split_special_tokens=True, **more)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request and what its tokenizer made of it."""

    request: Classify
    encoded: Any

    def rows(self) -> list[dict[str, list[int]]]:
        """What the network reads of each text."""
        names = [name for name in ("input_ids", "token_type_ids") if name in self.encoded]
        return [{name: self.encoded[name][n] for name in names} for n in range(len(self.request.texts))]


def _replies(requests: Sequence[Classify], reader: Reader, batch_size: int) -> list[_Reported]:
    classifier = reader.classifier
    replies: list[_Reported] = []
    asked: list[_Asked] = []
    for request in requests:
        try:
            asked.append(_Asked(request, _fitted(classifier, request.texts)))
        except OrcaGuardError as error:
            replies.append((request, Failure(error)))
    logits = iter(reader.logits([row for one in asked for row in one.rows()], batch_size=batch_size))
    for one in asked:
        mine = [next(logits) for _ in one.request.texts]
        try:
            replies.append((one.request, _classification(classifier, one, mine)))
        except OrcaGuardError as error:
            replies.append((one.request, Failure(error)))
    return replies


def _fitted(classifier: Classifier, texts: Sequence[_Text]) -> Any:
    """The texts' tokens. Raises `BadInput` where one has more than the classifier reads at once."""
    if not texts:
        return {"input_ids": []}
    with quiet():
        encoded = _encode(classifier, texts, return_offsets_mapping=classifier.tokens)
    for number, row in enumerate(encoded["input_ids"]):
        if len(row) > classifier.longest:
            raise TextTooLong(number=number, tokens=len(row), longest=classifier.longest)
    return encoded


def _classification(classifier: Classifier, asked: _Asked, logits: Sequence[Tensor]) -> Classification:
    function = _function(classifier, asked.request.function)
    rows = [_apply(one, function).tolist() for one in logits]
    if classifier.tokens:
        return Classification(spans=tuple(_spans(classifier, asked, rows)))
    return Classification(scores=tuple(_named(classifier, row) for row in rows))


def _spans(
    classifier: Classifier, asked: _Asked, rows: Sequence[Sequence[Sequence[float]]]
) -> Iterator[tuple[TokenSpan, ...]]:
    """Spans of each text; of a pair, those of its second text, in that text's characters."""
    for number, (text, row) in enumerate(zip(asked.request.texts, rows, strict=True)):
        wanted = 0 if isinstance(text, str) else 1
        owners = asked.encoded.sequence_ids(number)
        places = asked.encoded["offset_mapping"][number]
        yield tuple(
            TokenSpan(start=start, end=end, scores=_named(classifier, scores))
            for owner, (start, end), scores in zip(owners, places, row, strict=True)
            if owner == wanted and end > start
        )


def _function(classifier: Classifier, wanted: Function) -> Function:
    """As transformers decides for its pipelines; each token of a token classifier has one label."""
    problem = getattr(classifier.model.config, "problem_type", None)
    if wanted != "auto":
        return wanted
    if classifier.tokens:
        return "softmax"
    if problem == "regression":
        return "none"
    return "sigmoid" if problem == "multi_label_classification" or len(classifier.labels) == 1 else "softmax"


def _apply(logits: Tensor, function: Function) -> Tensor:
    if logits.isnan().any():
        raise ModelFailed("the classifier's output is not a number. Its weights may be damaged.")
    if function == "sigmoid":
        return logits.sigmoid()
    return logits.softmax(-1) if function == "softmax" else logits


def _named(classifier: Classifier, row: Sequence[float]) -> dict[str, float]:
    return dict(zip(classifier.labels, row, strict=True))
