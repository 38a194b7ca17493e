"""A label of a human or imported comparison says which set that comparison came in, as the comparison does."""

from __future__ import annotations

from django.db import migrations

from training_app.migrations import _tallies

NAMED = """
UPDATE training_app_labelfacts AS facts
SET facets = facts.facets || explorer_token(6, item.prompt_set_id)
FROM training_app_comparison AS item
WHERE item.id = facts.comparison_id AND item.prompt_set_id IS NOT NULL
    AND NOT facts.facets @> ARRAY[explorer_token(6, item.prompt_set_id)];
UPDATE training_app_auditfacts AS facts
SET facets = facts.facets || explorer_token(6, item.prompt_set_id)
FROM training_app_audit AS audit
JOIN training_app_ailabel AS label ON label.id = audit.label_id
JOIN training_app_comparison AS item ON item.id = label.comparison_id
WHERE audit.id = facts.audit_id AND item.prompt_set_id IS NOT NULL
    AND NOT facts.facets @> ARRAY[explorer_token(6, item.prompt_set_id)];
"""


class Migration(migrations.Migration):
    dependencies = [
        ("training_app", "0031_last_words_are_facts"),
    ]

    operations = [
        migrations.RunSQL(_tallies.notes("labels", _tallies.MADE_LABELS), migrations.RunSQL.noop),
        migrations.RunSQL(NAMED, migrations.RunSQL.noop),
    ]
