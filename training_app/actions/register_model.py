"""Register a base model: its folder is checked and digested, and what it says of itself kept."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction

from constitutions_app.ledger import record
from training_app.base_models import BadBaseModel, find_base_model, folder_of
from training_app.core.chat_template import rendered, template_of
from training_app.core.errors import BadInput
from training_app.core.model_facts import facts_of
from training_app.models import RegisteredModel
from training_app.refusals import ModelRefused


def register_model(*, user: User | None, name: str) -> RegisteredModel:
    """The folder `name` under MODELS_ROOT as it is now; unchanged since the last time, the row already there.

    Reads all weights (a second per gigabyte or so) before the transaction. Raises ModelRefused with one sentence when
    the folder cannot be used: no safetensors, an adapter, a template that fails.
    """
    try:
        found = find_base_model(name)
        folder = folder_of(found.as_data())
        template, sample = template_of(folder), rendered(folder)
    except (BadBaseModel, BadInput) as error:
        raise ModelRefused(str(error)) from error
    facts = facts_of(folder)
    with transaction.atomic():
        kept, created = RegisteredModel.objects.get_or_create(
            name=found.name[:200], digest=found.digest,
            defaults={
                "size_bytes": facts.size_bytes, "parameters": facts.parameters, "licence": facts.licence,
                "family": facts.family, "hub": facts.hub, "revision": facts.revision,
                "chat_template": template.replace("\x00", ""), "rendered": sample.replace("\x00", ""),
                "registered_by": user,
            },
        )  # fmt: skip
        if created:
            data = {"name": kept.name, "digest": kept.digest, "hub": kept.hub, "revision": kept.revision}
            record(actor=user, verb="model.register", obj=kept, data=data)
    return kept
