"""How a person reads and judges, and that they asked to see a veiled text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from constitutions_app.ledger import record
from training_app.auditor_settings import KEYS
from training_app.models import AuditorSettings, Exposure, Reservation
from training_app.refusals import Refused

LONGEST_KEY = 20


class SettingsRefused(Refused):
    """Settings that do not hold together; nothing was changed."""


def change_auditor_settings(*, user: User, values: Mapping[str, Any], keys: Mapping[str, str]) -> AuditorSettings:
    """Keep the person's settings. Raises SettingsRefused for a key that two things share or that is none."""
    own = {name: key for name, key in keys.items() if name in KEYS and key and key != KEYS[name][0]}
    whole = {name: own.get(name, usual) for name, (usual, _) in KEYS.items()}
    for name, key in whole.items():
        if len(key) > LONGEST_KEY or key.strip() != key or key in ("Tab", "Escape"):
            raise SettingsRefused(f"{key[:LONGEST_KEY]!r} cannot be a key for “{KEYS[name][1].lower()}”.")
        if twice := [other for other, same in whole.items() if same == key and other != name]:
            raise SettingsRefused(f"{key!r} would do two things: {KEYS[name][1].lower()}, {KEYS[twice[0]][1].lower()}.")
    with transaction.atomic():
        kept, _ = AuditorSettings.objects.update_or_create(person=user, defaults={**values, "keys": own})
        record(actor=user, verb="person.change_auditing", obj=user, data={**values, "keys": own})
    return kept


def show_veiled(*, user: User, reservation: Reservation, severity: int) -> Exposure:
    """Count that the person asked to see a veiled item they hold; asked twice it counts once.

    No ledger entry: what somebody could bear to read is nobody else's record.
    """
    kept, _ = Exposure.objects.get_or_create(reservation=reservation, defaults={"person": user, "severity": severity})
    return kept
