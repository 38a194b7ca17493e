"""Dataset builds: exactly which items, with people's overrides applied by a rule that is written down."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.contrib.auth.models import User

from constitutions_app.models import LedgerEntry
from tests.training_app.factories import FinishedRun, finished_run, queued_run
from tests.training_app.scenes import comparisons, engineer
from training_app import builds, verdicts
from training_app.actions import build_dataset, load_prompt_set, record_audit
from training_app.actions.record_audit import Verdict
from training_app.configuration import config_from
from training_app.core.aggregate import Aggregation
from training_app.core.digests import digest_file
from training_app.models import AILabel, Audit, DatasetBuild, DatasetItem, TraceStep
from training_app.prompts import prompts_of
from training_app.refusals import BuildRefused

pytestmark = pytest.mark.django_db


@pytest.fixture
def made() -> FinishedRun:
    made = finished_run(engineer())
    made.run.prompt_sets.add(comparisons())
    return made


def rows_of(*built: DatasetBuild) -> list[dict[str, Any]]:
    """The rows of some builds as their files hold them."""
    texts = ((Path(settings.ARTIFACT_ROOT) / build.path).read_text() for build in built)
    return [json.loads(line) for text in texts for line in text.splitlines()]


def give(item: AILabel | TraceStep, verdict: str, choice: str = "", user: User | None = None) -> Audit:
    said = Verdict(verdict, choice=choice, comment="so" if verdict == "comment" else "")
    return record_audit(user=user or engineer(), audit_id=uuid4(), item=item, said=said)


def test_an_sft_build_names_the_origin_of_every_row(made: FinishedRun) -> None:
    (build,) = build_dataset(user=engineer(), run=made.run, stage="sft")
    rows = rows_of(build)
    assert build.digest == digest_file(Path(settings.ARTIFACT_ROOT) / build.path)
    assert len(rows) == build.rows == DatasetItem.objects.filter(build=build).count()
    assert {row["source"] for row in rows} == {"revision", "helpful"}
    first = DatasetItem.objects.filter(build=build).select_related("step").order_by("position")[0]
    assert first.step is not None and rows[0]["messages"][-1]["content"] == first.step.revision
    assert LedgerEntry.objects.filter(verb="dataset.build").count() == 1


def test_an_overridden_step_is_dropped_and_counted(made: FinishedRun) -> None:
    audit = give(made.steps[0], "override")
    (build,) = build_dataset(user=engineer(), run=made.run, stage="sft")
    assert not DatasetItem.objects.filter(build=build, step=made.steps[0]).exists()
    assert build.rules["overridden"]["dropped"] == 1
    assert build.rules["overridden"]["audits"] == [str(audit.pk)]
    assert build.rules["overridden"]["rule"] == verdicts.RULE


def test_an_overridden_label_takes_the_auditors_choice(made: FinishedRun) -> None:
    label, neither = made.labels[0], made.labels[1]
    choice = "b" if label.ai_choice == "a" else "a"
    give(label, "override", choice)
    give(neither, "override", "neither")
    built = build_dataset(user=engineer(), run=made.run, stage="reward")
    rows = {row["id"]: row for row in rows_of(*built)}
    changed = rows[label.comparison.key]
    assert (changed["p_a"], changed["source"]) == (1.0 if choice == "a" else 0.0, "audit")
    assert rows[neither.comparison.key]["p_a"] == 0.5
    untouched = rows[made.labels[2].comparison.key]
    assert (untouched["p_a"], untouched["source"]) == (pytest.approx(made.labels[2].p_a_clamped), "ai")
    assert sum(row["source"] == "human" for row in rows.values()) == 4
    assert DatasetItem.objects.filter(build__in=built, audit__isnull=False).count() == 2
    assert sum(build.rules["overridden"]["changed"] for build in built) == 2
    sides = [{row["prompt"] for row in rows_of(build)} for build in built]
    assert len(built) == 2 and not sides[0] & sides[1]


def test_the_newest_verdict_of_each_person_counts_and_most_people_win(made: FinishedRun) -> None:
    ada, ben, cleo = (User.objects.create_user(name) for name in ("ada", "ben", "cleo"))
    step = made.steps[0]
    give(step, "override", user=ada)
    give(step, "agree", user=ben)
    assert verdicts.overridden_steps(made.run) == {}  # one against one: the newest
    give(step, "override", user=cleo)
    assert set(verdicts.overridden_steps(made.run)) == {step.pk}
    give(step, "agree", user=ada)
    assert verdicts.overridden_steps(made.run) == {}
    give(step, "comment", user=cleo)
    assert verdicts.overridden_steps(made.run) == {}


def test_builds_by_hand_get_names_of_their_own(made: FinishedRun) -> None:
    names = [build_dataset(user=engineer(), run=made.run, stage="sft")[0].name for _ in range(2)]
    names.append(build_dataset(user=engineer(), run=made.run, stage="sft", name="after-audit")[0].name)
    assert names == ["sl-cai-2", "sl-cai-3", "sl-cai-after-audit"]
    with pytest.raises(BuildRefused, match="Choose another name"):
        build_dataset(user=engineer(), run=made.run, stage="sft", name="after-audit")
    with pytest.raises(BuildRefused, match="small letters"):
        build_dataset(user=engineer(), run=made.run, stage="sft", name="../../etc")


def test_equal_records_give_equal_digests(made: FinishedRun) -> None:
    (first,), (second,) = (build_dataset(user=engineer(), run=made.run, stage="sft") for _ in range(2))
    assert first.digest == second.digest


def test_there_must_be_something_to_build(made: FinishedRun) -> None:
    empty = queued_run(engineer())
    for stage, words in (("sft", "nothing to train SL-CAI on"), ("reward", "no preferences"), ("rl", "sft and reward")):
        with pytest.raises(BuildRefused, match=words):
            build_dataset(user=engineer(), run=empty, stage=stage)
    assert not DatasetBuild.objects.filter(run=empty).exists()


def test_another_aggregation_is_made_of_the_same_labels_and_every_label_is_named(made: FinishedRun) -> None:
    first = made.labels[0]
    other = next(one for one in made.run.version.principles.all() if one.pk != first.principle_id)
    second = AILabel.objects.get(pk=first.pk)
    second.pk, second.principle, second._state.adding = None, other, True
    second.ab_logp_a, second.ab_logp_b, second.ba_logp_a, second.ba_logp_b = -0.1, -2.4, -0.1, -2.4
    second.save(force_insert=True)
    mean = build_dataset(user=engineer(), run=made.run, stage="reward")
    narrow = Aggregation("majority", clamp=(0.4, 0.6))
    majority = build_dataset(user=engineer(), run=made.run, stage="reward", aggregation=narrow)
    p_second = 1 / (1 + math.exp(-2.3))
    by_mean, by_majority = ({row["id"]: row for row in rows_of(*built)} for built in (mean, majority))
    assert by_mean[first.comparison.key]["p_a"] == pytest.approx((first.p_a + p_second) / 2)
    assert by_majority[first.comparison.key]["p_a"] == pytest.approx(0.5)  # one says B, the other A
    assert all(0.4 <= row["p_a"] <= 0.6 for row in by_majority.values() if row["source"] == "ai")
    assert majority[0].rules["aggregation"] == "majority, both orders, clamped to 0.4-0.6"
    items = DatasetItem.objects.filter(build__in=mean, label__comparison=first.comparison)
    assert {(item.part, item.label_id) for item in items} == {(0, first.pk), (1, second.pk)} or {
        (item.part, item.label_id) for item in items
    } == {(1, first.pk), (0, second.pk)}
    assert len({item.position for item in items}) == 1


def test_a_prompt_on_both_sides_is_refused_and_nothing_is_kept(
    made: FinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leaking(rows: Any, fraction: float) -> Any:
        return rows, rows[:1]

    monkeypatch.setattr(builds, "split_by_prompt", leaking)
    kept = DatasetBuild.objects.count()
    with pytest.raises(BuildRefused, match="is also in the training row"):
        build_dataset(user=engineer(), run=made.run, stage="reward")
    assert DatasetBuild.objects.count() == kept
    assert not LedgerEntry.objects.filter(verb="dataset.build").exists()


def test_a_human_comparison_that_asks_what_is_evaluated_is_not_trained_on(made: FinishedRun) -> None:
    heldout = prompts_of(made.run, config_from(made.run.config)).heldout[0]
    asked = heldout["text"].upper()
    row = {side: f"\n\nHuman: {asked}\n\nAssistant: {side}." for side in ("chosen", "rejected")}
    made.run.prompt_sets.add(
        load_prompt_set(user=None, content=json.dumps(row).encode(), kind="comparisons", slug="leak", name="Leak")
    )
    built = build_dataset(user=engineer(), run=made.run, stage="reward")
    assert not any(row["source"] == "human" and row["prompt"] == asked for row in rows_of(*built))
    assert built[0].rules["excluded"] == {"its prompt is evaluated on": 1}


def with_options(made: FinishedRun, stage: str, **options: object) -> FinishedRun:
    made.run.config[stage] |= options
    made.run.save(update_fields=["config"])
    return made


def other_choice(label: AILabel) -> str:
    return "b" if label.ai_choice == "a" else "a"


def test_overridden_labels_can_be_left_out(made: FinishedRun) -> None:
    label = made.labels[0]
    audit = give(label, "override", other_choice(label))
    built = build_dataset(
        user=engineer(), run=with_options(made, "reward", overridden_labels="drop").run, stage="reward"
    )
    assert label.comparison.key not in {row["id"] for row in rows_of(*built)}
    for build in built:
        said = build.rules["overridden"]
        assert (said["dropped"], said["changed"], said["overridden_labels"]) == (1, 0, "drop")
        assert said["audits"] == [str(audit.pk)] and build.rules["excluded"]["people override it"] == 1


def test_overridden_labels_can_weigh_less(made: FinishedRun) -> None:
    label = made.labels[0]
    give(label, "override", other_choice(label))
    with_options(made, "reward", overridden_labels="weight", overridden_weight=0.25)
    built = build_dataset(user=engineer(), run=made.run, stage="reward")
    rows = {row["id"]: row for row in rows_of(*built)}
    row = rows[label.comparison.key]
    assert (row["weight"], row["source"], row["p_a"]) == (0.25, "ai", pytest.approx(label.p_a_clamped))
    assert rows[made.labels[1].comparison.key]["weight"] == 1.0
    assert sum(build.rules["overridden"]["changed"] for build in built) == 1
    assert DatasetItem.objects.filter(build__in=built, audit__isnull=False).get().label == label


def test_one_person_can_be_too_few(made: FinishedRun) -> None:
    label, step = made.labels[0], made.steps[0]
    with_options(made, "reward", verdicts_needed=2)
    with_options(made, "sft", verdicts_needed=2)
    ada, ben = (User.objects.create_user(name) for name in ("ada", "ben"))
    give(label, "override", other_choice(label), user=ada)
    give(step, "override", user=ada)
    alone = build_dataset(user=engineer(), run=made.run, stage="reward")
    assert "audit" not in {row["source"] for row in rows_of(*alone)}
    (sft,) = build_dataset(user=engineer(), run=made.run, stage="sft")
    assert sft.rules["overridden"]["dropped"] == 0
    give(label, "override", other_choice(label), user=ben)
    give(step, "override", user=ben)
    both = build_dataset(user=engineer(), run=made.run, stage="reward")
    assert [row["id"] for row in rows_of(*both) if row["source"] == "audit"] == [label.comparison.key]
    (sft,) = build_dataset(user=engineer(), run=made.run, stage="sft")
    assert sft.rules["overridden"]["dropped"] == 1


def test_overridden_revisions_can_be_kept(made: FinishedRun) -> None:
    give(made.steps[0], "override")
    (build,) = build_dataset(user=engineer(), run=with_options(made, "sft", overridden_steps="keep").run, stage="sft")
    assert DatasetItem.objects.filter(build=build, step=made.steps[0]).exists()
    assert (build.rules["overridden"]["dropped"], build.rules["overridden"]["kept"]) == (0, 1)
