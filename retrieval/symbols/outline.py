"""A definition as its users see it: signatures and a line of documentation, never bodies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from retrieval.symbols.symbol import CALLABLES, HOLDERS, Definition, SymbolKind

MAX_OUTLINE = 800
_LEFT_OUT = "{ ... }"
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
    head = len(_rendered(definition, [], shown, language))
    kept, num_left = set(), max_num_characters - head
    for index in sorted(range(len(shown)), key=lambda at: (_is_private(shown[at]), at)):
        signature = shown[index].signature
        cost = len(signature) + 10  # indent, punctuation and the end of the line
        cost += len(_LEFT_OUT) if signature.endswith("=>") else 0
        if cost > num_left:
            break
        kept.add(index)
        num_left -= cost
    return _rendered(
        definition, [one for at, one in enumerate(shown) if at in kept], shown, language
    )


def _rendered(
    definition: Definition,
    members: Sequence[Definition],
    known: Sequence[Definition],
    language: str,
) -> str:
    """Return the outline with those ``members`` of all that are ``known``."""
    if language == "Python":
        return "\n".join(_python(definition, members))
    mark = _DOC_MARKS.get(language)
    doc = [f"{mark}{definition.doc}" if mark else f"/** {definition.doc} */"]
    if language == "Ruby":
        lines = _ruby(definition, members)
    else:
        lines = _braces(definition, members, known, language)
    return "\n".join([*(doc if definition.doc else []), *lines])


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


def _braces(
    definition: Definition,
    members: Sequence[Definition],
    known: Sequence[Definition],
    language: str,
) -> Iterator[str]:
    beside = [one for one in members if _is_beside(one, definition, language)]
    inside = [one for one in members if one not in beside]
    if not inside:
        is_empty = all(_is_beside(one, definition, language) for one in known)
        yield definition.signature + _ending(definition, language, is_empty=is_empty)
    else:
        yield definition.signature + " {"
        yield from (
            f"    {one.signature}{_member_ending(one, definition, language)}" for one in inside
        )
        yield "}"
    if language == "Go":
        yield from (one.signature for one in beside)
    elif beside:
        yield f"impl {definition.name} {{"
        yield from (f"    {one.signature};" for one in beside)
        yield "}"


def _ending(definition: Definition, language: str, *, is_empty: bool = True) -> str:
    """Return what makes a signature code; a type of which nothing is shown is not an empty one."""
    if language == "Go":
        return ""
    if definition.signature.endswith("=>"):
        return f" {_LEFT_OUT};"
    return ";" if is_empty else f" {_LEFT_OUT}"


def _member_ending(member: Definition, definition: Definition, language: str) -> str:
    is_listed = language == "Rust" or definition.kind is SymbolKind.ENUM
    if is_listed and member.kind not in CALLABLES:
        return ","
    return _ending(member, language)


def _is_beside(member: Definition, definition: Definition, language: str) -> bool:
    is_apart = member.kind is not SymbolKind.FIELD and definition.kind is not SymbolKind.INTERFACE
    return language in _BESIDE and is_apart


def _ruby(definition: Definition, members: Sequence[Definition]) -> Iterator[str]:
    yield definition.signature
    for member in members:
        yield f"  {member.signature}" + ("; end" if member.kind in CALLABLES else "")
    yield "end"


def _is_private(definition: Definition) -> bool:
    name = definition.name
    if _PRIVATE.match(definition.signature):
        return True
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))
