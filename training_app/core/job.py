"""`job.json`: everything a stage is told, read once, checked once, frozen.

Paths in it are absolute or relative to the job file's own folder, so a run's folder can be carried to another machine.
Every error is a `BadInput` whose one sentence names the file and the field or line. What an input *means* (a prompt, a
comparison, a training pair) is read by the row classes of `rows.py` and the stages themselves.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from constitutions_app.core.principles import Constitution, MalformedConstitution, from_json
from training_app.core.digests import digest_file
from training_app.core.errors import BadInput
from training_app.core.params import BadParams, checked_params

SCHEMA = 1
DIGEST = re.compile(r"[0-9a-f]{64}")
KNOWN_FIELDS = frozenset(
    {"schema", "stage", "run", "seed", "out", "constitution", "model", "models", "inputs", "parents", "params"}
)
REQUIRED_FIELDS = ("schema", "stage", "run", "seed")

Params = TypeVar("Params")
Row = TypeVar("Row")


@dataclass(frozen=True)
class ModelRef:
    """A model folder, with the digest it had when the job was written (None: not known then), and who runs it.

    For backend "openai" the name is that of an allowed server (servers.py) and the path is empty.
    """

    path: Path
    name: str
    digest: str | None = None
    backend: str = "local"


@dataclass(frozen=True)
class InputRef:
    """A JSONL file with the digest and number of rows it must have (None: not promised)."""

    path: Path
    digest: str | None = None
    rows: int | None = None


@dataclass(frozen=True)
class ConstitutionRef:
    """The constitution's canonical JSON, pinned by digest."""

    path: Path
    digest: str
    slug: str = ""
    number: int | None = None


