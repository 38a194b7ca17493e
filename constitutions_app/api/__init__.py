"""The API of constitutions: reading is broad, and everything written goes through its verb.

Everybody with a role reads. Objects have the addresses people know from the pages: a slug and a number, never a row id.
Here are the addresses; each file of this package answers those of one subject.
"""

from __future__ import annotations

from django.urls import path
from rest_framework.routers import BaseRouter, SimpleRouter

from constitutions_app import converters
from constitutions_app.api.blame import Blame
from constitutions_app.api.branches import Branches, MergeInto
from constitutions_app.api.comparing import Compare
from constitutions_app.api.constitutions import Constitutions
from constitutions_app.api.drafts import OneDraft, Publish
from constitutions_app.api.exporting import ExportDraft, ExportVersion
from constitutions_app.api.importing import ImportFile
from constitutions_app.api.ledger import Activity, Ledger
from constitutions_app.api.reviews import OfReview, OfVerdicts
from constitutions_app.api.scenario_results import StoreResults
from constitutions_app.api.scenarios import OneScenario, RetireScenario, Scenarios
from constitutions_app.api.searching import Search
from constitutions_app.api.suggestions import Apply, Decline
from constitutions_app.api.threads import OfThreads, OneThread, Reopen, Resolve
from constitutions_app.api.versions import Aliases, OnePrinciple, OneVersion, Versions


def register(router: BaseRouter) -> None:
    """Add the lists of this app to a router."""
    router.register("constitutions", Constitutions, basename="api-constitutions")
    router.register("ledger", Ledger, basename="api-ledger")


converters.register()
_router = SimpleRouter()
register(_router)

_HERE = "constitutions/<slug:slug>"
_PLACE = "constitutions/<place:slug>"  # with "@branch", or without
_VERSION = f"{_HERE}/versions/<number:number>"
_SCENARIO = f"{_HERE}/scenarios/<slug:key>"

urlpatterns = [
    *_router.urls,
    path("import/", ImportFile.as_view(), name="api-import"),
    path("search/", Search.as_view(), name="api-search"),
    path(f"{_HERE}/activity/", Activity.as_view({"get": "list"}), name="api-activity"),
    path(f"{_HERE}/aliases/", Aliases.as_view(), name="api-aliases"),
    path(f"{_HERE}/blame/<state:new>/<slug:key>/", Blame.as_view(), name="api-blame"),
    path(f"{_HERE}/branches/", Branches.as_view(), name="api-branches"),
    path(f"{_HERE}/compare/<state:old>..<state:new>/", Compare.as_view(), name="api-compare"),
    path(f"{_PLACE}/draft/", OneDraft.as_view(), name="api-draft"),
    path(f"{_PLACE}/draft/export/<slug:form>/", ExportDraft.as_view(), name="api-export-draft"),
    path(f"{_PLACE}/draft/merge/<state:merged>/", MergeInto.as_view(), name="api-merge"),
    path(f"{_PLACE}/publish/", Publish.as_view(), name="api-publish"),
    path(f"{_PLACE}/review/", OfReview.as_view(), name="api-review"),
    path(f"{_PLACE}/review/verdicts/", OfVerdicts.as_view(), name="api-verdicts"),
    path(f"{_HERE}/scenario-results/", StoreResults.as_view(), name="api-scenario-results"),
    path(f"{_HERE}/scenarios/", Scenarios.as_view({"get": "list", "post": "create"}), name="api-scenarios"),
    path(f"{_SCENARIO}/", OneScenario.as_view(), name="api-scenario"),
    path(f"{_SCENARIO}/retire/", RetireScenario.as_view(), name="api-retire-scenario"),
    path(f"{_SCENARIO}/restore/", RetireScenario.as_view(restore=True), name="api-restore-scenario"),
    path(f"{_PLACE}/suggestions/<number:pk>/apply/", Apply.as_view(), name="api-apply"),
    path(f"{_PLACE}/suggestions/<number:pk>/decline/", Decline.as_view(), name="api-decline-suggestion"),
    path(f"{_PLACE}/threads/", OfThreads.as_view(), name="api-threads"),
    path(f"{_PLACE}/threads/<number:pk>/", OneThread.as_view(), name="api-thread"),
    path(f"{_PLACE}/threads/<number:pk>/resolve/", Resolve.as_view(), name="api-resolve"),
    path(f"{_PLACE}/threads/<number:pk>/reopen/", Reopen.as_view(), name="api-reopen"),
    path(f"{_HERE}/versions/", Versions.as_view({"get": "list"}), name="api-versions"),
    path(f"{_VERSION}/", OneVersion.as_view(), name="api-version"),
    path(f"{_VERSION}/export/<slug:form>/", ExportVersion.as_view(), name="api-export-version"),
    path(f"{_VERSION}/principles/<slug:key>/", OnePrinciple.as_view(), name="api-principle"),
]
