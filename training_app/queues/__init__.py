"""Queues: choosing what goes into one, giving its items out, what is told of them, how far it is."""

from __future__ import annotations
