"""What the tests of this API start from."""

from __future__ import annotations

import pytest
from django.core.cache import cache

from tests.training_app.factories import FinishedRun, finished_run
from tests.training_app.scenes import engineer


@pytest.fixture(scope="module")
def scene(module_db: None) -> FinishedRun:
    """Made once for a module; its rows are undone with it."""
    return finished_run(engineer())


@pytest.fixture
def made(scene: FinishedRun, db: None) -> FinishedRun:
    cache.clear()
    return scene
