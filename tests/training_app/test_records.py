"""Events become rows once, all of a batch or nothing, and only under a lease that is still ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError

from tests.training_app.scenes import engineer, launched
from training_app import builds, jobs, leases
from training_app.actions import load_prompt_set
from training_app.configuration import config_from
from training_app.event_tail import Event, storable
from training_app.exports import write_export
from training_app.models import AILabel, Comparison, MetricPoint, Run, RunEvent, RunStage, Trace, TraceStep
from training_app.prompts import keys_to_ids
from training_app.records import Reader, UnknownReference, ingest

pytestmark = pytest.mark.django_db


@pytest.fixture
def run() -> Run:
    return launched(user=engineer())


def claimed(run: Run) -> leases.Lease:
    lease = leases.claim(run.pk, "ada")
    assert lease is not None
    return lease


def reader(run: Run, slug: str) -> Reader:
    return Reader(RunStage.objects.select_related("run").get(run=run, slug=slug), run, judge_parts=run.base_model)


def events(*bodies: dict[str, Any], first: int = 1) -> tuple[Event, ...]:
    at = "2026-11-24T15:00:00.000Z"
    return tuple(Event(seq, body["kind"], at, storable(body)) for seq, body in enumerate(bodies, start=first))


def response(prompt: str) -> dict[str, Any]:
    data = {"prompt_id": prompt, "text": "Yes.", "tokens": 2, "finish": "stop"}
    return {"kind": "record", "record": "response", "key": prompt, "data": data}


def progress(done: int) -> dict[str, Any]:
    return {"kind": "progress", "done": done, "total": 9, "unit": "prompts", "eta_s": 3.0, "rate": 0.5, "tokens": None}


def test_a_batch_that_comes_twice_is_kept_once(run: Run) -> None:
    lease, read, (one, two, *_) = claimed(run), reader(run, "generate"), keys_to_ids(run)
    batch = events(response(one), progress(1), response(two), progress(2))
    ingest(lease, read, batch)
    ingest(lease, reader(run, "generate"), batch)
    ingest(lease, reader(run, "generate"), batch[2:])
    assert Trace.objects.filter(run=run).count() == 2
    stage = RunStage.objects.get(run=run, slug="generate")
    assert (stage.done, stage.total, stage.eta_s, stage.last_seq) == (2, 9, 3.0, 4)
    assert list(RunEvent.objects.values_list("seq", "kind")) == [(4, "progress")]  # the newest says it all


def test_a_batch_with_something_unknown_in_it_is_not_kept_at_all(run: Run) -> None:
    lease, (one, *_) = claimed(run), keys_to_ids(run)
    with pytest.raises(UnknownReference, match="the prompt 'nowhere:x'"):
        ingest(lease, reader(run, "generate"), events(response(one), response("nowhere:x")))
    assert not Trace.objects.exists()
    step = {"prompt_id": one, "round": 1, "principle_id": "not-of-this-version", "critique_request": "", "critique": "",
            "revision_request": "", "revision": ""}  # fmt: skip
    ingest(lease, reader(run, "generate"), events(response(one)))
    with pytest.raises(UnknownReference, match="the principle 'not-of-this-version'"):
        ingest(
            lease,
            reader(run, "revise"),
            events({"kind": "record", "record": "step", "key": f"{one}/1", "data": step}),
        )
    assert not TraceStep.objects.exists()


def test_a_worker_that_lost_its_lease_writes_nothing(run: Run) -> None:
    lease, (one, *_) = claimed(run), keys_to_ids(run)
    Run.objects.filter(pk=run.pk).update(fencing_token=lease.token + 1)
    with pytest.raises(leases.LeaseLost):
        ingest(lease, reader(run, "generate"), events(response(one)))
    assert not Trace.objects.exists() and not RunEvent.objects.exists()


def test_every_metric_is_a_point_of_its_curve(run: Run) -> None:
    said = [{"kind": "metric", "step": n, "values": {"loss": 1 / n, "grad_norm": 0.5}} for n in range(1, 101)]
    ingest(claimed(run), reader(run, "sft"), events(*said))
    assert MetricPoint.objects.filter(stage__run=run, name="loss").count() == 100
    assert RunEvent.objects.filter(kind="metric").get().data["step"] == 100


def test_the_longest_names_of_sets_and_prompts_fit() -> None:
    slug, key = "s" * 100, "k" * 100
    content = "".join(f'{{"id": "{key[:-1]}{n}", "text": "Question {n}?"}}\n' for n in range(3)).encode()
    longest = load_prompt_set(user=None, content=content, kind="red_team", slug=slug, name="Long")
    run = launched(prompt_sets=[longest])
    prompt = f"{slug}:{key[:-1]}0"
    data = {"prompt_id": prompt, "prompt": "Question 0?", "response_a": "a", "response_b": "b"}
    said = {"kind": "record", "record": "comparison", "key": prompt, "data": data}
    ingest(claimed(run), reader(run, "sample"), events(said))
    assert Comparison.objects.get(run=run).key == prompt


def test_a_label_under_all_principles_keeps_every_asking_and_its_judge_s_manner(run: Run) -> None:
    lease, prompt = claimed(run), next(iter(keys_to_ids(run)))
    pair = {"prompt_id": prompt, "prompt": "q", "response_a": "x", "response_b": "y", "identical": False}
    ingest(
        lease, reader(run, "sample"), events({"kind": "record", "record": "comparison", "key": prompt, "data": pair})
    )
    votes = [
        {"order": order, "logp_a": -1.0, "logp_b": -2.0, "logp_neither": -3.0, "thoughts": "Hm."}
        for order in ("ab", "ab", "ba", "ba")
    ]
    data = {
        "comparison_id": prompt, "principle_id": None, "principles": ["x"], "question": "All?", "template": "paper",
        "manner": "2 thoughts of 8 tokens, all principles at once", "votes": votes, "p_neither": 0.1, "p_a": 0.7,
        "orders": [{"order": order, "logp_a": -1.0, "logp_b": -2.0, "p_a": 0.7} for order in ("ab", "ba")],
        "clamp": [0.4, 0.6], "p_a_clamped": 0.6, "same_position": False, "sent": {"ab": "a", "ba": "b"}, "dtype": "x",
    }  # fmt: skip
    batch = events({"kind": "record", "record": "label", "key": f"{prompt}/*", "data": data})
    ingest(lease, reader(run, "label"), batch)
    label = AILabel.objects.get(run=run)
    assert (label.principle, label.p_neither, label.raw_votes()) == (None, 0.1, votes)
    assert label.judge.manner == "2 thoughts of 8 tokens, all principles at once"
    label.pk, label._state.adding = None, True
    with pytest.raises(IntegrityError, match="one_label_for_all_principles_and_judge"):
        label.save(force_insert=True)


def test_labels_of_human_comparisons_measure_the_judge_and_train_nothing(run: Run, tmp_path: Path) -> None:
    run.config["label"]["human_comparisons"] = 2
    run.save(update_fields=["config"])
    stage = RunStage.objects.get(run=run, slug="label")
    stage.run = run
    (asked,) = jobs._Writer(run, stage, lambda: None)._human().values()
    rows = [json.loads(line) for line in (stage.folder / asked["path"]).resolve().read_text().splitlines()]
    assert len(rows) == 2 and rows[0]["id"].startswith("human:hh-") and "human_choice" not in str(rows)
    data = {
        "comparison_id": rows[0]["id"], "principle_id": None, "question": "Which?", "template": "paper", "dtype": "x",
        "orders": [{"order": order, "logp_a": -1.0, "logp_b": -2.0, "p_a": 0.7} for order in ("ab", "ba")],
        "p_a": 0.7, "same_position": False, "sent": {"ab": "a", "ba": "b"},
    }  # fmt: skip
    key = f"{rows[0]['id']}/*"
    ingest(claimed(run), reader(run, "label"), events({"kind": "record", "record": "label", "key": key, "data": data}))
    label = AILabel.objects.get(run=run)
    assert label.comparison.source == Comparison.Source.HUMAN and label.comparison.human_choice
    assert list(builds.judged_in(run, config_from(run.config)).labels) == []
    write_export(run, "labels", "icai", tmp_path / "pairs.json")
    body = json.loads((tmp_path / "pairs.json").read_bytes())
    labelled = [pair for pair in body["comparisons"] if pair["id"] == label.comparison.key]
    assert len(labelled) == 1 and len(labelled[0]["annotations"]) == 2  # the judge and people, on one pair
    run.config["label"]["human_comparisons"] = 0
    assert jobs._Writer(run, stage, lambda: None)._human() == {}
