"""A file to import, what belongs to it, and where it goes."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from constitutions_app.core import principles as core
from constitutions_app.core.interchange import FORMATS, Choice
from constitutions_app.core.interchange.documents import MAX_BYTES
from constitutions_app.core.interchange.joining import WAYS
from constitutions_app.forms.fields import FilesField

LIMIT = f"{MAX_BYTES // 1_000_000} MB"

FORMAT_CHOICES = [("", "recognise it by its content"), *FORMATS.items()]


class UploadForm(forms.Form):
    """What belongs to a file: its format, the paper's other list, the Model Spec's examples, the licence."""

    format = forms.ChoiceField(required=False, choices=FORMAT_CHOICES)
    link = forms.FileField(
        required=False,
        allow_empty_file=True,
        label="Second file",
        help_text="The paper's other list: its pairs and its questions are linked to each other.",
    )
    examples = FilesField(
        required=False,
        label="Example files",
        help_text="The Model Spec's examples/ folder, at most 90 files here; the shell reads any number.",
    )
    licence = forms.CharField(
        required=False, max_length=200, help_text="Under which licence the words come, such as MIT or CC0."
    )

    def clean_link(self) -> tuple[bytes, str] | None:
        return _content_of(self.cleaned_data["link"])

    def clean_examples(self) -> dict[str, bytes]:
        given = [_content_of(file) for file in self.cleaned_data["examples"]]
        files = {f"examples/{name}": data for data, name in filter(None, given)}
        if sum(map(len, files.values())) > MAX_BYTES:
            raise ValidationError(f"Together they are larger than {LIMIT}; import the file from the shell instead.")
        return files


class NewUploadForm(UploadForm):
    """A file to import, or its text pasted: one of the two, with what belongs to it."""

    file = forms.FileField(required=False, allow_empty_file=True, help_text=f"At most {LIMIT}.")
    text = forms.CharField(
        required=False,
        max_length=MAX_BYTES,
        strip=False,
        label="Or its text",
        widget=forms.Textarea(attrs={"rows": 6, "class": "sent", "dir": "auto"}),
        help_text="Paste it here where there is no file.",
    )

    field_order = ("file", "text", "format", "licence", "link", "examples")

    def clean_file(self) -> tuple[bytes, str] | None:
        return _content_of(self.cleaned_data["file"])

    def clean(self) -> dict[str, Any]:
        said = super().clean() or {}
        file, text = said.get("file"), said.get("text", "")
        if file and text.strip():
            raise ValidationError("Choose a file or paste a text, not both.")
        if not file and not text.strip() and "file" not in self.errors:
            raise ValidationError("Choose a file, or paste its text.")
        said["content"] = file or (text.encode("utf-8", "replace"), "pasted text")
        return said


class WriteImportForm(forms.Form):
    """Where an import is written to: a new constitution by its name, or a draft by its address."""

    name = forms.CharField(required=False, max_length=200, label="Name of the new constitution")
    into = forms.CharField(required=False, max_length=150, widget=forms.HiddenInput)
    way = forms.ChoiceField(required=False, choices=list(WAYS.items()), widget=forms.HiddenInput)
    revision = forms.IntegerField(required=False, min_value=0, max_value=2**31 - 1, widget=forms.HiddenInput)


class LinkForm(forms.Form):
    """Which question belongs to which pair of the paper, one select and one box for each pair."""

    def __init__(self, *args: Any, pairs: list[core.Principle], questions: list[core.Principle], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [("", "no question"), *((str(n), f"{n + 1}. {item.title}") for n, item in enumerate(questions))]
        for number, pair in enumerate(pairs):
            self.fields[f"question-{number}"] = forms.ChoiceField(
                required=False, choices=choices, label=f"Question for {pair.title}"
            )
            self.fields[f"confirmed-{number}"] = forms.BooleanField(required=False, label="They belong together")
        self.pairs = pairs

    def chosen(self) -> dict[str, Choice]:
        """By the pair's id: which question, and whether the person has confirmed it."""
        found = {}
        for number, pair in enumerate(self.pairs):
            question = self.cleaned_data[f"question-{number}"]
            confirmed = bool(question) and self.cleaned_data[f"confirmed-{number}"]
            found[pair.id] = Choice(int(question) if question else None, confirmed)
        return found


def _content_of(file: Any) -> tuple[bytes, str] | None:
    """The bytes of an upload with its name. Raises ValidationError for more than a constitution can have."""
    if not file:
        return None
    if file.size > MAX_BYTES:
        raise ValidationError(f"{file.name} is larger than {LIMIT}. Nothing of it was kept.")
    return file.read(MAX_BYTES + 1), str(file.name)
