"""A search, or a likeness, narrows a question and leaves the rest of it standing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.http import QueryDict
from django.utils import timezone

from tests.training_app import factories
from tests.training_app.scenes import comparisons
from training_app.explorer import finding, rebuild, similar
from training_app.explorer.filters import Filters
from training_app.explorer.finding import find
from training_app.models import AILabel, Comparison

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("few", [300, 0], ids=["by labels", "by comparisons"])
@pytest.mark.parametrize("query", ["text=curtains", "text=curtains&sort=best", "like={alike}"])
def test_dates_and_staleness_hold_beside_words_and_likeness(
    query: str, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "FEW_LABELS", few)
    made = factories.finished_run(factories.person("ada"))
    label = made.labels[0]
    today, yesterday = timezone.now().date(), timezone.now().date() - timedelta(days=1)
    for more, fits in {
        "": True, f"&since={today}": True, f"&until={yesterday}": False, f"&since={yesterday}&until={yesterday}": False,
        "&stale=current": True, "&stale=stale": False, f"&run={made.run.number}": True, "&run=99": False,
        "&p_from=0.1": True, "&p_from=0.999": False,
    }.items():  # fmt: skip
        asked = Filters.from_query(QueryDict(query.format(alike=label.pk) + more))
        assert not asked.problems
        assert bool(find(asked).items) is fits, more


@pytest.mark.parametrize("few", [300, 0], ids=["by labels", "by comparisons"])
def test_labels_of_human_comparisons_are_found_by_words_in_their_run(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their comparisons belong to no run, and the search among comparisons must find them all the same."""
    monkeypatch.setattr(finding, "FEW_LABELS", few)
    ada = factories.person("ada")
    made, other = factories.finished_run(ada), factories.finished_run(ada)
    human = comparisons(3)
    made.run.prompt_sets.add(human)
    judged = Comparison.objects.filter(prompt_set=human).order_by("pk")
    labels = [labelled(made, one) for one in judged[:2]]
    words = "question"
    for more, expected in {
        f"run={made.run.number}": labels, f"version={made.run.version_id}": labels, f"prompt_set={human.pk}": labels,
        f"run={made.run.number}&prompt_set={human.pk}": labels, f"checkpoint={made.rl.pk}": labels,
        f"run={other.run.number}": [], f"run={other.run.number}&prompt_set={human.pk}": [],
    }.items():  # fmt: skip
        for sort in ("", "&sort=best"):
            found = set(find(Filters.from_query(QueryDict(f"{more}&text={words}{sort}")), size=100).items)
            human_ones = set(AILabel.objects.filter(pk__in=found, comparison__source="human"))
            assert human_ones == set(expected), more + sort
    assert set(rebuild.check(mend=False).values()) == {0}


def labelled(made: factories.FinishedRun, comparison: Comparison) -> AILabel:
    """A label of the run on a comparison that it did not sample."""
    label = AILabel.objects.get(pk=made.labels[0].pk)
    label.pk, label._state.adding, label.comparison = None, True, comparison
    label.save(force_insert=True)
    return label


def test_likeness_is_narrowed_by_words() -> None:
    made = factories.finished_run(factories.person("ada"))
    label = made.labels[0]
    assert find(Filters.from_query(QueryDict(f"like={label.pk}"))).items
    assert not find(Filters.from_query(QueryDict(f"like={label.pk}&text=harpsichord"))).items


def test_likeness_goes_on_to_other_words_where_nobody_shares_the_rarest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similar, "RARE_WORDS", 2)
    strange = "How do I hide otorhinolaryngological thyroparathyroidectomized things behind the curtains?"
    made = factories.finished_run(factories.person("ada"), red_team=[strange, *factories.RED_TEAM[:3]])
    label = next(one for one in made.labels if one.comparison.prompt_text == strange)
    assert similar.like("label", label.pk)


def test_all_of_the_items_of_one_moment_lie_between_the_dates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that are copied in share their time: an end of the stretch is none of them by chance."""
    week_ago = timezone.now() - timedelta(days=7)
    monkeypatch.setattr(timezone, "now", lambda: week_ago)
    made = factories.finished_run(factories.person("ada"))
    monkeypatch.undo()
    factories.finished_run(made.run.created_by, made.run.version)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")  # reads ties by the index, as large tables are read
        for plan in ("on", "off"):
            cursor.execute(f"SET LOCAL enable_indexscan = {plan}")
            cursor.execute(f"SET LOCAL enable_bitmapscan = {plan}")
            old = find(Filters.from_query(QueryDict(f"until={week_ago.date()}")), size=100)
            assert set(old.items) == {label.pk for label in made.labels}, plan
