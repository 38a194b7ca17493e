"""Two answers to one question are a comparison that people choose between; facts name every source of comparisons."""

from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from training_app.migrations import _facts

IMPORTED = """
UPDATE training_app_comparisonfacts AS facts
SET facets = array_replace(facts.facets, explorer_token(14, 0), explorer_token(14, 2))
FROM training_app_comparison AS item WHERE item.id = facts.comparison_id AND item.source = 'imported';
"""


class Migration(migrations.Migration):
    dependencies = [
        ("training_app", "0028_checkpoints_are_handed_on"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="comparison",
            name="a_comparison_has_an_origin",
        ),
        migrations.RemoveConstraint(
            model_name="queueitem",
            name="a_queue_item_is_one_thing",
        ),
        migrations.AddField(
            model_name="comparison",
            name="chat",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="comparison",
                to="training_app.chatturn",
            ),
        ),
        migrations.AlterField(
            model_name="auditqueue",
            name="kind",
            field=models.CharField(
                choices=[
                    ("labels", "AI labels"),
                    ("steps", "critiques and revisions"),
                    ("answers", "pairs of answers"),
                ],
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="auditqueue",
            name="rule",
            field=models.CharField(
                choices=[
                    ("uniform", "by chance, all alike"),
                    ("stratified", "by chance, the same number for each principle"),
                    ("uncertain", "where the judge was least sure"),
                    ("order", "where the judge changed its mind with the order"),
                    ("influential", "what training learns most from"),
                    ("newest", "newest first"),
                    ("disagreement", "where auditors disagree"),
                    ("sent", "as people send them"),
                ],
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="comparison",
            name="source",
            field=models.CharField(
                choices=[
                    ("sampled", "sampled from a checkpoint"),
                    ("human", "human comparison"),
                    ("imported", "annotated elsewhere, not chosen between by people"),
                    ("chat", "what two checkpoints answered somebody"),
                ],
                max_length=10,
            ),
        ),
        migrations.AddConstraint(
            model_name="auditqueue",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "answers"), ("rule", "sent")),
                    models.Q(models.Q(("kind", "answers"), _negated=True), models.Q(("rule", "sent"), _negated=True)),
                    _connector="OR",
                ),
                name="answers_are_sent_and_nothing_else",
            ),
        ),
        migrations.AddConstraint(
            model_name="auditqueue",
            constraint=models.UniqueConstraint(
                condition=models.Q(("closed_at", None), ("kind", "answers")),
                fields=("kind",),
                name="one_open_queue_of_answers",
            ),
        ),
        migrations.AddConstraint(
            model_name="comparison",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("run__isnull", False), ("source", "sampled")),
                    models.Q(("human_choice__in", ("a", "b")), ("prompt_set__isnull", False), ("source", "human")),
                    models.Q(("human_choice", ""), ("prompt_set__isnull", False), ("source", "imported")),
                    models.Q(
                        ("chat__isnull", False),
                        ("human_choice", ""),
                        ("prompt_set", None),
                        ("run", None),
                        ("source", "chat"),
                    ),
                    _connector="OR",
                ),
                name="a_comparison_has_an_origin",
            ),
        ),
        migrations.AddConstraint(
            model_name="queueitem",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("comparison__isnull", True), ("label__isnull", False), ("step__isnull", True)),
                    models.Q(("comparison__isnull", True), ("label__isnull", True), ("step__isnull", False)),
                    models.Q(
                        ("comparison__isnull", False),
                        ("known__in", ("a", "b", "")),
                        ("label__isnull", True),
                        ("step__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="a_queue_item_is_one_thing",
            ),
        ),
        migrations.RunSQL(_facts.describe_anew("comparisons"), migrations.RunSQL.noop),
        migrations.RunSQL(IMPORTED, migrations.RunSQL.noop),
    ]
