"""What templates need in order to show numbers, slugs and hostile text."""

from __future__ import annotations
