from __future__ import annotations

from django.apps import AppConfig


class ConstitutionsConfig(AppConfig):
    name = "constitutions_app"
    verbose_name = "Constitutions"
