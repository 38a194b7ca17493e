"""Constitutions, as a list and one by one."""

from __future__ import annotations

from django.db.models import Max
from rest_framework import mixins, serializers, viewsets

from constitutions_app.api.asking import HasRole
from constitutions_app.ledger import name_of
from constitutions_app.models import Constitution


class ConstitutionSerializer(serializers.ModelSerializer[Constitution]):
    """A constitution, with the number of its newest version (null before the first) and its draft's revision."""

    created_by = serializers.SerializerMethodField()
    newest_version = serializers.IntegerField(allow_null=True, read_only=True)
    draft_revision = serializers.IntegerField(source="draft.revision", read_only=True)
    draft_updated_at = serializers.DateTimeField(source="draft.updated_at", read_only=True)

    class Meta:
        model = Constitution
        fields = (
            "slug",
            "name",
            "description",
            "created_by",
            "created_at",
            "newest_version",
            "draft_revision",
            "draft_updated_at",
        )
        read_only_fields = fields

    def get_created_by(self, constitution: Constitution) -> str:
        return name_of(constitution.created_by)


class Constitutions(mixins.RetrieveModelMixin, mixins.ListModelMixin, viewsets.GenericViewSet[Constitution]):
    """Constitutions, newest first."""

    queryset = (
        Constitution.objects.with_draft().select_related("created_by").annotate(newest_version=Max("versions__number"))
    )
    serializer_class = ConstitutionSerializer
    permission_classes = [HasRole]
    lookup_field = "slug"
