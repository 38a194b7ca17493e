"""Registers the wiring as an app: its static files, its management command, its checks."""

from __future__ import annotations

from django.apps import AppConfig


class CaiWebConfig(AppConfig):
    name = "cai_web"
    verbose_name = "Wiring"
