"""Sequence and token classifiers from a directory: loaded once, one forward a batch, nothing cut off."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from torch import Tensor

from orca_guard.errors import BadInput, ModelFailed, TextTooLong
from orca_guard.identity import digest_of
from orca_guard.types import Classification, Classify, TokenSpan
from orca_guard_hf.directory import inspect
from orca_guard_hf.hub import download
from orca_guard_hf.loader import LOADING, is_hub_id
from orca_guard_hf.loading import check_loaded, quiet, refusing

Function = Literal["auto", "sigmoid", "softmax", "none"]
_Text = str | tuple[str, str]
_HUGE = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Classifier:
    """A classifier in memory.

    Attributes:
        model: the network.
        tokenizer: its own.
        labels: in the order of its outputs.
        tokens: whether it labels tokens rather than texts.
        longest: tokens it can read at once.
        device: where it lies.
    """

    model: Any
    tokenizer: Any
    labels: tuple[str, ...]
    tokens: bool
    longest: int
    device: torch.device


class Classifiers:
    """Classifiers by the digest of their files."""

    def __init__(self, *, device: torch.device, trust_remote_code: bool, offline: bool) -> None:
        self._device = device
        self._trust = trust_remote_code
        self._offline = offline
        self._loaded: dict[str, Classifier] = {}
        self._lock = threading.Lock()

    def classify(self, request: Classify, *, batch_size: int) -> Classification:
        """Label scores for every text of the request.

        Raises:
            BadInput: the directory is no classifier, or a text is longer than it can read.
            ModelFailed: its output is no number, or it cannot tell where its tokens lie.
        """
        with self._lock:
            classifier = self._get(request.model)
            parts = [request.texts[i : i + batch_size] for i in range(0, len(request.texts), batch_size)]
            for start, part in enumerate(parts):
                _check_lengths(classifier, part, start * batch_size)
            if classifier.tokens:
                return Classification(
                    spans=tuple(s for part in parts for s in _spans(classifier, part, request.function))
                )
            return Classification(
                scores=tuple(s for part in parts for s in _scores(classifier, part, request.function))
            )

    def _get(self, reference: str) -> Classifier:
        directory = inspect(located(reference, offline=self._offline, code=self._trust))
        key = digest_of(directory.digests(code=self._trust))
        if key not in self._loaded:
            with LOADING:
                self._loaded[key] = _load(directory.path, directory.config, self._device, trust=self._trust)
        return self._loaded[key]


def located(reference: str, *, offline: bool, code: bool) -> Path:
    """The directory that a reference stands for. Raises as `hub.download` does."""
    path = Path(reference).expanduser()
    name, _, revision = reference.partition("@")
    if path.exists() or not is_hub_id(name):
        return path
    return download(name, revision=revision, offline=offline, code=code)[0]


def _load(path: Path, config: Mapping[str, Any], device: torch.device, *, trust: bool) -> Classifier:
    """In single precision everywhere, so that a threshold means the same on every device."""
    kind = _kind(path, config)
    tokens = kind is transformers.AutoModelForTokenClassification
    more = {"local_files_only": True, "trust_remote_code": trust}
    with refusing(f"the classifier in {path}"):
        loader: Any = transformers.AutoTokenizer
        tokenizer = loader.from_pretrained(path, **more)
        model, info = kind.from_pretrained(
            path, dtype=torch.float32, weights_only=True, output_loading_info=True, **more
        )
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
    if config.model_type in {"roberta", "xlm-roberta", "camembert", "longformer", "mpnet"}:
        positions -= config.pad_token_id + 1
    return int(min(positions, tokenizer.model_max_length or _HUGE))


def _encode(classifier: Classifier, texts: Sequence[_Text], **more: Any) -> Any:
    """Tokenise without cutting, and without reading control tokens out of a text."""
    first = [text if isinstance(text, str) else text[0] for text in texts]
    second = [text[1] for text in texts if not isinstance(text, str)]
    if second and len(second) < len(first):
        raise BadInput("texts and pairs of texts cannot be classified in one request. Ask twice.")
    return classifier.tokenizer(first, second or None, truncation=False, split_special_tokens=True, **more)


def _check_lengths(classifier: Classifier, texts: Sequence[_Text], start: int) -> None:
    with quiet():
        rows = _encode(classifier, texts)["input_ids"]
    for number, row in enumerate(rows, start):
        if len(row) > classifier.longest:
            raise TextTooLong(number=number, tokens=len(row), longest=classifier.longest)


def _logits(classifier: Classifier, encoded: Any) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = classifier.model(**encoded.to(classifier.device)).logits.float().cpu()
    return logits


def _scores(classifier: Classifier, texts: Sequence[_Text], function: Function) -> Iterator[Mapping[str, float]]:
    encoded = _encode(classifier, texts, padding=len(texts) > 1, return_tensors="pt")
    for row in _apply(_logits(classifier, encoded), _function(classifier, function)).tolist():
        yield _named(classifier, row)


def _spans(classifier: Classifier, texts: Sequence[_Text], function: Function) -> Iterator[tuple[TokenSpan, ...]]:
    """Spans of each text; of a pair, those of its second text, in that text's characters."""
    encoded = _encode(classifier, texts, padding=len(texts) > 1, return_tensors="pt", return_offsets_mapping=True)
    offsets = encoded.pop("offset_mapping").tolist()
    rows = _apply(_logits(classifier, encoded), _function(classifier, function)).tolist()
    for number, (text, places, row) in enumerate(zip(texts, offsets, rows, strict=True)):
        wanted = 0 if isinstance(text, str) else 1
        owners = encoded.sequence_ids(number)
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
