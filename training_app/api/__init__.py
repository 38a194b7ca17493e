"""The API of training: reading is broad, writing goes through the verbs of `actions` and nothing else.

Everybody with a role reads; engineers launch, cancel and resume runs; auditors give verdicts. A verb that refuses
answers 400 (something about what was sent) or 409 (the run is not in a state for it) with the verb's own sentence.
Here are the addresses; each file of this package answers those of one subject.
"""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, URLResolver
from rest_framework.routers import BaseRouter, SimpleRouter

from training_app.api.audits import Audits
from training_app.api.checkpoints import Checkpoints
from training_app.api.datasets import DatasetBuilds, DatasetItems
from training_app.api.evaluations import Answers, Evaluations
from training_app.api.judges import JudgeEvaluations, Judges
from training_app.api.labels import Comparisons, Labels
from training_app.api.prompts import Prompts, PromptSets
from training_app.api.reading import Reading
from training_app.api.runs import Runs
from training_app.api.stages import Events, Metrics, Stages
from training_app.api.traces import Steps, Traces

VIEWS: tuple[tuple[str, type[Reading[Any]]], ...] = (
    ("runs", Runs),
    ("stages", Stages),
    ("events", Events),
    ("metrics", Metrics),
    ("prompt-sets", PromptSets),
    ("prompts", Prompts),
    ("traces", Traces),
    ("steps", Steps),
    ("comparisons", Comparisons),
    ("labels", Labels),
    ("judges", Judges),
    ("judge-evaluations", JudgeEvaluations),
    ("audits", Audits),
    ("dataset-builds", DatasetBuilds),
    ("dataset-items", DatasetItems),
    ("checkpoints", Checkpoints),
    ("evaluations", Evaluations),
    ("answers", Answers),
)


def register(router: BaseRouter) -> None:
    """Put every list of this package on a router."""
    for name, view in VIEWS:
        router.register(name, view, basename=f"api-{name}")


_router = SimpleRouter()
register(_router)
urlpatterns: list[URLPattern | URLResolver] = list(_router.urls)
