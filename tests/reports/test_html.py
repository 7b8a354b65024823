"""The page opens offline, loads nothing, and no text in it becomes anything but text."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orca_guard.reports.hostile import shown
from orca_guard.reports.html import page, segments
from orca_guard.reports.summary import Anomaly, Corrected, Excerpt, Statement, Summary
from orca_guard.reports.words import alarm, headline

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<!-- ",
    "]]>",
    "\"'><svg onload=alert(1)>",
    "<textarea>",
    "</pre></details></main>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt; &#x3c;",
    "\u202egnp.exe\u202c \x00\x1b]8;;http://x\x07",
    "javascript:alert(1)",
)


class Page(HTMLParser):
    """What a browser would find."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.inside: dict[str, list[str]] = {"style": [], "script": []}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        (self.inside.get(self.open[-1], self.text) if self.open else self.text).append(data)

    def counts(self) -> list[str]:
        return sorted(tag for tag, _ in self.elements)


def made(report: Summary) -> str:
    return page("report", report=report, headline=headline(report), alarm=alarm(report))


def test_nothing_is_loaded_from_anywhere(summary: Summary) -> None:
    found = Page(made(summary))
    for tag, attributes in found.elements:
        assert tag not in {"img", "iframe", "object", "embed", "link", "base", "video", "audio"}
        assert not attributes.keys() & {"src", "srcset", "style", "action", "formaction", "data"}
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("href") or "#").startswith("#")
    css = "".join(found.inside["style"])
    assert not re.search(r"url\(|@import|@font-face", css)


def test_the_policy_forbids_all_but_our_own_style_and_script(summary: Summary) -> None:
    found = Page(made(summary))
    policy = next(a["content"] for t, a in found.elements if t == "meta" and a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    for kind in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256("".join(found.inside[kind]).encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy


def test_the_verdict_comes_first_and_an_alarm_before_it(summary: Summary) -> None:
    text = " ".join(Page(made(summary)).text)
    assert text.index("FAIL") < text.index("Gates")
    faulty = " ".join(Page(made(replace(summary, faulty=True))).text)
    assert "DOES NOT VERIFY" not in text
    assert faulty.index("DOES NOT VERIFY") < faulty.index("FAIL")


def test_tables_have_headings_and_pictures_have_words(summary: Summary) -> None:
    found = Page(made(summary))
    for tag, attributes in found.elements:
        if tag == "th":
            assert attributes.get("scope") in {"row", "col"}
        if tag == "svg" and attributes.get("class") in {"bar", "interval"}:
            assert attributes.get("role") == "img"
            assert attributes.get("aria-label")
    ids = [a["id"] for _, a in found.elements if "id" in a]
    assert len(ids) == len(set(ids))
    links = {(a.get("href") or "")[1:] for t, a in found.elements if t == "a"}
    assert links <= set(ids)


def excerpt(text: str) -> Excerpt:
    return Excerpt(
        benchmark=text,
        item=text,
        subject=text,
        mark="fail",
        disposition="answered",
        reason=text,
        question=text,
        gold=(text,),
        answer=text,
        value=text,
        groups={text: text},
        verdicts=(text,),
        strategy=text,
        tokens=(1, 2),
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.one_of(st.sampled_from(HOSTILE), st.text(min_size=1)))
def test_a_hostile_text_is_shown_and_changes_nothing_else(summary: Summary, text: str) -> None:
    def with_text(what: str) -> Page:
        said = Statement(kind="sign", at=what, name=what, role=what, what=what, key=what, fault="")
        found = Anomaly(code=what, benchmark=what, subject=what, what=what, weight=1)
        run = replace(summary.run, title=what, folder=what, nonce=what, environment={what: what})
        return Page(made(replace(summary, run=run, findings=(found,), statements=(said,), excerpts=(excerpt(what),))))

    hostile, harmless = with_text(text), with_text("harmless")
    assert hostile.counts() == harmless.counts()
    assert shown(text).strip() in "".join(hostile.text)
    assert hostile.inside == harmless.inside


def test_pieces_of_a_bar_fill_it() -> None:
    pieces = segments({"error": 1, "answered": 2, "refused": 1}, 4)
    assert pieces == [("answered", 0, 50, 2), ("refused", 50, 25, 1), ("error", 75, 25, 1)]
    assert segments({}, 0) == []


def test_a_circular_figure_and_a_corrected_one_say_so(summary: Summary) -> None:
    corrected = Corrected(
        value=0.1, low=0.05, high=0.2, sensitivity=0.8, specificity=0.9, assumes="that rows are alike", reason=""
    )
    figures = [replace(figure, circular=("toxicity",), corrected=corrected) for figure in summary.figures]
    text = " ".join(" ".join(Page(made(replace(summary, figures=tuple(figures)))).text).split())
    assert "circular its scorer shares something with toxicity" in text
    assert "corrected 10.0 % (5.0 % to 20.0 %) for a sensitivity of 80.0 %" in text
    assert "that rows are alike" in text
