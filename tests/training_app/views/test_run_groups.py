"""Compared runs on their page, and the page that compares verdicts."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.test import Client

from constitutions_app.models.frozen import FrozenRowError
from tests.training_app import factories
from tests.training_app.factories import FinishedRun
from tests.training_app.views.conftest import Queries
from training_app.core.expected import Expectation
from training_app.models import EvaluationAnswer, Run, RunGroup
from training_app.run_groups import compared, metrics_of, pairs_of, runs_of

pytestmark = pytest.mark.django_db


Has = Callable[[int, int], bool]
"""(prompt, seed) → whether an answer there has the feature."""


def grouped(
    ada: User,
    arms: dict[str, tuple[int, Has]],
    *,
    seeds: tuple[int, ...] = (1, 2, 3),
    base: Has | None = None,
    expects: Sequence[Expectation] = (),
) -> RunGroup:
    """A group with one run for each arm and seed; an arm's answers have so many words, and one more at every prompt."""
    said = [one.as_data() for one in expects]
    group = RunGroup.objects.create(name="lengths", arms=list(arms), expects=said, created_by=ada)
    prompts = list(
        factories.prompt_set("red_team", [f"q{n}" for n in range(8)], slug=f"s{group.pk}"[:40]).prompts.all()
    )
    for seed in seeds:
        for arm, (words, has) in arms.items():
            run = factories.queued_run(ada)
            Run.objects.filter(pk=run.pk).update(group=group, arm=arm, seed=seed)
            models = {"sl_cai": (words, has)} | ({"base": (20, base)} if base else {})
            EvaluationAnswer.objects.bulk_create(
                EvaluationAnswer(
                    run=run, model=model, prompt=prompt, text="x", reward=0.5, evasive=False, boilerplate=False,
                    words=long + place, features={"warmth": had(place, seed), "my_own": True},
                )
                for model, (long, had) in models.items()
                for place, prompt in enumerate(prompts)
            )  # fmt: skip
    return group


def never(_prompt: int, _seed: int) -> bool:
    return False


def always(_prompt: int, _seed: int) -> bool:
    return True


def half(prompt: int, seed: int) -> bool:
    return (prompt + seed) % 2 == 0


def test_every_two_arms_are_held_against_each_other_prompt_by_prompt(reader: Client, ada: User) -> None:
    group = grouped(ada, {"warm": (40, always), "plain": (10, never), "twin": (40, always)}, base=never)
    (part,) = compared(group, runs_of(group))
    assert part.columns == ("the base model", "warm", "plain", "twin")
    words = next(row for row in part.rows if row.name == "Words")
    assert [value.value for value in words.values] == [23.5, 43.5, 13.5, 43.5]
    pairs = {(pair.ours, pair.theirs): pair for pair in part.pairs}
    assert list(pairs) == [
        ("plain", "warm"), ("twin", "warm"), ("twin", "plain"),
        ("warm", "the base model"), ("plain", "the base model"), ("twin", "the base model"),
    ]  # fmt: skip
    assert (pairs["plain", "warm"].higher, pairs["plain", "warm"].lower) == ([], ["Words", "Warmth"])
    assert (pairs["twin", "warm"].higher, pairs["twin", "warm"].lower) == ([], [])
    assert pairs["warm", "the base model"].higher == ["Words", "Warmth"]
    (of_words,) = [row for row in pairs["plain", "warm"].rows if row.name == "Words"]
    assert of_words.difference.by_seed == (-30.0, -30.0, -30.0) and of_words.bar is None
    page = reader.get(f"/runs/compared/{group.pk}/").content.decode()
    assert "Lower: <strong>words, warmth</strong>. In the rest no difference is shown." in page
    assert re.search(r"<h3>twin against warm</h3>\s+<p>No difference is shown in anything counted.</p>", page)
    assert "The same at every prompt with every seed: evasive, boilerplate, my own." in page
    assert "Every run has a reward model of its own" in page


def test_a_text_without_effect_is_shown_as_exactly_that(reader: Client, ada: User) -> None:
    group = grouped(ada, {"empty words": (20, half), "other": (20, always)}, base=half)
    page = reader.get(f"/runs/compared/{group.pk}/").content.decode()
    assert "No difference is shown in anything counted: no effect of its text was seen." in page
    assert "Higher: <strong>warmth</strong>" in page and "My own" in page


def test_what_was_named_before_the_launch_is_tested_and_the_rest_is_for_looking_around(
    reader: Client, ada: User
) -> None:
    expects = [
        Expectation("warm", "warmth", True), Expectation("twin", "warmth", True), Expectation("plain", "words", True)
    ]  # fmt: skip
    group = grouped(ada, {"warm": (40, always), "twin": (40, half), "plain": (10, never)}, base=half, expects=expects)
    (part,) = compared(group, runs_of(group))
    came = {(row.name, row.named.ours, row.named.theirs): str(row.outcome) for row in part.expected}
    assert came == {
        ("Warmth", "twin", "warm"): "differs, though the texts say the same",
        ("Warmth", "plain", "warm"): "as expected",
        ("Words", "plain", "warm"): "the other way",
        ("Warmth", "plain", "twin"): "as expected",
        ("Words", "plain", "twin"): "the other way",
    }
    assert (part.differing, part.differing_came, part.alike, part.alike_came) == (4, 2, 1, 0)
    of_pair = {(pair.ours, pair.theirs): [row.name for row in pair.rows] for pair in part.pairs}
    assert of_pair["plain", "warm"] == ["Evasive", "Boilerplate", "My own"]
    assert "Warmth" in of_pair["warm", "the base model"]
    page = reader.get(f"/runs/compared/{group.pk}/").content.decode()
    assert "warm asks for more warmth" in page and "Kept with the launch and in the ledger" in page
    assert "<strong>2 of 4</strong> differences named beforehand are shown" in page
    said = re.search(r"<h3>plain against twin</h3>\s+<p>(.*?)</p>", page)
    assert said and said[1].endswith("What was named beforehand stands above: <strong>words, warmth</strong>.")
    assert "anything counted" not in said[1], "these two differ in warmth"
    assert "for looking around" in page and "Nothing was named before" not in page


