"""A model's chat template, tried on a short conversation where it can do no harm.

A template is a program that came with somebody's weights (CVE-2024-34359 ran commands through one). It is rendered
in Jinja's immutable sandbox, as transformers does, and in a process of its own with a time limit, because a sandbox
keeps a template from the machine but not from looping for ever.

``python -m training_app.core.chat_template FOLDER`` prints the rendered conversation, or one sentence on standard error
with exit code 2. What is left out: templates for tools, images and documents.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from training_app.core.errors import BadInput

SAMPLE = (
    {"role": "user", "content": "Good morning."},
    {"role": "assistant", "content": "Good morning. How can I help?"},
    {"role": "user", "content": "Why does bread rise?"},
)
LARGEST = 200_000
"""Characters of a template, and of what it may render to."""
PATIENCE_S = 20.0
ROOT = Path(__file__).resolve().parents[2]


def template_of(folder: Path) -> str:
    """The text of the folder's chat template; "" where it has none. Raises BadInput when it cannot be read."""
    try:
        if (file := folder / "chat_template.jinja").is_file():
            return _short(file.read_text(encoding="utf-8"))
        settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise BadInput(f"The chat template in {folder.name} cannot be read: {error}.") from error
    template = settings.get("chat_template") if isinstance(settings, dict) else None
    if isinstance(template, list):  # several by name, as older tokenizers kept them
        named = {one.get("name"): one.get("template") for one in template if isinstance(one, dict)}
        template = named.get("default")
    return _short(template) if isinstance(template, str) else ""


def rendered(folder: Path) -> str:
    """The sample conversation in the folder's template, rendered in a process of its own.

    "" for a folder without one. Raises BadInput when the template fails, or takes longer than `PATIENCE_S`.
    """
    if not template_of(folder):
        return ""
    command = [sys.executable, "-m", "training_app.core.chat_template", str(folder)]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=PATIENCE_S,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise BadInput(
            f"The chat template of {folder.name} was still rendering after {PATIENCE_S:g} s.",
            "Replace it, or choose another model.",
        ) from error
    if done.returncode != 0:
        raise BadInput(done.stderr.strip().split("\n")[-1][:500] or f"The chat template of {folder.name} failed.")
    return done.stdout


def render(template: str, tokens: dict[str, str]) -> str:
    """The sample in the sandbox, in this process. Raises BadInput with the template's own complaint."""
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> NoReturn:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )  # a sandbox renders text for a model, not HTML: nothing is escaped
    environment.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)
    environment.globals |= {"raise_exception": refuse, "strftime_now": lambda _: "a day"}
    try:
        text = environment.from_string(template).render(messages=SAMPLE, add_generation_prompt=True, **tokens)
    except Exception as error:  # whatever a template of unknown origin raises is a refusal of it
        raise BadInput(f"The chat template cannot be rendered: {type(error).__name__}: {error}") from error
    return text[:LARGEST]


def _short(template: str) -> str:
    if len(template) > LARGEST:
        raise BadInput(f"The chat template has {len(template)} characters; {LARGEST} are the most.")
    return template


def _tokens(folder: Path) -> dict[str, str]:
    """The special tokens a template may name."""
    try:
        settings: Any = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    found = {}
    for name in ("bos_token", "eos_token", "pad_token", "unk_token"):
        token = settings.get(name) if isinstance(settings, dict) else None
        token = token.get("content") if isinstance(token, dict) else token
        found[name] = token if isinstance(token, str) else ""
    return found


def main(arguments: Sequence[str]) -> int:
    """``FOLDER`` on the command line."""
    folder = Path(arguments[0])
    try:
        sys.stdout.write(render(template_of(folder), _tokens(folder)))
    except BadInput as error:
        print(error.message, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
