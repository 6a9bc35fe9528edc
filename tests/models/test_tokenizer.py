from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import decoders

from models.errors import TokenizerError
from models.loader import default_cache_dir, load_model
from models.sources.gguf_tokenizer import tokenizer_json_from_gguf
from models.tokenizer import StreamDecoder, Tokenizer

SENTINELS = ("<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>")
SPACE = "\u2581"

# Source text with what is hard: sentinels and their pieces, marks, combining and astral characters.
hard_text = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *SENTINELS,
                "<s>",
                "</s>",
                "<0x41>",
                "<tool_call>",
                "<|",
                "|>",
                SPACE,
                SPACE * 2,
                " ",
                "  ",
                "\t",
                "\r\n",
                "\n\n",
                "e\u0301",
                "\u212b",
                "def ",
                "return x",
                "\x00",
            ]
        ),
        st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8),
    ),
    max_size=8,
).map("".join)
relaxed = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def sentencepiece_metadata(*, prefix: bool = True, bos: bool = True) -> dict[str, Any]:
    words = ["▁re", "▁return", "re", "tu", "rn", "turn", "▁x", "<s", "▁▁"]
    letters = [chr(code) for code in range(0x21, 0x7F)] + [SPACE]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *letters, *words]
    kinds = [2, 3, 3] + [6] * 256 + [1] * (len(letters) + len(words))
    scores = [0.0] * 259 + [-1000.0] * len(letters) + [-float(i) for i in range(len(words))]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.scores": scores,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.add_space_prefix": prefix,
        "tokenizer.ggml.add_bos_token": bos,
    }


@pytest.fixture
def byte_level(byte_level_backend: Backend) -> Tokenizer:
    return Tokenizer(byte_level_backend)


@pytest.fixture
def sentencepiece() -> Tokenizer:
    return Tokenizer.from_json(tokenizer_json_from_gguf(sentencepiece_metadata()))


def check_lossless(tokenizer: Tokenizer, text: str, controls: tuple[str, ...]) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert b"".join(map(tokenizer.token_bytes, ids)) == text.encode()
    assert {tokenizer.special_id(name) for name in controls}.isdisjoint(ids)
    stream = StreamDecoder(tokenizer)
    assert "".join(map(stream.push, ids)) + stream.flush() == text


@relaxed
@given(text=hard_text)
def test_any_text_survives_a_byte_level_vocabulary(byte_level: Tokenizer, text: str) -> None:
    check_lossless(byte_level, text, SENTINELS)


@relaxed
@given(text=hard_text)
def test_any_text_survives_a_sentencepiece_vocabulary(sentencepiece: Tokenizer, text: str) -> None:
    check_lossless(sentencepiece, text, ("<s>", "</s>", "<unk>"))


def test_sentinels_have_ids_although_text_never_yields_them(byte_level: Tokenizer) -> None:
    for name in SENTINELS:
        token_id = byte_level.special_id(name)
        assert token_id is not None
        assert byte_level.token_bytes(token_id) == b""
    assert byte_level.special_id("def") is None
    assert byte_level.eos_ids == {byte_level.special_id("<|endoftext|>")}


def test_merges_that_spell_a_sentinel_are_not_followed(byte_level_backend: Backend) -> None:
    raw = json.loads(byte_level_backend.to_str())
    raw["pre_tokenizer"]["pretokenizers"] = raw["pre_tokenizer"]["pretokenizers"][1:]
    sentinel, first_id = "<|endoftext|>", len(raw["model"]["vocab"])
    raw["added_tokens"] = [t for t in raw["added_tokens"] if t["content"] == sentinel]
    known, joined = raw["model"]["vocab"], sentinel[0]
    merges = []
    for char in sentinel[1:]:
        merges.append([joined, char])
        joined += char
        known.setdefault(joined, len(known))
    raw["model"]["merges"] = merges + raw["model"]["merges"]
    raw["added_tokens"][0]["id"] = known[sentinel]
    assert known[sentinel] > first_id
    naive = Backend.from_str(json.dumps(raw))
    naive.encode_special_tokens = True
    assert known[sentinel] in naive.encode(f"a{sentinel}b").ids  # the trap is set
    check_lossless(Tokenizer.from_json(json.dumps(raw)), f"a{sentinel}b", (sentinel,))


def test_whitespace_runs_among_added_tokens_are_still_used(byte_level_backend: Backend) -> None:
    byte_level_backend.add_tokens([" " * 13])
    tokenizer = Tokenizer(byte_level_backend)
    ids = tokenizer.encode("x" + " " * 13 + "y")
    assert len(ids) == 3
    assert tokenizer.decode(ids) == "x" + " " * 13 + "y"


