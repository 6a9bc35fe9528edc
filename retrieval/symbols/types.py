"""The types that a signature names: what a call gives back, what a field holds, what is inherited."""

from __future__ import annotations

import re

from retrieval.symbols.expressions import Hint, hint_in
from retrieval.symbols.symbol import CALLABLES, Definition

_PATH = re.compile(r"[A-Za-z_$][\w$]*(?:(?:\.|::)[A-Za-z_$][\w$]*)*")
_COLLECTION = re.compile(
    r"\s*(?:\[|(?:\w+[.:]+)*(?:list|dict|set|frozenset|tuple|deque|map|vec|array|slice|iter\w*|"
    r"sequence|collection|mapping|record|generator|hashmap|hashset|btreemap|hashtable|"
    r"concurrenthashmap|arraylist|linkedlist|stream|readonlyarray|defaultdict|ordereddict|"
    r"counter|asyncitera\w+|awaitableiterator|callable|fn|fnmut|func|function)\s*[\[<(])",
    re.IGNORECASE,
)
_RETURNED_BEHIND_ARROW = re.compile(r"->\s*(.+?)\s*(?::|where\b.*)?\Z")
_RETURNED_BEHIND_COLON = re.compile(r"\)\s*:\s*(.+?)\s*(?:=>)?\Z")
_GETTER = re.compile(r"\A(?:[^(]* )?(?:@property|@cached_property|get) (?:def )?#?\w+\(")
_PYTHON_BASES = re.compile(r"\bclass\s+\w+\s*(?:\[[^\]]*\])?\s*\((.*)\)")
_BASES = re.compile(r"\b(?:extends|implements)\s+(.+)")
_C_BASES = re.compile(r"\b(?:class|struct|interface|trait)\s+\w+\s*(?:<[^<>]*>)?\s*:\s*(.+)")
_NO_BASES = frozenset({"public", "private", "protected", "virtual", "extends", "implements"})
_ITSELF = frozenset({"Self", "this", "typing.Self"})


def hint_of(definition: Definition, language: str) -> Hint | None:
    """Return the type or value that a definition gives, for a function that of its result."""
    if definition.kind in CALLABLES:
        returned = _returned(definition, language)
        return Hint(type=returned) if returned else None
    before, name, after = definition.signature.partition(definition.name)
    return hint_in(language, before, after) if name else None


def is_getter(definition: Definition) -> bool:
    """Whether naming a method gives what it returns: a property."""
    return _GETTER.search(definition.signature) is not None


def type_names(text: str, container: str) -> list[str]:
    """Return the names of the types that may be meant, none if it is a collection of something.

    ``container`` is what a name for the type itself, as ``Self``, stands for.
    """
    bare = text.strip().strip("\"'").lstrip("&*(")
    if _COLLECTION.match(bare) or bare.endswith("[]"):
        return []
    return [container if name in _ITSELF else name for name in _PATH.findall(bare)]


def base_names(definition: Definition, language: str) -> list[str]:
    """Return the names of the types that a type inherits from, in the order written."""
    if language == "Python":
        match = _PYTHON_BASES.search(definition.signature)
        parts = [part for part in (match[1] if match else "").split(",") if "=" not in part]
        text = ",".join(parts)
    else:
        pattern = _C_BASES if language in {"Rust", "C++", "C#"} else _BASES
        match = pattern.search(definition.signature)
        text = match[1] if match else ""
    return [name for name in _PATH.findall(_without_arguments(text)) if name not in _NO_BASES]


def _returned(definition: Definition, language: str) -> str:
    signature = definition.signature
    if language in {"Python", "Rust"}:
        match = _RETURNED_BEHIND_ARROW.search(signature)
        return match[1] if match else ""
    if language in {"TypeScript", "TSX"}:
        match = _RETURNED_BEHIND_COLON.search(signature)
        return match[1] if match else ""
    before, _, after = signature.partition(f"{definition.name}(")
    if language == "Go":
        return _behind_parameters(after)
    words = before.split()
    return words[-1] if language in {"Java", "C", "C++", "C#"} and words else ""


def _behind_parameters(text: str) -> str:
    depth = 1
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return text[at + 1 :].strip()
    return ""


def _without_arguments(text: str) -> str:
    """Return ``text`` without what stands in angle or square brackets."""
    depth, kept = 0, []
    for character in text:
        depth -= character in ">]"
        if depth <= 0:
            kept.append(" " if character in ">]" else character)
        depth += character in "<["
    return "".join(kept).replace("<", " ").replace("[", " ")
