"""Ids that follow edits, compared with tokenising the whole text again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tokenizers import Regex, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend

from kvedit.retokenize import Retokenizer, TokenizedText
from models.loader import default_cache_dir, load_model
from models.sources.gguf_tokenizer import tokenizer_json_from_gguf
from models.tokenizer import Tokenizer

SENTINELS = ("<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>")
SPACE = "\u2581"
SOURCE = Path(json.__file__).read_text(encoding="utf-8")[4000:8000]

# What starts or ends a piece under some rule, and what looks as if it did.
FRAGMENTS = (
    *(
        "\n",
        "\r\n",
        "\r",
        "\n\n",
        "\n   \n",
        " \n",
        "\t\n\t",
        "\n\x0c",
        "\x0b",
        "\x85",
        "\u2028",
        "\n\xa0 ",
    ),
    *(" ", "  ", " " * 7, "\t", "\t\t  ", "\n    ", "\n        return ", "\x1c", "\x00"),
    *(
        "def f(x):",
        "    return x",
        "self.x = 1",
        "x",
        "()",
        "):\n",
        "'s",
        "'LL",
        "123",
        "4",
        "/",
        "\n//",
        "#\n",
    ),
    *SENTINELS,
    *("<s>", "</s>", "<unk>", "<0x0A>", "<|", "|>", SPACE, f"\n{SPACE}", f"{SPACE}\n"),
    *(
        "é",
        "e\u0301",
        "\u0301",
        "\u212b",
        "日本語",
        "\n語",
        "👩‍👧",
        "\u010a",
        "\u010d\u0120",
        "²",
        "٣",
    ),
)
WHITESPACE = ("\n\n", "\r\n", "\n \n", " \n", "\t\n", "\n\n\n", "    ", "  ", "\t\t", "\r\r")
fragments = st.one_of(
    st.sampled_from(FRAGMENTS),
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=6),
    st.sampled_from(SOURCE.splitlines(keepends=True)),
    st.just("x = y+1;" * 90),
)
texts = st.lists(fragments, max_size=16).map("".join)
relaxed = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def versions(draw: st.DrawFn) -> list[str]:
    """A text and what edits, and moves of a window over it, make of it."""
    text = draw(texts)
    result = [text]
    for _ in range(draw(st.integers(1, 8))):
        # Mostly where pieces begin and end.
        edges = [found.start() + on for found in re.finditer(r"[\r\n]", text) for on in (0, 1)]
        start = draw(st.sampled_from([0, len(text), *edges]) | st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 3) | st.integers(0, 80)))
        text = text[:start] + draw(st.one_of(st.just(""), fragments)) + text[end:]
        result.append(text)
    return result


def check(tokenizer: Tokenizer, versions: Sequence[str]) -> None:
    text = TokenizedText(Retokenizer(tokenizer))
    for version in versions:
        assert text.update(version) == tokenizer.encode(version)


def trained_on(stretches: Sequence[str]) -> tuple[list[str], list[str]]:
    """Tokens and merges over bytes, learned from stretches that nothing has split."""
    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=700, initial_alphabet=alphabet, show_progress=False, min_frequency=2
    )
    backend.train_from_iterator(stretches, trainer)
    vocabulary = backend.get_vocab()
    merges = json.loads(backend.to_str())["model"]["merges"]
    return sorted(vocabulary, key=vocabulary.__getitem__), [" ".join(pair) for pair in merges]


def byte_level(pre: str, stretches: Sequence[str]) -> dict[str, Any]:
    """A tokenizer.json that has every kind of token and the splitting rule of a family."""
    tokens, merges = trained_on(stretches)
    runs = [" " * 5, "\t\t", "\n\n\n"]
    kinds = [1] * len(tokens) + [4] * len(runs) + [3] * len(SENTINELS)
    metadata = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": [*tokens, *runs, *SENTINELS],
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.merges": merges,
    }
    raw: dict[str, Any] = json.loads(tokenizer_json_from_gguf(metadata))
    return raw


def of_family(pre: str) -> dict[str, Any]:
    """Its tokens reach over lines wherever the splitting rule lets them."""
    source = [SOURCE[at : at + 400] for at in range(0, len(SOURCE), 200)]
    return byte_level(pre, [*source, *WHITESPACE * 40])


def unsplit(stretches: Sequence[str]) -> dict[str, Any]:
    raw = byte_level("qwen2", stretches)
    raw["pre_tokenizer"] = raw["pre_tokenizer"]["pretokenizers"][-1]
    return raw


def unsplit_by_line() -> dict[str, Any]:
    return unsplit([*SOURCE.splitlines(keepends=True), *["\n\n", "\r\n"] * 40])


def bytes_alone() -> dict[str, Any]:
    raw = unsplit_by_line()
    raw["model"]["merges"] = []
    raw["model"]["vocab"] = {token: at for token, at in raw["model"]["vocab"].items() if at < 256}
    return raw


def sentencepiece(*, has_line_break: bool = False) -> dict[str, Any]:
    words = ["▁re", "▁return", "re", "tu", "rn", "turn", "▁x", "<s", "▁▁", "▁▁▁▁", "):", "):▁"]
    letters = [chr(code) for code in range(0x21, 0x7F)] + [SPACE, "日"]
    words += ["\n", "\r", "\n\n", ")\n", "):\n"] if has_line_break else []
    runs = [SPACE * 6, "\t\t"]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *letters, *words]
    plain = len(letters) + len(words)
    metadata = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": [*tokens, *runs],
        "tokenizer.ggml.token_type": [2, 3, 3] + [6] * 256 + [1] * plain + [4] * len(runs),
        "tokenizer.ggml.scores": [-float(at) for at in range(len(tokens) + len(runs))],
        "tokenizer.ggml.bos_token_id": 1,
    }
    raw: dict[str, Any] = json.loads(tokenizer_json_from_gguf(metadata))
    return raw


def metaspace() -> dict[str, Any]:
    raw = sentencepiece(has_line_break=True)
    raw["normalizer"] = None
    raw["pre_tokenizer"] = {
        "type": "Metaspace",
        "replacement": SPACE,
        "prepend_scheme": "always",
        "split": True,
    }
    return raw


def like_gemma() -> dict[str, Any]:
    raw = sentencepiece(has_line_break=True)
    raw["pre_tokenizer"] = {
        "type": "Split",
        "pattern": {"String": " "},
        "behavior": "MergedWithPrevious",
        "invert": False,
    }
    return raw


CUT: dict[str, Callable[[], dict[str, Any]]] = {
    "qwen2": lambda: of_family("qwen2"),
    "llama3": lambda: of_family("llama3"),
    "gpt2": lambda: of_family("gpt2"),
    "starcoder": lambda: of_family("starcoder"),
    "deepseek-coder": lambda: of_family("deepseek-coder"),
    "bytes": bytes_alone,
    "bytes and merges inside of lines": unsplit_by_line,
    "sentencepiece": sentencepiece,
    "sentencepiece with line breaks": lambda: sentencepiece(has_line_break=True),
    "metaspace": metaspace,
    "gemma": like_gemma,
}


@pytest.fixture(scope="module", params=CUT)
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return Tokenizer.from_json(json.dumps(CUT[request.param]()))


@relaxed
@given(versions=versions())
@example(["a:\n  b\n", "a:\n\n  b\n", "a:\n  b\n"])  # the cut in front of the edit is none any more
@example(["a:\n  b\n", "a:   b\n", "a:  b\n", "a:\n  b\n"])  # nor is the one behind it
@example(["  \n", "  \nx", "  \n", " \n  \n x", ""])  # what follows decides where a piece ends
def test_ids_that_followed_edits_are_those_of_the_text(
    tokenizer: Tokenizer, versions: list[str]
) -> None:
    check(tokenizer, versions)


@pytest.fixture(scope="module")
def real() -> Tokenizer:
    return load_model("default", cache_dir=default_cache_dir()).tokenizer


@pytest.mark.weights
@settings(relaxed, max_examples=400)
@given(versions=versions())
def test_ids_of_the_default_vocabulary_follow_edits(real: Tokenizer, versions: list[str]) -> None:
    check(real, versions)


def num_tokenised(tokenizer: Tokenizer, old: str, new: str) -> int:
    """Return how many characters an update from ``old`` to ``new`` hands to the tokenizer."""
    text = TokenizedText(Retokenizer(tokenizer))
    text.update(old)
    handed: list[str] = []
    encode = tokenizer.encode
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenizer, "encode", lambda part: handed.append(part) or encode(part))
        text.update(new)
    return sum(map(len, handed))


@pytest.mark.parametrize("new_line", ["\n", "\r\n", "\r"])
def test_an_edit_tokenises_only_the_lines_around_it(tokenizer: Tokenizer, new_line: str) -> None:
    lines = [f"    {'  ' * (at % 3)}value_{at} = call({at}, x)" + new_line for at in range(200)]
    old = "".join(lines)
    for new in (
        old[:4000] + "x" + old[4000:],
        old[:4000] + old[4001:],
        old[:4000] + new_line * 2 + old[4000:],
        "".join(lines[3:]),  # a window moves down
        "".join(lines[:-3]),
        "x\n" + old,
        old + "x\n",
    ):
        assert num_tokenised(tokenizer, old, new) < 200
    assert num_tokenised(tokenizer, old, old) == 0


def changed(path: str, value: Any) -> Callable[[], dict[str, Any]]:
    """The tokenizer of Qwen2's kind with one place of its description changed."""

    def build() -> dict[str, Any]:
        raw = of_family("qwen2")
        *parents, name = path.split(".")
        place = raw
        for parent in parents:
            place = place[int(parent) if isinstance(place, list) else parent]
        place[name] = value
        return raw

    return build


