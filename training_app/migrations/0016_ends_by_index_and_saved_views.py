"""Where the items of a run, a judge and a principle begin and end is told by indexes; questions are kept under names."""

from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

IN_TURN = """
CREATE FUNCTION explorer_in_turn(most bigint) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE PARALLEL UNSAFE AS $$ BEGIN RETURN most; END $$;
COMMENT ON FUNCTION explorer_in_turn(bigint) IS 'Keeps the planner from reading the stretches of a walk side by side';
"""


class Migration(migrations.Migration):
    dependencies = [
        ("constitutions_app", "0016_text_vectors"),
        ("training_app", "0015_people_order_the_queue"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="SavedView",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100)),
                ("query", models.CharField(blank=True, max_length=2000)),
                ("shared", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ("name", "pk"),
            },
        ),
        migrations.AlterField(
            model_name="ailabel",
            name="judge",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="labels",
                to="training_app.judge",
            ),
        ),
        migrations.AlterField(
            model_name="ailabel",
            name="principle",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="labels",
                to="constitutions_app.principleversion",
            ),
        ),
        migrations.AlterField(
            model_name="ailabel",
            name="run",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="labels",
                to="training_app.run",
            ),
        ),
        migrations.AlterField(
            model_name="comparison",
            name="run",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="comparisons",
                to="training_app.run",
            ),
        ),
        migrations.AlterField(
            model_name="tracestep",
            name="principle",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="steps",
                to="constitutions_app.principleversion",
            ),
        ),
        migrations.AddIndex(
            model_name="ailabel",
            index=models.Index(fields=["run", "id"], name="labels_of_a_run"),
        ),
        migrations.AddIndex(
            model_name="ailabel",
            index=models.Index(fields=["principle", "id"], name="labels_of_a_principle"),
        ),
        migrations.AddIndex(
            model_name="ailabel",
            index=models.Index(fields=["judge", "id"], name="labels_of_a_judge"),
        ),
        migrations.AddIndex(
            model_name="ailabel",
            index=models.Index(fields=["created_at"], name="labels_by_time"),
        ),
        migrations.AddIndex(
            model_name="audit",
            index=models.Index(fields=["created_at", "id"], name="audits_by_time"),
        ),
        migrations.AddIndex(
            model_name="comparison",
            index=models.Index(fields=["run", "id"], name="comparisons_of_a_run"),
        ),
        migrations.AddIndex(
            model_name="comparison",
            index=models.Index(fields=["created_at"], name="comparisons_by_time"),
        ),
        migrations.AddIndex(
            model_name="labelfacts",
            index=models.Index(
                condition=models.Q(("facets__contains", [201326593])),
                fields=["p_a", "label"],
                name="label_facts_same_by_p_a",
            ),
        ),
        migrations.AddIndex(
            model_name="tracestep",
            index=models.Index(fields=["principle", "id"], name="steps_of_a_principle"),
        ),
        migrations.AddIndex(
            model_name="tracestep",
            index=models.Index(fields=["created_at"], name="steps_by_time"),
        ),
        migrations.AddField(
            model_name="savedview",
            name="owner",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="saved_views", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddConstraint(
            model_name="savedview",
            constraint=models.UniqueConstraint(fields=("owner", "name"), name="one_view_per_name_and_owner"),
        ),
        migrations.RunSQL(IN_TURN, "DROP FUNCTION explorer_in_turn(bigint);"),
    ]
