"""Hypothesis strategies for constitutions, and the hostile texts every page that shows words is tried with."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from constitutions_app.core.principles import STAGES, Constitution, Exemplar, Principle, Source, normalise

ATTACKS = (
    "<script>alert(1)</script>",
    "</textarea><img src=x onerror=alert(1)>",
    '"><svg/onload=alert(1)>',
    "javascript:alert(1)",
    "{{ 7|add:7 }}{% debug %}",
    "<ins>not an insertion</ins><!--",
    "\u202egnp.exe\u202c and \u2066isolated\u2069",
    "zero\u200bwidth\ufeff and \U000e0041\U000e0042 tags",
    "👨‍👩‍👧‍👦 👩🏽‍🚀 🇩🇪🇫🇷 1️⃣",
    "\u05e2\u05d1\u05e8\u05d9\u05ea and English, \u0627\u0644\u0639\u0631\u0628\u064a\u0629",
    "e\u0301 combining a\u0300\u0316\u0332",
    "\\n \x0b\x0c line\u2028separator",
    "%s {0} ${x} `id`",
)

words = st.sampled_from(
    ["the", "assistant", "people", "harm", "never", "honest", "a", "of", ".", ",", "", "\n", "don't", "漢字", *ATTACKS]
)
texts = st.one_of(st.text(max_size=60), st.lists(words, max_size=12).map(" ".join)).map(normalise)
filled = texts.map(lambda text: text or "x")
keys = st.sampled_from([f"p{number}" for number in range(12)])

slight = st.sampled_from(["", "Rewrite it.", "Say what is wrong with it.", "\u202eRewrite <b>it</b>."])
sources = st.builds(Source, document=slight, article=slight, url=st.sampled_from(["", "https://example.org/a"]))
principles = st.builds(
    Principle,
    id=keys,
    title=slight,
    text=texts,
    rationale=slight,
    source=sources,
    tags=st.sampled_from([(), ("privacy",), ("a", "<b>")]),
    weight=st.floats(0, 100, allow_nan=False).map(abs),
    strict=st.booleans(),
    enabled=st.booleans(),
    stages=st.sampled_from([STAGES, STAGES[:1], STAGES[1:], ()]),
    critique_request=slight,
    revision_request=slight,
    comparison_question=slight,
    positive_examples=st.sampled_from([(), ("Like this.",)]),
    negative_examples=st.sampled_from([(), ("Not so.", "Nor so.")]),
)
exemplars = st.builds(
    Exemplar,
    prompt=filled,
    response=slight.map(lambda text: text or "x"),
    critique_request=st.just("Criticise it."),
    critique=filled,
    revision_request=st.just("Rewrite it."),
    revision=st.just("Better."),
)
constitutions = st.builds(
    Constitution,
    name=filled,
    preamble=texts,
    principles=st.lists(principles, max_size=6, unique_by=lambda principle: principle.id).map(tuple),
    exemplars=st.lists(exemplars, max_size=3).map(tuple),
)


@st.composite
def edited(draw: st.DrawFn) -> tuple[Constitution, Constitution]:
    """A constitution and a later state of it: shuffled, shortened, with some principles edited or new."""
    old = draw(constitutions)
    order = draw(st.permutations(range(len(old.principles))))
    kept = [old.principles[index] for index in order if draw(st.integers(0, 4))]
    new = []
    for principle in kept:
        if not draw(st.integers(0, 2)):
            principle = replace(principle, text=draw(texts), weight=draw(st.sampled_from([principle.weight, 2.0])))
        new.append(principle)
    fresh = [item for item in draw(st.lists(principles, max_size=2)) if item.id not in {p.id for p in new}][:1]
    return old, replace(old, principles=tuple(new + fresh), exemplars=draw(st.lists(exemplars, max_size=3).map(tuple)))
