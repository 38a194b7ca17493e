"""The lineage of a checkpoint as a graph: what is on it, how much went where, and that every box leads somewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import resolve

from tests.training_app.factories import FinishedRun, finished_run
from tests.training_app.scenes import comparisons, engineer
from training_app import lineage
from training_app.graph_drawing import Graph, draw
from training_app.lineage_graph import graph_of
from training_app.models import Adjudication, Audit, Checkpoint, Comparison, DatasetItem

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_artifacts(tmp_path: Path, settings: LazySettings) -> None:
    settings.ARTIFACT_ROOT = tmp_path / "artifacts"


@pytest.fixture
def made() -> FinishedRun:
    return finished_run(engineer())


def drawn(checkpoint: Checkpoint) -> Graph:
    line = lineage.of_checkpoint(checkpoint)
    return graph_of(line)


def told(graph: Graph) -> set[tuple[str, str, tuple[str, ...]]]:
    return {(start.name, end.name, edge.counts) for start, end, edge in graph.pairs()}


def test_it_leads_from_the_words_through_data_and_stages_to_the_weights(made: FinishedRun) -> None:
    graph = drawn(made.rl)
    words, (sl, preferences) = "Harmless assistant v1", made.builds
    red, helpful = (one.name for one in made.run.prompt_sets.order_by("-kind"))
    assert told(graph) == {
        ("SmolLM2-135M-Instruct", "SL-CAI", ("weights",)),
        (words, "12 revisions", ("critiques",)),
        ("12 revisions", sl.name, ("12 rows",)),
        (sl.name, "SL-CAI", ("12 rows",)),
        (words, "6 AI labels", ("comparisons",)),
        ("SL-CAI", "6 AI labels", ("answers",)),
        ("6 AI labels", preferences.name, ("6 rows",)),
        (preferences.name, "Reward model", ("6 rows",)),
        ("SL-CAI", "Reward model", ("weights",)),
        ("SL-CAI", "RL-CAI", ("weights",)),
        ("Reward model", "RL-CAI", ("rewards",)),
        (red, "12 revisions", ("6 prompts",)),
        (red, "6 AI labels", ("6 prompts",)),
        (red, "RL-CAI", ("prompts",)),
        (helpful, "RL-CAI", ("prompts",)),
    }
    assert [node.kind for node in graph.nodes if node.name == red] == ["6 red-team prompts"]
    assert [node.name for node in graph.nodes if node.is_current] == ["RL-CAI"]
    for node in graph.nodes:
        for url in filter(None, (node.url, node.kind_url)):
            assert resolve(url.split("?")[0]).url_name, url
    sets = {f"/prompts/{one.slug}/" for one in made.run.prompt_sets.all()}
    assert {"/audit/traces/", "/audit/labels/"} | sets <= {node.url.split("?")[0] for node in graph.nodes}


def test_forwards_it_shows_what_was_made_from_it(made: FinishedRun) -> None:
    base, *names = [node.name for node in drawn(made.sft).nodes]
    red, helpful = (one.name for one in made.run.prompt_sets.order_by("-kind"))
    assert base == "SmolLM2-135M-Instruct"
    line = ["12 revisions", made.builds[0].name, "SL-CAI", "Reward model"]
    assert names == ["Harmless assistant v1", red, *line, helpful, "RL-CAI"], "each set before what is made from it"
    assert draw(drawn(made.sft)).boxes[5].node.is_current


def test_it_counts_what_people_chose_and_what_they_changed(made: FinishedRun) -> None:
    made.run.prompt_sets.add(comparisons())
    build, label = made.builds[1], made.labels[0]
    audit = Audit.objects.create(auditor=engineer(), label=label, verdict="override", choice="a", blind=False)
    DatasetItem.objects.create(build=build, position=90, label=label, audit=audit)
    last = Adjudication.objects.create(adjudicator=engineer(), label=label, verdict="agree", choice="b", note="So.")
    DatasetItem.objects.create(build=build, position=92, label=label, adjudication=last)
    human = Comparison.objects.filter(source="human")[0]
    DatasetItem.objects.create(build=build, position=91, comparison=human)
    helpful = made.run.prompt_sets.get(kind="helpful")
    answer = next(one for one in made.traces if one.prompt.prompt_set_id == helpful.pk)
    DatasetItem.objects.create(build=made.builds[0], position=92, trace=answer)
    said = told(drawn(made.rl))
    assert (helpful.name, made.builds[0].name, ("1 row",)) in said, "answers that nobody revised"
    assert ("8 AI labels", build.name, ("8 rows", "2 changed by people, 1 by adjudication")) in said
    assert ("Human", build.name, ("1 row",)) in said


def test_a_build_leads_to_what_was_trained_on_it_and_not_to_what_was_made_from_that(made: FinishedRun) -> None:
    build = made.builds[0]
    listed = {"name": build.name, "digest": build.digest, "rows": build.rows}
    for one in (made.reward, made.rl):  # a manifest lists the builds of its parents too
        manifest = one.manifest | {"datasets": [*one.manifest["datasets"], listed]}
        with connection.cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")
            changed = (json.dumps(manifest), str(one.pk))
            cursor.execute("UPDATE training_app_checkpoint SET manifest = %s WHERE id = %s", changed)
            cursor.execute("SET session_replication_role = origin")
    ends = {end for start, end, _ in told(drawn(Checkpoint.objects.get(pk=made.rl.pk))) if start == build.name}
    assert ends == {"SL-CAI"}


def test_drawing_asks_for_nothing(made: FinishedRun) -> None:
    line = lineage.of_checkpoint(made.rl)
    with CaptureQueriesContext(connection) as asked:
        draw(graph_of(line))
    assert len(asked) == 0
