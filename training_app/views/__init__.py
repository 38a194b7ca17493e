"""The pages of training: runs, judgements and audits, checkpoints and lineage, prompt sets."""

from __future__ import annotations
