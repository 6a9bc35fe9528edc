"""The words of a language's grammar: they stand everywhere, so sharing them says nothing.

Words that only sometimes are keywords (``match``, ``type``, ``get``) are names more often than not,
and are left out. All are lower case, as terms are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from retrieval.languages import Language

_C = (
    "auto break case char const continue default do double else enum extern float for goto if "
    "inline int long register return short signed sizeof static struct switch typedef union "
    "unsigned void volatile while bool true false null define include ifdef ifndef endif"
)
_JAVASCRIPT = (
    "async await break case catch class const continue debugger default delete do else export "
    "extends false finally for function if import in instanceof let new null return super switch "
    "this throw true try typeof undefined var void while with yield"
)
_TYPESCRIPT = (
    f"{_JAVASCRIPT} abstract any as boolean declare enum implements interface keyof namespace "
    "never number private protected public readonly string unknown"
)
_KEYWORDS: Mapping[str, frozenset[str]] = {
    name: frozenset(words.split())
    for name, words in {
        "Python": (
            "and as assert async await break class cls continue def del elif else except false "
            "finally for from global if import in is lambda none nonlocal not or pass raise return "
            "self true try while with yield"
        ),
        "JavaScript": _JAVASCRIPT,
        "TypeScript": _TYPESCRIPT,
        "TSX": _TYPESCRIPT,
        "Java": (
            "abstract assert boolean break byte case catch char class const continue default do "
            "double else enum extends false final finally float for if implements import "
            "instanceof int interface long native new null package private protected public "
            "return short static super switch synchronized this throw throws transient true try "
            "var void volatile while"
        ),
        "Go": (
            "break case chan const continue default defer else fallthrough false for func go goto "
            "if import interface iota map nil package range return select struct switch true type "
            "var"
        ),
        "Rust": (
            "as async await break const continue crate dyn else enum extern false fn for if impl "
            "in let loop mod move mut pub ref return self static struct super trait true type "
            "unsafe use where while"
        ),
        "C": _C,
        "C++": (
            f"{_C} and catch class constexpr decltype delete explicit friend mutable namespace new "
            "noexcept not nullptr operator or override private protected public std template this "
            "throw try typename using virtual"
        ),
        "C#": (
            "abstract as async await base bool break byte case catch char class const continue "
            "decimal default delegate do double else enum event explicit extern false finally "
            "fixed float for foreach goto if implicit in int interface internal is lock long "
            "namespace new null object operator out override params private protected public "
            "readonly ref return sealed short sizeof static string struct switch this throw true "
            "try typeof uint ulong unchecked unsafe ushort using var virtual void volatile while"
        ),
        "Ruby": (
            "alias and begin break case class def defined do else elsif end ensure false for if in "
            "module next nil not or redo require rescue retry return self super then true undef "
            "unless until when while yield"
        ),
        "PHP": (
            "abstract and array as break case catch class clone const continue declare default do "
            "echo else elseif empty extends false final finally fn for foreach function global if "
            "implements include instanceof interface isset namespace new null or php print private "
            "protected public require return self static switch this throw trait true try unset "
            "use var while yield"
        ),
        "Bash": (
            "case do done echo elif else esac exit export fi for function if in local read return "
            "select set shift then until while"
        ),
    }.items()
}
_MIN_NUM_SHARING = 4  # languages; what so many have in common, one more has too
_COMMON = frozenset(
    word
    for word, num_languages in Counter(w for row in _KEYWORDS.values() for w in row).items()
    if num_languages >= _MIN_NUM_SHARING
)


def keywords_of(language: Language | None) -> frozenset[str]:
    """Return the keywords of ``language``, or what most languages share if it is not known."""
    return _COMMON if language is None else _KEYWORDS.get(language.name, _COMMON)
