"""The API of training: reading is broad, writing goes through the verbs of `actions` and nothing else.

Everybody with a role reads; engineers launch, cancel and resume runs; auditors give verdicts. A verb that refuses
answers 400 (something about what was sent) or 409 (the run is not in a state for it) with the verb's own sentence.
Here are the addresses; each file of this package answers those of one subject.
"""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, URLResolver, path
from rest_framework.routers import BaseRouter, SimpleRouter

from training_app.api.audits import Audits
from training_app.api.chats import Chats
from training_app.api.checkpoints import Checkpoints
from training_app.api.datasets import DatasetBuilds, DatasetItems
from training_app.api.evaluations import Answers, Evaluations
from training_app.api.exploring import Explore, ExploreCounts
from training_app.api.exports import Exports
from training_app.api.handing_on import HubCopies, PushCheckpoint, Signatures, SignCheckpoint, VerifyCheckpoint
from training_app.api.judges import JudgeEvaluations, Judges
from training_app.api.labels import Comparisons, Labels
from training_app.api.numbers import OfNumbers
from training_app.api.prompts import Prompts, PromptSets
from training_app.api.queue_items import (
    ChooseBlind,
    Decide,
    OneItem,
    QueueNext,
    QueueUndo,
    RefuseItem,
    ShowVeiled,
)
from training_app.api.queues import Queues
from training_app.api.reading import Reading
from training_app.api.releases import (
    AllReleaseRules,
    CheckpointAliases,
    OneRelease,
    OneReleaseRules,
    PointAlias,
    SignOffs,
)
from training_app.api.run_groups import RunGroups
from training_app.api.runs import Runs
from training_app.api.saved_views import SavedViews
from training_app.api.second_opinions import Adjudications, Disagreements, FinalOfLabel, FinalOfStep
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
    ("queues", Queues),
    ("saved-views", SavedViews),
    ("adjudications", Adjudications),
    ("run-groups", RunGroups),
    ("sign-offs", SignOffs),
    ("checkpoint-aliases", CheckpointAliases),
    ("release-rules", AllReleaseRules),
    ("signatures", Signatures),
    ("hub-copies", HubCopies),
    ("chats", Chats),
    ("exports", Exports),
)


def register(router: BaseRouter) -> None:
    """Put every list of this package on a router."""
    for name, view in VIEWS:
        router.register(name, view, basename=f"api-{name}")


_router = SimpleRouter()
register(_router)

_QUEUE = "queues/<int:pk>"
_ITEM = f"{_QUEUE}/items/<int:position>"

urlpatterns: list[URLPattern | URLResolver] = [
    *_router.urls,
    path("explore/", Explore.as_view(), name="api-explore"),
    path("explore/counts/", ExploreCounts.as_view(), name="api-explore-counts"),
    path("numbers/", OfNumbers.as_view(), name="api-numbers"),
    path("disagreements/", Disagreements.as_view(), name="api-disagreements"),
    path("labels/<int:pk>/final/", FinalOfLabel.as_view(), name="api-label-final"),
    path("steps/<int:pk>/final/", FinalOfStep.as_view(), name="api-step-final"),
    path(f"{_QUEUE}/next/", QueueNext.as_view(), name="api-queue-next"),
    path(f"{_QUEUE}/undo/", QueueUndo.as_view(), name="api-queue-undo"),
    path(f"{_ITEM}/", OneItem.as_view(), name="api-queue-item"),
    path(f"{_ITEM}/choose/", ChooseBlind.as_view(), name="api-queue-choose"),
    path(f"{_ITEM}/decide/", Decide.as_view(), name="api-queue-decide"),
    path(f"{_ITEM}/refuse/", RefuseItem.as_view(), name="api-queue-refuse"),
    path(f"{_ITEM}/show/", ShowVeiled.as_view(), name="api-queue-show"),
    path("checkpoints/<int:pk>/release/", OneRelease.as_view(), name="api-release"),
    path("checkpoints/<int:pk>/alias/", PointAlias.as_view(), name="api-checkpoint-alias"),
    path("checkpoints/<int:pk>/sign/", SignCheckpoint.as_view(), name="api-sign"),
    path("checkpoints/<int:pk>/push/", PushCheckpoint.as_view(), name="api-push"),
    path("checkpoints/<int:pk>/verify/", VerifyCheckpoint.as_view(), name="api-verify"),
    path("constitutions/<slug:slug>/release-rules/", OneReleaseRules.as_view(), name="api-release-rules-of"),
]
