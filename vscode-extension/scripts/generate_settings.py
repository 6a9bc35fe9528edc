"""Writes the server's settings into ``package.json`` and ``src/settings.generated.ts``.

The server's table is the only place that knows names, defaults and ranges. Run this with the
project's interpreter after it has changed; a test compares. With ``--check`` nothing is written and
the exit code says whether anything would be.
"""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Any

from lsp_server.settings import Reach, SettingSpec, all_specs

EXTENSION = Path(__file__).resolve().parents[1]
MANIFEST = EXTENSION / "package.json"
TABLE = EXTENSION / "src/settings.generated.ts"

# What `fimble serve` alone reads; the extension opens no port.
LEFT_OUT = frozenset({"http"})
TITLES = {
    "model": "Model",
    "completion": "Completion",
    "prompt": "Prompt",
    "engine": "Engine",
    "index": "Index",
    "learning": "Learning",
    "server": "Server",
}
# VS Code takes back what it no longer wants, so a request that waits for the model costs nothing and
# is answered as soon as the model is there.
OTHER_DEFAULTS = {"server.wait_for_model": True}
AT_START = "Counts when fimble's background process starts."


def main() -> int:
    """Write or compare, and return the exit code."""
    manifest = json.loads(MANIFEST.read_text(encoding="utf-8"))
    files = {
        MANIFEST: json.dumps(with_settings(manifest), indent=2, ensure_ascii=False) + "\n",
        TABLE: table(),
    }
    stale = [path for path, text in files.items() if not holds(path, text)]
    if "--check" in sys.argv[1:]:
        return 1 if stale else 0
    for path in stale:
        path.write_text(files[path], encoding="utf-8")
    return 0


def holds(path: Path, text: str) -> bool:
    """Whether a file says just this."""
    return path.exists() and path.read_text(encoding="utf-8") == text


def shown_specs() -> list[SettingSpec]:
    """Return the settings that the extension offers."""
    return [spec for key, spec in all_specs().items() if section_of(key) not in LEFT_OUT]


def with_settings(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest with the server's settings behind the extension's own, which stand first."""
    configuration = manifest["contributes"]["configuration"][:1]
    for section in dict.fromkeys(section_of(spec.key) for spec in shown_specs()):
        properties = {
            f"fimble.{spec.key}": as_schema(spec)
            for spec in shown_specs()
            if section_of(spec.key) == section
        }
        configuration.append({"title": TITLES.get(section, section), "properties": properties})
    manifest["contributes"]["configuration"] = configuration
    own = list(configuration[0]["properties"])
    machine = [f"fimble.{spec.key}" for spec in shown_specs() if spec.rule.reach is Reach.MACHINE]
    manifest["capabilities"]["untrustedWorkspaces"]["restrictedConfigurations"] = own + machine
    return manifest


def as_schema(spec: SettingSpec) -> dict[str, Any]:
    """Return a setting as VS Code describes one."""
    default = OTHER_DEFAULTS.get(spec.key, spec.default)
    meaning = f"{spec.rule.meaning[0].upper()}{spec.rule.meaning[1:]}."
    schema: dict[str, Any] = {"type": json_type(default)}
    if isinstance(default, StrEnum):
        schema["enum"] = [member.value for member in type(default)]
    if isinstance(default, tuple):
        schema["items"] = {"type": "string"}
        schema["uniqueItems"] = True
    if spec.rule.minimum is not None:
        schema["minimum"] = whole(spec.rule.minimum)
    if spec.rule.maximum is not None:
        schema["maximum"] = whole(spec.rule.maximum)
    schema["default"] = list(default) if isinstance(default, tuple) else whole(default)
    schema["scope"] = "machine-overridable" if spec.rule.reach is Reach.MACHINE else "window"
    schema["description"] = f"{meaning} {AT_START}" if is_of_process(spec.key) else meaning
    return schema


def json_type(default: object) -> str:
    """Return JSON's word for the type of a default."""
    kinds = ((bool, "boolean"), (int, "integer"), (float, "number"), (tuple, "array"))
    return next((name for kind, name in kinds if isinstance(default, kind)), "string")


def whole(value: object) -> object:
    """Return a number without a fraction as JSON writes it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def is_of_process(key: str) -> bool:
    """Whether a setting is read when the process starts, and so has to be one of its variables."""
    if section_of(key) == "server":
        return key != "server.wait_for_model"
    return section_of(key) == "index" and key != "index.enabled"


def table() -> str:
    """Return the module that tells the extension how each setting reaches the server."""
    lines = [
        "// Written by scripts/generate_settings.py; do not edit.",
        "",
        "/**",
        " * How a setting reaches the server: in a message, or as a variable of its process. One whose",
        " * default is ours and not the server's is always sent.",
        " */",
        "export interface ServerSetting {",
        "  readonly key: string;",
        "  readonly variable?: string;",
        "  readonly ownDefault?: unknown;",
        "}",
        "",
        "export const SERVER_SETTINGS: readonly ServerSetting[] = [",
    ]
    for spec in shown_specs():
        variable = f", variable: '{spec.variable}'" if is_of_process(spec.key) else ""
        own = OTHER_DEFAULTS.get(spec.key)
        default = f", ownDefault: {json.dumps(own)}" if own is not None else ""
        lines.append(f"  {{ key: '{spec.key}'{variable}{default} }},")
    return "\n".join([*lines, "];", ""])


def section_of(key: str) -> str:
    """Return the part before the dot."""
    return key.partition(".")[0]


if __name__ == "__main__":
    sys.exit(main())
