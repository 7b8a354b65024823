"""Guards that misbehave, in a module that another process can import."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orca_guard.contracts import Examining
from orca_guard.types import Action, Classification, Classify, Exhibit, Generate, Scope, Stage, Verdict


class Strange:
    """No noun of ours."""


@dataclass(frozen=True)
class Whim:
    """Does what the text says, or always the first thing."""

    first: str = ""
    name: str = "whim"
    stages: frozenset[Stage] = frozenset({"input"})
    scope: Scope = "whole"

    def judge(self, exhibits: Sequence[Exhibit], /) -> Any:
        return [self._one(exhibit.text) for exhibit in exhibits]

    def _one(self, text: str) -> Any:
        match self.first or text.partition(" ")[0]:
            case "regex":  # holds the interpreter's lock for longer than anybody waits
                re.match(r"(a+)+$", "a" * 60 + "b")
            case "sleep":
                time.sleep(60)
            case "die":
                os._exit(3)
            case "exit":
                sys.exit(0)
            case "raise":
                raise ValueError("no")
            case "strange":
                return Strange()
            case "print":
                print("noise on stdout")  # noqa: T201
            case "warn":
                return Verdict(action=Action.WARN, reason="as told", score=0.75, threshold=0.5)
            case "stop":
                return Verdict(action=Action.BLOCK, reason="as told", score=0.75, threshold=0.5)
        return Verdict(action=Action.ALLOW)


@dataclass(frozen=True)
class Asks:
    """Asks a classifier, and then a model."""

    name: str = "asks"
    stages: frozenset[Stage] = frozenset({"input"})

    def examine(self, exhibit: Exhibit, /) -> Examining:
        try:
            reply = yield Classify(model="c", texts=(exhibit.text,))
        except Exception as error:  # noqa: BLE001
            return Verdict(action=Action.BLOCK, reason=f"{type(error).__name__}: {error}")
        assert isinstance(reply, Classification)
        if reply.scores[0]["bad"] > 0.5:
            return Verdict(action=Action.BLOCK, reason="bad")
        if exhibit.text.startswith("regex"):
            re.match(r"(a+)+$", "a" * 60 + "b")
        yield Generate(messages=exhibit.question.messages, name="check", final=False)
        return Verdict(action=Action.ALLOW)