@dataclass(frozen=True)
class Job:
    """One stage's work. Build it with `read_job`; `digest` is the sha256 of the job file's bytes."""

    file: Path
    digest: str
    stage: str
    run: str
    seed: int
    out: Path
    main_model: ModelRef | None
    models: Mapping[str, ModelRef]
    constitution_ref: ConstitutionRef | None
    inputs: Mapping[str, InputRef]
    parents: Mapping[str, Any]
    raw_params: Mapping[str, Any]

    @property
    def model(self) -> ModelRef:
        """The model the stage works with or starts from. Raises BadInput when the job names none."""
        if self.main_model is None:
            raise BadInput(f"{self.file.name}: model is missing; the stage {self.stage} needs one.")
        return self.main_model

    def model_for(self, role: str) -> ModelRef:
        """A further model by role ("reference", "reward", "judge", …). Raises BadInput naming the role."""
        if role not in self.models:
            raise BadInput(f"{self.file.name}: models.{role} is missing; the stage {self.stage} needs one.")
        return self.models[role]

    @property
    def judge(self) -> Mapping[str, Any]:
        """What the job says of the judge (digest, name, …), kept beside the options; empty when it says nothing."""
        judge: Mapping[str, Any] = self.raw_params.get("judge") or {}
        return judge

    def params(self, kind: type[Params]) -> Params:
        """The options as `kind` (a dataclass of `config.py`), types and ranges checked. Raises BadInput."""
        options = {name: value for name, value in self.raw_params.items() if name != "judge"}
        try:
            return checked_params(kind, options)
        except BadParams as error:
            raise BadInput(f"{self.file.name}: params.{error}") from error

    def has_input(self, name: str) -> bool:
        """Whether the job names this input."""
        return name in self.inputs

    def input_rows(self, name: str) -> list[dict[str, Any]]:
        """The rows of one input as plain objects, digest and count verified. Raises BadInput naming the line."""
        return self.read_input(name, lambda row: row)

    def read_input(self, name: str, read: Callable[[dict[str, Any]], Row]) -> list[Row]:
        """The rows of one input, each turned into a value by `read`, which raises ValueError when a row is malformed.

        Raises BadInput naming file, line and reason; also for a missing, changed or empty file and for a repeated "id".
        """
        ref, path = self.inputs.get(name), self.input_path(name)
        rows = _read_jsonl(path, read)
        if not rows:
            raise BadInput(f"{path.name} is empty; the stage {self.stage} needs at least one row of {name}.")
        if ref is not None and ref.rows is not None and len(rows) != ref.rows:
            raise BadInput(f"{path.name} has {len(rows)} rows; the job says {ref.rows}.")
        return rows

    def input_path(self, name: str) -> Path:
        """The file of one input, its digest verified. Raises BadInput when it is missing or changed."""
        if name not in self.inputs:
            raise BadInput(f"{self.file.name}: inputs.{name} is missing; the stage {self.stage} needs it.")
        ref = self.inputs[name]
        if not ref.path.is_file():
            raise BadInput(f"The file of {name} is not there: {ref.path}.")
        if ref.digest is not None and digest_file(ref.path) != ref.digest:
            raise BadInput(
                f"The file of {name} is not the one the job was made for (its digest differs): {ref.path}.",
                "Restore the file, or make a new job from the file as it is.",
            )
        return ref.path

    def constitution(self) -> Constitution:
        """The constitution, its digest verified. Raises BadInput."""
        ref = self.constitution_ref
        if ref is None:
            raise BadInput(f"{self.file.name}: constitution is missing; the stage {self.stage} needs one.")
        if not ref.path.is_file():
            raise BadInput(f"The constitution's file is not there: {ref.path}.")
        if digest_file(ref.path) != ref.digest:
            raise BadInput(
                f"{ref.path.name} is not the constitution the job names (its digest differs from {ref.digest[:12]}…).",
                "Launch the run again from the published version.",
            )
        try:
            return from_json(ref.path.read_text(encoding="utf-8"))
        except (MalformedConstitution, UnicodeDecodeError) as error:
            raise BadInput(f"{ref.path.name} is not a constitution: {error}") from error

    def constitution_digest(self) -> str | None:
        """The digest the job pins, or None when the stage has no constitution."""
        return self.constitution_ref.digest if self.constitution_ref else None

    def identity(self) -> str:
        """sha256 of what the job asks for, whatever its paths: two jobs with one identity may share an `out` folder."""
        pinned: dict[str, Any] = {
            "stage": self.stage,
            "seed": self.seed,
            "params": dict(self.raw_params),
            "constitution": self.constitution_digest(),
            "model": self.main_model.digest if self.main_model else None,
            "models": {role: ref.digest for role, ref in self.models.items()},
            "inputs": {name: [ref.digest, ref.rows] for name, ref in self.inputs.items()},
        }
        return hashlib.sha256(json.dumps(pinned, sort_keys=True).encode()).hexdigest()


