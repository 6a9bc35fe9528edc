"""What is shown beside a document: the settings that are compared, on the same tasks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from completion.config import PromptConfig
from retrieval.assembly import DEFAULT_RULES, AssemblyRules
from retrieval.fusion import DEFAULT_RULES as DEFAULT_FUSION
from retrieval.fusion import FusionRules
from retrieval.snippet import SnippetSource

ALONE, CONTEXT = "alone", "context"
_SHARE = "context_share"


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to fill a prompt; ``what`` tells a reader how it differs from the default.

    ``context_share`` is the part of the prompt that other code may take up. Without
    ``uses_context`` the document stands alone and has all of it.
    """

    name: str
    what: str
    uses_context: bool = True
    context_share: float = PromptConfig().context_share
    assembly: AssemblyRules = DEFAULT_RULES
    fusion: FusionRules = field(default_factory=lambda: DEFAULT_FUSION)


def _weighted(changes: Mapping[SnippetSource, float]) -> FusionRules:
    return replace(DEFAULT_FUSION, weights={**DEFAULT_FUSION.weights, **changes})


VARIANTS: Mapping[str, Variant] = {
    each.name: each
    for each in (
        Variant(ALONE, "the document alone", uses_context=False),
        Variant(CONTEXT, "the defaults"),
        Variant("snippets_2", "two at most", assembly=replace(DEFAULT_RULES, max_num_snippets=2)),
        Variant("share_12", "an eighth of the prompt", context_share=0.125),
        Variant("share_40", "two fifths of the prompt", context_share=0.4),
        Variant(
            "no_imports",
            "outlines only of what stands at the cursor",
            fusion=_weighted({SnippetSource.DEFINITION: 0.0}),
        ),
        Variant(
            "definitions_3",
            "up to three outlines of imports",
            fusion=replace(
                DEFAULT_FUSION, limits={**DEFAULT_FUSION.limits, SnippetSource.DEFINITION: 3}
            ),
        ),
        Variant(
            "no_similar",
            "no chunks that share words",
            assembly=replace(DEFAULT_RULES, min_similarity=0.0),
            fusion=_weighted({SnippetSource.SIMILAR: 0.0}),
        ),
    )
}


def variant_of(changes: str) -> Variant:
    """Return the default with ``changes``, such as ``min_similarity=0.2,context_share=0.125``.

    Raises:
        ValueError: A name is none of ``AssemblyRules`` nor ``context_share``, or a value is not of
            its kind.
    """
    given = dict(_change(each) for each in changes.split(","))
    share = given.pop(_SHARE, VARIANTS[CONTEXT].context_share)
    name = "_".join([CONTEXT, *changes.replace("=", "_").split(",")])
    rules = AssemblyRules(**{**asdict(DEFAULT_RULES), **given})
    return Variant(name, changes, context_share=share, assembly=rules)


def _change(text: str) -> tuple[str, int | float]:
    """Return name and value; JSON tells whole numbers from others."""
    name, _, value = text.partition("=")
    defaults = {**asdict(DEFAULT_RULES), _SHARE: VARIANTS[CONTEXT].context_share}
    try:
        number = json.loads(value)
    except json.JSONDecodeError:
        number = None
    if isinstance(defaults.get(name), float) and type(number) is int:
        number = float(number)
    if name not in defaults or type(number) is not type(defaults[name]):
        known = ", ".join(f"{each}={default}" for each, default in defaults.items())
        raise ValueError(f"rule {text!r} is not NAME=VALUE like one of {known.lower()}")
    return name, number