def merging_a_sentinel(raw: dict[str, Any], sentinel: str) -> dict[str, Any]:
    """Let merges spell ``sentinel``, as in some converted vocabularies."""
    known, joined, merges = raw["model"]["vocab"], sentinel[0], []
    for char in sentinel[1:]:
        merges.append([joined, char])
        joined += char
        known.setdefault(joined, len(known) + 10)
    raw["model"]["merges"] = merges + raw["model"]["merges"]
    raw["added_tokens"] = [token for token in raw["added_tokens"] if token["content"] == sentinel]
    raw["added_tokens"][0]["id"] = known[sentinel]
    return raw


def turned_around(raw: dict[str, Any]) -> dict[str, Any]:
    raw["pre_tokenizer"]["pretokenizers"].reverse()
    return raw


def without_bytes(raw: dict[str, Any]) -> dict[str, Any]:
    raw["model"]["byte_fallback"] = False
    return raw


def without_line_breaks(raw: dict[str, Any]) -> dict[str, Any]:
    """As a vocabulary that was learned from single lines, which drops what it does not know."""
    model = raw["model"]
    kept = [token for token in model["vocab"] if "\u010a" not in token]
    model["vocab"] = {token: at for at, token in enumerate(kept)}
    model["merges"] = [pair for pair in model["merges"] if "\u010a" not in "".join(pair)]
    return raw


