"""Measure a judge: a file of questions is kept and an evaluation queued, or every bad line is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO
from uuid import UUID

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from constitutions_app.ledger import record
from training_app import artifacts
from training_app.base_models import BadBaseModel, find_base_model
from training_app.core.digests import digest_file
from training_app.core.errors import BadInput
from training_app.core.judge_eval import JudgeEvalParams
from training_app.core.judge_items import Pair, each_item
from training_app.judge_evaluations import ITEMS
from training_app.models import JudgeEvaluation
from training_app.other_models import pinned
from training_app.refusals import JudgeFileRefused
from training_app.tasks import ring_judge

LARGEST_FILE = 64 * 2**20
LARGEST_UNPACKED = 512 * 2**20
PIECE = 2**20
SERVER = "server:"
"""What the name of a model server begins with where folders can be chosen too."""


def measure_judge(
    *,
    user: User,
    file: IO[bytes],
    file_name: str,
    model: str,
    template: str,
    question: str,
    most: int | None = None,
    evaluation_id: UUID | None = None,
    say: Callable[[str], None] | None = None,
) -> JudgeEvaluation:
    """Queue an evaluation of a judge on a file (JSONL, plain or gzip, open to read) and wake an `infer` worker.

    `model` is a folder under MODELS_ROOT or "server:NAME". `evaluation_id` makes a form sent twice one evaluation.
    Raises JudgeFileRefused with a sentence for every bad line, or about the field that is wrong.
    """
    if evaluation_id and (known := JudgeEvaluation.objects.filter(pk=evaluation_id, created_by=user).first()):
        return known
    chosen = _model(model, template)
    params = JudgeEvalParams(template=template, question=question, most=most)
    row = JudgeEvaluation(
        **({"id": evaluation_id} if evaluation_id else {}),
        file_name=file_name[:200], model=chosen, params=asdict(params), created_by=user,
    )  # fmt: skip
    row.folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=row.folder.parent, prefix="new-") as draft:  # the folder is the row's once it is there
        _keep(row, Path(draft) / ITEMS, file, most)
        return _queued(row, Path(draft) / ITEMS, say)


def _queued(row: JudgeEvaluation, items: Path, say: Callable[[str], None] | None) -> JudgeEvaluation:
    """The row with its file; or, of one form sent twice at once, the row that came first. Raises JudgeFileRefused."""
    with transaction.atomic():
        if not _inserted(row):
            return _first(row)
        row.folder.mkdir()
        items.rename(row.folder / ITEMS)
        try:
            artifacts.put(row.folder)
        except artifacts.StorageFailed as error:
            raise JudgeFileRefused((f"{error} Nothing was queued.",)) from error
        data = {"file": row.file_digest, "name": row.file_name, "model": row.model, "params": row.params}
        record(actor=row.created_by, verb="judge.measure", obj=row, data=data)
        ring_judge(row.pk, say=say)
    return row


def _inserted(row: JudgeEvaluation) -> bool:
    """Whether the row is new; False when its id is taken."""
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        if not JudgeEvaluation.objects.filter(pk=row.pk).exists():
            raise
        return False
    return True


def _first(row: JudgeEvaluation) -> JudgeEvaluation:
    if known := JudgeEvaluation.objects.filter(pk=row.pk, created_by=row.created_by).first():
        return known
    raise JudgeFileRefused(("This form was sent by somebody else before. Open it anew.",))


def _keep(row: JudgeEvaluation, path: Path, file: IO[bytes], most: int | None) -> None:
    """Copy the file and read it once, line by line, so that a bad line is found now and not by the worker."""
    _copy(file, path)
    first, total = None, 0
    try:
        for item in each_item(path, most_bytes=LARGEST_UNPACKED, most=most):
            first, total = first or item, total + 1
    except BadInput as error:
        problems = (
            error.advice.splitlines() if error.advice.startswith("Line ") else [f"{error.message} {error.advice}"]
        )
        raise JudgeFileRefused(tuple(problems)) from error
    row.file_digest, row.total = digest_file(path), total
    row.format = "comparison" if first and isinstance(first.body, Pair) else "choice"


def _copy(file: IO[bytes], path: Path) -> None:
    """What was sent, piece by piece. Raises JudgeFileRefused where it is too large."""
    size = 0
    with path.open("wb") as kept:
        while piece := file.read(PIECE):
            size += len(piece)
            if size > LARGEST_FILE:
                raise JudgeFileRefused((f"The file is larger than {LARGEST_FILE // 2**20} MiB.",))
            kept.write(piece)


def _model(named: str, template: str) -> dict[str, str]:
    try:
        if named.startswith(SERVER):
            server = pinned(named.removeprefix(SERVER))
            return {part: server[part] for part in ("backend", "name", "digest")}
        model = find_base_model(named)
    except (BadInput, BadBaseModel) as error:
        raise JudgeFileRefused((str(error),), field="model") from error
    if template == "chat" and not model.chat_template:
        raise JudgeFileRefused((f"{model.name} has no chat template. Choose another template.",), field="template")
    return {"name": model.name, "path": model.path, "digest": model.digest}