def read_job(file: Path) -> Job:
    """Read and check a job file. Raises BadInput in one sentence naming the field."""
    if not file.is_file():
        raise BadInput(f"There is no job file {file}.")
    content = file.read_bytes()
    try:
        data = json.loads(content.decode("utf-8"), parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise BadInput(f"{file.name} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from error
    except ValueError as error:
        raise BadInput(f"{file.name} is not JSON: {error}.") from error
    return _Reader(file.resolve()).job(data, hashlib.sha256(content).hexdigest())


class _Reader:
    """Reads the parts of one job file; every complaint starts with the file's name and the field's path."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def job(self, data: Any, digest: str) -> Job:
        body = self.mapping(data, "the job")
        if missing := [name for name in REQUIRED_FIELDS if name not in body]:
            self.refuse(f"{missing[0]} is missing")
        if unknown := sorted(set(body) - KNOWN_FIELDS):
            self.refuse(f"unknown field {unknown[0]!r}")
        if body["schema"] != SCHEMA:
            self.refuse(f"schema is {body['schema']!r}, this program reads schema {SCHEMA}")
        return Job(
            file=self.file,
            digest=digest,
            stage=self.text(body, "stage"),
            run=self.text(body, "run"),
            seed=self.whole(body, "seed"),
            out=self.resolve(self.text({"out": body.get("out", ".")}, "out")),
            main_model=self.model(body["model"], "model") if body.get("model") else None,
            models={role: self.model(ref, f"models.{role}") for role, ref in self.part(body, "models").items()},
            constitution_ref=self.constitution(body["constitution"]) if body.get("constitution") else None,
            inputs={name: self.input(ref, f"inputs.{name}") for name, ref in self.part(body, "inputs").items()},
            parents=self.part(body, "parents"),
            raw_params=self.part(body, "params"),
        )

    def model(self, data: Any, where: str) -> ModelRef:
        body = self.mapping(data, where)
        backend = self.text({"backend": body.get("backend") or "local"}, "backend", where)
        if backend == "openai":  # a server is named; its address is the worker's own affair (servers.py)
            return ModelRef(Path(), self.text(body, "name", where), self.digest(body, where), backend)
        path = self.resolve(self.text(body, "path", where))
        name = self.text({"name": body.get("name") or path.name}, "name", where)
        return ModelRef(path, name, self.digest(body, where), backend)

    def input(self, data: Any, where: str) -> InputRef:
        body = self.mapping(data, where)
        rows = None if body.get("rows") is None else self.whole(body, "rows", where)
        return InputRef(self.resolve(self.text(body, "path", where)), self.digest(body, where), rows)

    def constitution(self, data: Any) -> ConstitutionRef:
        body = self.mapping(data, "constitution")
        digest = self.digest(body, "constitution")
        if digest is None:
            self.refuse("constitution.digest is missing")
        number = None if body.get("number") is None else self.whole(body, "number", "constitution")
        slug = self.text(body, "slug", "constitution") if body.get("slug") else ""
        return ConstitutionRef(self.resolve(self.text(body, "path", "constitution")), digest, slug, number)

    def part(self, body: Mapping[str, Any], name: str) -> dict[str, Any]:
        return dict(self.mapping(body.get(name) or {}, name))

    def mapping(self, value: Any, where: str) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            self.refuse(f"{where} should be an object, not {type(value).__name__}")
        return value

    def text(self, body: Mapping[str, Any], name: str, where: str = "") -> str:
        value = body.get(name)
        if not isinstance(value, str) or not value:
            self.refuse(f"{_field(where, name)} should be text, not {json.dumps(value)[:40]}")
        return value

    def whole(self, body: Mapping[str, Any], name: str, where: str = "") -> int:
        value = body.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self.refuse(f"{_field(where, name)} should be a whole number from 0 up, not {json.dumps(value)[:40]}")
        return value

    def digest(self, body: Mapping[str, Any], where: str) -> str | None:
        value = body.get("digest")
        if value is not None and not (isinstance(value, str) and DIGEST.fullmatch(value)):
            self.refuse(f"{where}.digest should be 64 hexadecimal digits, not {json.dumps(value)[:80]}")
        return value

    def resolve(self, path: str) -> Path:
        return (self.file.parent / path).resolve()

    def refuse(self, reason: str) -> NoReturn:
        raise BadInput(f"{self.file.name}: {reason}.")


def _field(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number that JSON knows")


def _read_jsonl(path: Path, read: Callable[[dict[str, Any]], Row]) -> list[Row]:
    rows: list[Row] = []
    first_line_of: dict[str, int] = {}
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            data = json.loads(line.decode("utf-8"), parse_constant=_refuse_constant)
            if not isinstance(data, dict):
                raise ValueError(f"an object is needed, found {type(data).__name__}")
            if (
                isinstance(row_id := data.get("id"), str)
                and (earlier := first_line_of.setdefault(row_id, number)) != number
            ):
                raise ValueError(f"the id {row_id!r} stands already on line {earlier}")
            rows.append(read(data))
        except json.JSONDecodeError as error:
            raise BadInput(f"{path.name}, line {number}: not JSON ({error.msg} at column {error.colno}).") from error
        except UnicodeDecodeError as error:
            raise BadInput(f"{path.name}, line {number}: not UTF-8 text (byte {error.start + 1}).") from error
        except ValueError as error:
            raise BadInput(f"{path.name}, line {number}: {error}.") from error
    return rows
