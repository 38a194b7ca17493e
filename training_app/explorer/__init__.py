"""Finding items among millions: what is asked (filters), what is true of an item (tokens), and which items fit."""

from __future__ import annotations