@pytest.mark.parametrize("strip", [{"lstrip": True}, {"rstrip": True}, {"normalized": True}])
def test_a_sentinels_matching_options_do_not_bring_it_back(
    byte_level_backend: Backend, strip: dict[str, bool]
) -> None:
    raw = json.loads(byte_level_backend.to_str())
    for token in raw["added_tokens"]:
        token.update(strip)
    check_lossless(Tokenizer.from_json(json.dumps(raw)), "a <|fim_middle|> b", SENTINELS)


def test_no_space_is_prepended_and_words_merge_by_score(sentencepiece: Tokenizer) -> None:
    assert [sentencepiece.token_bytes(i) for i in sentencepiece.encode("return x")] == [
        b"re",
        b"turn",
        b" x",
    ]
    assert [sentencepiece.token_bytes(i) for i in sentencepiece.encode(" return")] == [b" return"]


def test_bos_is_known_from_the_template_and_never_encoded(sentencepiece: Tokenizer) -> None:
    assert sentencepiece.bos_id == sentencepiece.special_id("<s>") == 1
    assert 1 not in sentencepiece.encode("x")
    without = sentencepiece_metadata(bos=False)
    assert Tokenizer.from_json(tokenizer_json_from_gguf(without)).bos_id is None


def test_stream_holds_back_a_character_until_its_last_byte(sentencepiece: Tokenizer) -> None:
    stream = StreamDecoder(sentencepiece)
    assert [stream.push(token_id) for token_id in sentencepiece.encode("日")] == ["", "", "日"]
    stream.push(sentencepiece.encode("日")[0])
    assert stream.flush() == "\ufffd"
    assert stream.flush() == ""


def test_unknown_splitting_rules_and_vocabulary_kinds_are_refused() -> None:
    base = sentencepiece_metadata()
    for change, word in (
        ({"tokenizer.ggml.model": "bert"}, "bert"),
        ({"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "martian"}, "martian"),
        ({"tokenizer.ggml.model": "gpt2"}, "tokenizer.ggml.pre"),
    ):
        with pytest.raises(TokenizerError, match=word):
            tokenizer_json_from_gguf(base | change)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"model": 3}'])
def test_a_damaged_tokenizer_file_is_a_clear_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(text)
    with pytest.raises(TokenizerError, match="fetch the model again"):
        Tokenizer.from_file(path)
    with pytest.raises(TokenizerError, match="absent"):
        Tokenizer.from_file(tmp_path / "absent.json")


def pieces_of(pre: str, text: str) -> list[str]:
    """Where the rule cuts ``text``, before any merge."""
    metadata = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": ["a"],
        "tokenizer.ggml.token_type": [1],
        "tokenizer.ggml.merges": [],
        "tokenizer.ggml.add_bos_token": False,
    }
    backend = Backend.from_str(tokenizer_json_from_gguf(metadata))
    decoder = decoders.ByteLevel()
    return [decoder.decode([piece]) for piece, _ in backend.pre_tokenizer.pre_tokenize_str(text)]


@pytest.mark.parametrize(
    ("pre", "pieces"),
    [
        ("qwen2", ["x", "1", "2", "3", "4", ":\r\n", "\t", "\tcall"]),
        ("llama-bpe", ["x", "123", "4", ":\r\n", "\t", "\tcall"]),
        ("starcoder", ["x", "1", "2", "3", "4", ":", "\r\n\t", "\t", "call"]),
        ("gpt-2", ["x", "1234", ":", "\r\n\t", "\t", "call"]),
        ("deepseek-coder", ["x", "1", "2", "3", "4", ":", "\r", "\n", "\t", "\tcall"]),
    ],
)
def test_each_rule_cuts_where_its_family_was_trained_to(pre: str, pieces: list[str]) -> None:
    assert pieces_of(pre, "x1234:\r\n\t\tcall") == pieces


@pytest.fixture(scope="module")
def real() -> Tokenizer:
    return load_model("default", cache_dir=default_cache_dir()).tokenizer


@pytest.mark.weights
def test_the_default_vocabulary_has_its_published_sentinels(real: Tokenizer) -> None:
    names = ("<|endoftext|>", "<|im_end|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>")
    ids = (151643, 151645, 151659, 151660, 151661)
    assert tuple(map(real.special_id, names)) == ids
    assert real.eos_ids == {151643, 151645}
    assert real.bos_id is None


@pytest.mark.weights
@relaxed
@given(text=hard_text)
def test_any_text_survives_the_default_vocabulary(real: Tokenizer, text: str) -> None:
    check_lossless(real, text, (*SENTINELS, "<tool_call>", "<|im_end|>", "<|file_sep|>"))
