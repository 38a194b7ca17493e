"""How one person reads and judges: what is veiled, which keys work, when a break is offered; what they were shown."""

from __future__ import annotations

from collections.abc import Mapping

from django.contrib.auth.models import AnonymousUser, User
from django.utils import timezone

from training_app.models import AuditorSettings, Exposure

KEYS: Mapping[str, tuple[str, str]] = {
    "first": ("1", "The first response is better"),
    "second": ("2", "The second response is better"),
    "neither": ("0", "Neither, or cannot tell"),
    "keep": ("Enter", "Keep and go on"),
    "reason": ("x", "Give a reason"),
    "note": ("n", "Write a note"),
    "undo": ("u", "Take the last decision back"),
    "next": ("j", "Another item first"),
    "previous": ("k", "The item before"),
    "show": ("s", "Show what is veiled"),
    "differences": ("d", "Show what differs"),
}
"""What can be pressed while judging: the usual key, and what it does."""


def settings_of(user: User | AnonymousUser) -> AuditorSettings:
    """The person's own, or the usual ones, not saved. One query where they were not read together with the person."""
    if not isinstance(user, User):
        return AuditorSettings()
    try:
        own: AuditorSettings = user.auditor_settings
    except AuditorSettings.DoesNotExist:
        return AuditorSettings(person=user)
    return own


def keys_of(settings: AuditorSettings) -> dict[str, str]:
    """Every key by the name of what it does, own keys first."""
    own = settings.keys if isinstance(settings.keys, dict) else {}
    return {name: str(own.get(name) or usual) for name, (usual, _) in KEYS.items()}


def shown_today(user: User) -> int:
    """How many veiled items the person had shown to them today. One query."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    return Exposure.objects.filter(person=user, at__gte=midnight).count()
