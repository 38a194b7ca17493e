"""A branch's draft lives at its own address and never touches the main one."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from constitutions_app.actions import add_principle
from constitutions_app.models import Constitution, Draft
from tests.constitutions_app.conftest import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def branch(constitution: Constitution, author: User) -> Draft:
    return Draft.objects.create(constitution=constitution, branch="softer", updated_by=author)


def test_a_branch_is_edited_at_its_own_address(branch: Draft, author: User, reader: User) -> None:
    row = add_principle(user=author, draft=branch, title="Be brief", text="Answer briefly.")
    page = reverse("constitutions:draft_principle", args=[branch.address, row.key])
    assert "@softer/draft/" in page
    assert b"Answer briefly." in signed_in(author).get(page).content
    assert signed_in(reader).get(page).status_code == 403
    assert not branch.constitution.draft.principles.filter(key=row.key).exists()


def test_a_closed_branch_is_read_only(branch: Draft, author: User) -> None:
    row = add_principle(user=author, draft=branch, title="Be brief", text="Answer briefly.")
    Draft.objects.filter(pk=branch.pk).update(closed_at=timezone.now())
    page = reverse("constitutions:draft_principle", args=[branch.address, row.key])
    assert signed_in(author).get(page).status_code == 403


def test_a_comparison_names_a_branch(branch: Draft, author: User) -> None:
    page = reverse("constitutions:compare", args=[branch.constitution.slug, "draft", branch.ref])
    assert signed_in(author).get(page).status_code == 200
    unknown = reverse("constitutions:compare", args=[branch.constitution.slug, "draft", "draft@nowhere"])
    assert signed_in(author).get(unknown).status_code == 404


def test_the_main_branch_cannot_be_closed(constitution: Constitution) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Draft.objects.filter(pk=constitution.draft.pk).update(closed_at=timezone.now())


def test_a_plain_form_saves_on_its_branch_and_stays_there(branch: Draft, author: User) -> None:
    row = add_principle(user=author, draft=branch, title="Be brief", text="Answer briefly.")
    page = reverse("constitutions:draft_principle", args=[branch.address, row.key])
    answer = signed_in(author).post(page, {"text": "Be brief.", "weight": "1", "revision": row.revision})
    assert answer.headers["Location"] == page


def test_a_closed_branch_can_be_read_by_its_writers(branch: Draft, author: User) -> None:
    add_principle(user=author, draft=branch, title="Be brief", text="Answer briefly.")
    Draft.objects.filter(pk=branch.pk).update(closed_at=timezone.now())
    answer = signed_in(author).get(reverse("constitutions:draft", args=[branch.address]))
    assert answer.status_code == 200 and b"Answer briefly." in answer.content
