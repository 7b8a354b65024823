"""Text that somebody else wrote, made safe to look at: what would act, hide or reorder is spelt out instead."""

from __future__ import annotations

import re

_ACTING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls but for tab and line feed
    "\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # invisible, or turns the line round
    "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"  # no characters at all
    "\U000e0000-\U000e007f]"  # tags, which carry text that nobody sees
)


def shown(text: str) -> str:
    r"""The text with every such character as `\uXXXX`; a carriage return before a line feed is none."""
    return _ACTING.sub(lambda match: f"\\u{ord(match[0]):04x}", text.replace("\r\n", "\n"))


def clipped(text: str, most: int) -> str:
    """At most so many characters, from the beginning and the end, with how many were left out between them."""
    if len(text) <= most:
        return text
    head = most * 3 // 4
    tail = most - head
    return f"{text[:head]} … {len(text) - most} characters … {text[-tail:]}"
