"""A definition as its users see it: signatures and a line of documentation, never bodies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from retrieval.symbols.symbol import CALLABLES, HOLDERS, Definition, SymbolKind

MAX_OUTLINE = 800
_DECORATORS = re.compile(r"(?:@\w+ )*")
_PRIVATE = re.compile(r"(?:private|protected)\b|#")
_DOC_MARKS = {"Go": "// ", "Rust": "/// ", "C#": "/// ", "Ruby": "# ", "PHP": "// "}
_BESIDE = frozenset({"Go", "Rust"})  # methods are written outside of the type


def outline(
    definition: Definition,
    members: Sequence[Definition],
    language: str,
    *,
    max_num_characters: int = MAX_OUTLINE,
) -> str:
    """Return the signature, its documentation and those of ``members``, as code of the language.

    ``members`` are those of a type, in the order to be shown. If not all fit into the budget, the
    private ones are left out first and then the last ones; the signature itself always stays.
    """
    shown = [one for one in members if definition.kind in HOLDERS and one is not definition]
    head = len(_rendered(definition, [], language))
    kept, num_left = set(), max_num_characters - head
    for index in sorted(range(len(shown)), key=lambda at: (_is_private(shown[at]), at)):
        cost = len(shown[index].signature) + 10  # indent, punctuation and the end of the line
        if cost > num_left:
            break
        kept.add(index)
        num_left -= cost
    return _rendered(definition, [one for at, one in enumerate(shown) if at in kept], language)


def _rendered(definition: Definition, members: Sequence[Definition], language: str) -> str:
    if language == "Python":
        return "\n".join(_python(definition, members))
    mark = _DOC_MARKS.get(language)
    doc = [f"{mark}{definition.doc}" if mark else f"/** {definition.doc} */"]
    lines = _ruby if language == "Ruby" else _braces
    return "\n".join([*(doc if definition.doc else []), *lines(definition, members, language)])


def _python(definition: Definition, members: Sequence[Definition]) -> Iterator[str]:
    yield from _python_opening(definition.signature)
    if definition.doc:
        yield f'    """{definition.doc}"""'
    for member in members:
        *decorators, opening = _python_opening(member.signature)
        yield from (f"    {line}" for line in decorators)
        yield f"    {opening} ..." if opening.endswith(":") else f"    {opening}"
    if not members and not definition.doc and definition.signature.endswith(":"):
        yield "    ..."


def _python_opening(signature: str) -> list[str]:
    match = _DECORATORS.match(signature)
    decorators = match[0].split() if match is not None else []
    return [*decorators, signature[match.end() if match is not None else 0 :]]


def _braces(definition: Definition, members: Sequence[Definition], language: str) -> Iterator[str]:
    beside = [one for one in members if language in _BESIDE and _is_beside(one, definition)]
    inside = [one for one in members if one not in beside]
    if not inside:
        yield definition.signature + ("" if language == "Go" else ";")
    else:
        yield definition.signature + " {"
        yield from (f"    {one.signature}{_end(one, definition, language)}" for one in inside)
        yield "}"
    if language == "Go":
        yield from (one.signature for one in beside)
    elif beside:
        yield f"impl {definition.name} {{"
        yield from (f"    {one.signature};" for one in beside)
        yield "}"


def _end(member: Definition, definition: Definition, language: str) -> str:
    if language == "Go":
        return ""
    is_listed = language == "Rust" or definition.kind is SymbolKind.ENUM
    return "," if is_listed and member.kind not in CALLABLES else ";"


def _is_beside(member: Definition, definition: Definition) -> bool:
    return member.kind is not SymbolKind.FIELD and definition.kind is not SymbolKind.INTERFACE


def _ruby(definition: Definition, members: Sequence[Definition], _language: str) -> Iterator[str]:
    yield definition.signature
    for member in members:
        yield f"  {member.signature}" + ("; end" if member.kind in CALLABLES else "")
    yield "end"


def _is_private(definition: Definition) -> bool:
    name = definition.name
    if _PRIVATE.match(definition.signature):
        return True
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))
