"""The shell and the shared fragments: what they show, what they leave out, and that the strict policy suits them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest
from django.template import Template, TemplateSyntaxError
from django.template.context import RequestContext
from django.template.loader import render_to_string
from django.test import RequestFactory

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
ATTACK = "<script>alert(1)</script>"


def _request(user: User | AnonymousUser) -> HttpRequest:
    request = RequestFactory().get("/")
    request.user = user
    return request


def _page(blocks: str, user: User | AnonymousUser) -> str:
    source = f"{{% extends 'base.html' %}}{{% block title %}}T{{% endblock %}}{blocks}"
    return Template(source).render(RequestContext(_request(user)))


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: str(path.relative_to(TEMPLATES)))
def test_templates_hold_nothing_inline_and_nothing_evaluated(path: Path) -> None:
    text = re.sub(r"{#.*?#}", "", path.read_text())
    assert not re.search(r"\sstyle=", text)
    assert not re.search(r"<style\b", text)
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)
    assert not re.search(r"\son[a-z]+=", re.sub(r"{%.*?%}", "", text))  # {% with one=... %} is no handler
    assert "hx-on" not in text
    assert not re.search(r"hx-trigger=\"[^\"]*\[", text)
    assert not re.search(r"(src|href)=\"https?://", text)


def test_a_page_names_the_place_it_stands_in() -> None:
    places = re.findall(
        r"<a [^>]*aria-current=\"true\"[^>]*>(\w+)<",
        _page("{% block place %}runs{% endblock %}", User(pk=1, username="ada")),
    )
    assert set(places) <= {"Runs"}


def test_a_stranger_sees_neither_places_nor_menu() -> None:
    html = _page("", AnonymousUser())
    assert 'class="places"' not in html
    assert 'class="menu"' not in html
    assert "data-theme-switch" in html


def test_a_person_can_sign_out_by_post_only() -> None:
    html = _page("", User(pk=1, username="ada"))
    assert re.search(
        r"<form method=\"post\" action=\"/sign-out/\"><input type=\"hidden\" name=\"csrfmiddlewaretoken\"", html
    )
    assert 'href="/sign-out/"' not in html


def test_an_aside_is_there_only_where_a_page_has_one() -> None:
    ada = User(pk=1, username="ada")
    assert "page-aside" not in _page("", ada)
    assert "<em>facts</em>" in _page("{% block aside %}<em>facts</em>{% endblock %}", ada)


def test_a_name_is_escaped() -> None:
    assert ATTACK not in _page("", User(pk=1, username=ATTACK, first_name=ATTACK))


@pytest.mark.parametrize(
    "fragment", ["_state", "_digest", "_notice", "_empty", "_progress", "_pagination", "_pbar", "_interval"]
)
def test_fragments_escape_what_they_are_given(fragment: str) -> None:
    names = (
        "state",
        "words",
        "digest",
        "title",
        "text",
        "action",
        "url",
        "label",
        "unit",
        "eta",
        "next",
        "percent",
        "tone",
    )
    html = render_to_string(f"partials/{fragment}.html", dict.fromkeys(names, f'"{ATTACK}'))
    assert "<script" not in html
    assert '""' not in html.replace('=""', "")


def test_capture_says_how_it_is_written() -> None:
    with pytest.raises(TemplateSyntaxError, match="capture as name"):
        Template("{% load shell %}{% capture %}{% endcapture %}")


def test_the_page_of_last_resort_needs_nothing() -> None:
    assert "Something broke" in render_to_string("500.html")
    assert "could not be read" in render_to_string("400.html")