def with_suffix(raw: dict[str, Any]) -> dict[str, Any]:
    raw["model"]["end_of_word_suffix"] = "x"
    return raw


WHOLE: dict[str, Callable[[], dict[str, Any]]] = {
    "tokens over line breaks": lambda: unsplit([SOURCE] * 20),
    "an unknown rule": changed("pre_tokenizer.pretokenizers.0.pattern", {"Regex": r"\s+|\S+\s\S"}),
    "a rule that removes": changed("pre_tokenizer.pretokenizers.0.behavior", "Removed"),
    "a rule turned around": changed("pre_tokenizer.pretokenizers.0.invert", True),
    "a rule behind the change to bytes": lambda: turned_around(of_family("qwen2")),
    "an unknown stage": lambda: unsplit_by_line() | {"pre_tokenizer": {"type": "BertPreTokenizer"}},
    "an added token over a line break": changed("added_tokens.0.content", "\n "),
    "an added token that takes spaces along": changed("added_tokens.0.rstrip", True),
    "an added token that must be a word": changed("added_tokens.0.single_word", True),
    "truncation": changed(
        "truncation",
        {"direction": "Right", "max_length": 9, "strategy": "LongestFirst", "stride": 0},
    ),
    "a replacement of more than spaces": lambda: (
        sentencepiece()
        | {"normalizer": {"type": "Replace", "pattern": {"Regex": r"\n\s"}, "content": "\n"}}
    ),
    "unknown characters that fuse": lambda: without_bytes(sentencepiece(has_line_break=True)),
    "line breaks that vanish": lambda: without_line_breaks(unsplit_by_line()),
    "a suffix at the end of the text": lambda: with_suffix(unsplit_by_line()),
    "merges that spell a sentinel": lambda: merging_a_sentinel(unsplit_by_line(), SENTINELS[0]),
}


@pytest.mark.parametrize("name", WHOLE)
def test_without_certain_cuts_every_edit_tokenises_the_whole_text(name: str) -> None:
    tokenizer = Tokenizer.from_json(json.dumps(WHOLE[name]()))
    assert not Retokenizer(tokenizer).is_incremental
    old = f"def f(x):\n    return {SENTINELS[0]}\n \n" * 3
    check(tokenizer, [old, old[:14] + "日" + old[14:], old[20:], "", old])


def test_what_the_rules_take_for_whitespace_is_whitespace_here() -> None:
    split = pre_tokenizers.Split(Regex(r"\s"), "removed", invert=True)
    codes = (*range(0xD800), *range(0xE000, 0x110000))
    found = "".join(part for part, _ in split.pre_tokenize_str("".join(map(chr, codes))))
    assert "\n" in found
    assert found.isspace()


def test_a_copy_and_the_original_go_their_own_ways(tokenizer: Tokenizer) -> None:
    text = TokenizedText(Retokenizer(tokenizer))
    text.update(SOURCE)
    twin = text.copy()
    assert twin.update(SOURCE[500:] + "x") == tokenizer.encode(SOURCE[500:] + "x")
    assert text.update(SOURCE + "y") == tokenizer.encode(SOURCE + "y")
    assert twin.update(SOURCE) == tokenizer.encode(SOURCE)


def test_the_caller_may_change_the_ids_it_got(tokenizer: Tokenizer) -> None:
    text = TokenizedText(Retokenizer(tokenizer))
    text.update(SOURCE).clear()
    assert text.update(SOURCE) == tokenizer.encode(SOURCE)


def test_a_text_that_cannot_be_tokenised_leaves_the_last_one_valid(tokenizer: Tokenizer) -> None:
    text = TokenizedText(Retokenizer(tokenizer))
    text.update(SOURCE)
    with pytest.raises(TypeError):
        text.update(SOURCE[:100] + "\ud800" + SOURCE[100:])
    assert text.update(SOURCE[:-9]) == tokenizer.encode(SOURCE[:-9])