def test_where_nothing_was_named_it_is_said(reader: Client, ada: User) -> None:
    group = grouped(ada, {"warm": (40, always), "plain": (10, never)})
    assert (
        "Nothing was named before these runs were launched"
        in reader.get(f"/runs/compared/{group.pk}/").content.decode()
    )


def test_an_expectation_that_nobody_measured_is_untold(reader: Client, ada: User) -> None:
    expects = [Expectation("warm", "zeal", True)]
    group = grouped(ada, {"warm": (40, always), "plain": (10, never)}, expects=expects)
    (row,) = compared(group, runs_of(group))[0].expected
    assert (row.name, str(row.outcome), row.bar) == ("Zeal", "untold", None)
    assert reader.get(f"/runs/compared/{group.pk}/").status_code == 200


def test_what_was_launched_never_changes(ada: User) -> None:
    group = RunGroup.objects.create(arms=["a", "b"], created_by=ada)
    group.expects = [{"arm": "a", "feature": "warmth", "more": True}]
    with pytest.raises(FrozenRowError):
        group.save()
    with pytest.raises(IntegrityError, match="frozen"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE training_app_rungroup SET expects = '[]'")


def test_one_seed_tells_nothing_of_chance_between_runs(reader: Client, ada: User) -> None:
    group = grouped(ada, {"warm": (40, always), "plain": (10, never)}, seeds=(1,))
    (part,) = compared(group, runs_of(group))
    assert not part.pairs[0].is_told
    page = reader.get(f"/runs/compared/{group.pk}/").content.decode()
    assert "Too little is measured to tell." in page and "one seed does not tell" in page


def test_answers_of_older_runs_count_no_features(ada: User) -> None:
    group = RunGroup.objects.create(name="old", arms=["a"], created_by=ada)
    assert "feature warmth" not in metrics_of([EvaluationAnswer(words=1, evasive=False, boilerplate=False)])
    counted = metrics_of([EvaluationAnswer(features={"zeal": True, "question": False})])
    assert list(counted)[-2:] == ["feature question", "feature zeal"]
    assert compared(group, []) == ()


def test_many_arms_are_held_against_the_first() -> None:
    assert pairs_of(["a", "b", "c"]) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert pairs_of(list("abcde")) == [("a", "b"), ("a", "c"), ("a", "d"), ("a", "e")]


def test_a_group_without_measurements_says_so(reader: Client, ada: User) -> None:
    group = RunGroup.objects.create(arms=["one", "other"], created_by=ada)
    assert "Nothing is measured yet" in reader.get(f"/runs/compared/{group.pk}/").content.decode()
    assert "one / other" in reader.get("/runs/compared/").content.decode()
    assert reader.get(f"/runs/compared/{uuid4()}/").status_code == 404


def test_the_page_takes_the_same_questions_for_more_runs(reader: Client, ada: User, queries: Queries) -> None:
    few, many = grouped(ada, {"a": (1, half)}, seeds=(1,)), grouped(ada, {"a": (1, half), "b": (2, half)}, base=half)
    assert queries(reader, f"/runs/compared/{few.pk}/") == queries(reader, f"/runs/compared/{many.pk}/")


def test_hostile_names_stay_text(reader: Client, ada: User) -> None:
    group = grouped(ada, {"<script>alert(1)</script>": (3, half), "b": (1, half)}, seeds=(1, 2))
    page = reader.get(f"/runs/compared/{group.pk}/").content.decode()
    assert "<script>alert(1)" not in page and "&lt;script&gt;" in page


def test_verdicts_are_compared_by_engineers_where_there_are_any(
    engineer: Client, reader: Client, stranger: Client, finished: FinishedRun
) -> None:
    url = f"/runs/{finished.run.pk}/compare/"
    assert "Compare verdicts" in engineer.get(f"/runs/{finished.run.pk}/").content.decode()
    assert "No verdict overrides a label" in engineer.get(url).content.decode()
    answer = engineer.post(url, {"seeds": "1", "idempotency_key": str(uuid4())})
    assert answer.status_code == 422 and "both arms would learn the same" in answer.content.decode()
    assert "This page has lost its key" in engineer.post(url, {"seeds": "1"}).content.decode()
    for client in (reader, stranger):
        assert client.get(url).status_code == client.post(url, {"seeds": "1"}).status_code == 403
    assert not RunGroup.objects.exists()


def test_what_is_left_of_the_runs_is_told_for_each_and_together(reader: Client, ada: User) -> None:
    group = grouped(ada, {"warm": (40, always)}, seeds=(1, 2))
    page = reader.get(f"/runs/compared/{group.pk}/").content.decode()
    assert page.count("time left not known") == 2 and "for the rest" not in page
    earlier = factories.finished_run(ada).run
    for run in Run.objects.filter(group=group):
        run.prompt_sets.set(earlier.prompt_sets.all())
    page = reader.get(f"/runs/compared/{group.pk}/").content.decode()
    assert "0 of 2 runs have ended, about 12 min one after another for the rest" in page
    assert page.count("about 6 min once it begins") == 2
