"""The description of the interface: OpenAPI for programs, one page for people.

The page is made here because FastAPI's own load scripts from other servers, and nothing that fimble
shows may do that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from fastapi import FastAPI

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{text-align:left;vertical-align:top;padding:.2rem .8rem "
    ".2rem 0}code{font-family:ui-monospace,monospace}"
)


def describe(app: FastAPI, max_num_tokens: int, model_names: Sequence[str]) -> dict[str, Any]:
    """Return the OpenAPI document.

    FastAPI describes its own way of refusing a body, which never leaves this server, and cannot know
    the limit of ``max_tokens`` or the names of the model, which are settings.
    """
    if app.openapi_schema is None:
        document = app.openapi()
        for operation in _operations(document):
            operation["responses"].pop("422", None)
        schemas = document["components"]["schemas"]
        schemas.pop("HTTPValidationError", None)
        schemas.pop("ValidationError", None)
        fields = schemas["CompletionBody"]["properties"]
        _branches(fields["max_tokens"])[0]["maximum"] = max_num_tokens
        _branches(fields["model"])[0]["enum"] = list(model_names)
    assert app.openapi_schema is not None
    return app.openapi_schema


def page(document: Mapping[str, Any]) -> str:
    """Return ``document`` as one page that loads nothing."""
    info = document["info"]
    body = "".join(_sections(document))
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(info['title'])}</title>"
        f"<style>{_STYLE}</style><h1>{escape(info['title'])} {escape(info['version'])}</h1>"
        f"<p>{escape(info['summary'])} For programs: <a href=openapi.json>openapi.json</a></p>"
        f"{body}</html>"
    )


def _operations(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from methods.values()


def _sections(document: Mapping[str, Any]) -> Iterator[str]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
            yield f"<p>{escape(operation.get('description', operation['summary']))}</p>"
            if "requestBody" in operation:
                yield from (_fields(document, name) for name in _body_names(operation))
            yield _responses(operation["responses"])


def _body_names(operation: Mapping[str, Any]) -> list[str]:
    """Return the names of what a body may be; of several, any."""
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    return [str(each["$ref"]).rpartition("/")[2] for each in schema.get("oneOf", [schema])]


def _fields(document: Mapping[str, Any], name: str) -> str:
    schema = document["components"]["schemas"][name]
    required = schema.get("required", ())
    rows = []
    for field, spec in schema["properties"].items():
        mark = " (required)" if field in required else ""
        meaning = escape(spec.get("description", "")) + mark
        rows.append(f"<tr><td><code>{escape(field)}</code><td>{escape(_kind(spec))}<td>{meaning}")
        for nested in _nested_names(spec):
            rows.append(f"<tr><td><td colspan=2>{_fields(document, nested)}")
    return f"<table><tr><th>Field<th>Type<th>Meaning{''.join(rows)}</table>"


def _branches(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    branches: list[dict[str, Any]] = [*spec.get("anyOf", [spec])]
    return [branch for branch in branches if branch.get("type") != "null"]


def _nested_names(spec: Mapping[str, Any]) -> list[str]:
    """Return the names of the objects that a field holds, or a list in it does."""
    branches = _branches(spec)
    items = [item for branch in branches for item in _branches(branch.get("items", {}))]
    return [each["$ref"].rpartition("/")[2] for each in (*branches, *items) if "$ref" in each]


def _kind(spec: Mapping[str, Any]) -> str:
    return " or ".join(_one_kind(branch) for branch in _branches(spec))


def _one_kind(branch: Mapping[str, Any]) -> str:
    kind = str(branch.get("type", "object"))
    if kind == "array":
        return f"list of {_kind(branch.get('items', {}))}s"
    if "minimum" in branch and "maximum" in branch and abs(branch["minimum"]) < 1e9:
        return f"{kind}, {branch['minimum']:g} to {branch['maximum']:g}"
    return kind


def _responses(responses: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{escape(status)}<td>{escape(response['description'])}"
        for status, response in sorted(responses.items())
    )
    return f"<table><tr><th>Status<th>Meaning{rows}</table>"
