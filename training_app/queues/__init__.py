"""Queues: choosing what goes into one, and giving its items out."""

from __future__ import annotations
