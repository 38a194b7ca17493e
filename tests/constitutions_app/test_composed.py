"""Composed questions give what their query sets give, however often and for whatever value they are asked."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.db.models import Count, QuerySet
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from constitutions_app.composed import Composed, Later
from constitutions_app.models import Constitution, PrincipleVersion, Version

pytestmark = pytest.mark.django_db

CITED = Composed(
    lambda: (
        PrincipleVersion.objects.select_related("version__constitution", "version__parent__constitution")
        .defer("version__canonical")
        .filter(version__number=Later("number"))
        .order_by("position")
    )
)
COUNTED = Composed(lambda: Version.objects.annotate(words=Count("principles")).filter(pk=Later("version")))
TITLES = Composed(lambda: PrincipleVersion.objects.filter(key=Later("key")).values_list("key", "title")[:1])

AMONG = Composed(lambda: PrincipleVersion.objects.filter(pk__among=Later("keys")).order_by("pk"))
OF_VERSIONS = Composed(lambda: PrincipleVersion.objects.filter(version__among=Later("versions")).order_by("pk"))


def test_rows_come_with_what_was_selected_beside_them(constitution: Constitution) -> None:
    for _ in range(2):
        found = CITED.all(number=1)
        asked = PrincipleVersion.objects.filter(version__number=1).order_by("position")
        assert found == list(asked) and [one.text for one in found] == [one.text for one in asked]
        with CaptureQueriesContext(connection) as captured:
            assert {one.version.constitution.slug for one in found} == {constitution.slug}
            assert {one.version.parent for one in found} == {None}
        assert not captured, "all of it was read at once"
        assert found[0].version.get_deferred_fields() == {"canonical"} and found[0].version.canonical
    assert CITED.all(number=99) == [] and CITED.first(number=99) is None


def test_tuples_and_counts_beside_a_row(constitution: Constitution) -> None:
    version = Version.objects.get()
    principle = version.principles.order_by("position")[0]
    assert TITLES.all(key=principle.key) == [(principle.key, principle.title)]
    found = COUNTED.first(version=version.pk)
    assert found == version and vars(found)["words"] == version.principles.count()
    assert not found._state.adding


@pytest.mark.parametrize("name", ["'; DROP TABLE auth_user; --", "50%", "%s", "\\"])
def test_a_value_is_never_read_as_a_statement(name: str) -> None:
    user = User.objects.create_user(name)
    named: Composed[User] = Composed(lambda: User.objects.filter(username=Later("name")))
    assert named.all(name=name) == [user] and named.all(name="nobody") == []


def test_a_value_that_is_missing_is_not_left_out() -> None:
    with pytest.raises(KeyError):
        CITED.all()


def test_it_is_composed_once() -> None:
    composed = []

    def compose() -> QuerySet[Group]:
        composed.append(1)
        return Group.objects.filter(name=Later("name"))

    question = Composed(compose)
    assert not composed
    assert [one.name for one in (*question.all(name="auditor"), *question.all(name="reader"))] == ["auditor", "reader"]
    assert composed == [1]


def test_values_single_values_and_unions() -> None:
    for name in ("auditor", "reader"):
        Group.objects.get_or_create(name=name)
    named = Group.objects.filter(name=Later("name"))
    assert Composed(lambda: named.values("name")).all(name="auditor") == [{"name": "auditor"}]
    names = named.values_list("name", flat=True)
    either: Composed[str] = Composed(
        lambda: names.union(Group.objects.filter(name="reader").values_list("name"), all=True)
    )
    assert sorted(either.all(name="auditor")) == ["auditor", "reader"]


@given(keys=st.lists(st.integers(-3, 12), max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_among_is_in(constitution: Constitution, keys: list[int]) -> None:
    """With a list of any length, on a key and on a reference to one."""
    first = PrincipleVersion.objects.order_by("pk")[0].pk
    wanted = [first + key for key in keys]
    assert AMONG.all(keys=wanted) == list(PrincipleVersion.objects.filter(pk__in=wanted).order_by("pk"))
    version = Version.objects.get().pk
    found = OF_VERSIONS.all(versions=[version, version + 1])
    assert found == list(PrincipleVersion.objects.filter(version__in=[version, version + 1]).order_by("pk")) != []
    assert OF_VERSIONS.all(versions=[]) == []
