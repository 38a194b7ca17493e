"""The parts of addresses, as the schema describes them. Nothing here is a row id but where it says so."""

from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

SLUG = OpenApiParameter("slug", OpenApiTypes.STR, OpenApiParameter.PATH, description="The constitution's address.")
PLACE = OpenApiParameter(
    "slug", OpenApiTypes.STR, OpenApiParameter.PATH, description='The constitution\'s address, or "address@branch".'
)
NUMBER = OpenApiParameter("number", OpenApiTypes.INT, OpenApiParameter.PATH, description="The version's number.")
KEY = OpenApiParameter("key", OpenApiTypes.STR, OpenApiParameter.PATH, description="The principle's stable id.")
SCENARIO = OpenApiParameter("key", OpenApiTypes.STR, OpenApiParameter.PATH, description="The scenario's key.")
FORMAT = OpenApiParameter("form", OpenApiTypes.STR, OpenApiParameter.PATH, description="json, yaml or markdown.")
ROW = OpenApiParameter("pk", OpenApiTypes.INT, OpenApiParameter.PATH)
MERGED = OpenApiParameter(
    "merged", OpenApiTypes.STR, OpenApiParameter.PATH, description='"v3", or "other-constitution:v3".'
)
STATES = [
    OpenApiParameter(
        name,
        OpenApiTypes.STR,
        OpenApiParameter.PATH,
        description='"v3", "draft", "draft@branch", or "other-constitution:v3".',
    )
    for name in ("old", "new")
]
