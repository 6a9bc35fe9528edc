"""From a GGUF file's vocabulary to the text of a tokenizer.json.

The metadata holds tokens, their kinds and merges or scores, but names the rule that splits text
beforehand only by a label; the rules stand here, and an unknown label is an error, since a wrong
rule gives plausible ids that the network was never trained on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from models.errors import TokenizerError
from models.sources.directory import bos_template

_SPACE_MARK = "\u2581"
_Json = dict[str, Any]


class _Kind(IntEnum):
    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


def tokenizer_json_from_gguf(metadata: _Json) -> str:
    """Return a tokenizer.json for the vocabulary in ``metadata``, keyed as in the file.

    Raises:
        TokenizerError: The kind of vocabulary or its splitting rule is unknown, or a part is missing.
    """
    try:
        kind = metadata["tokenizer.ggml.model"]
        if kind == "gpt2":
            raw = _byte_level(metadata)
        elif kind == "llama":
            raw = _sentencepiece(metadata)
        else:
            raise TokenizerError(
                f"vocabularies of kind {kind!r} are not supported in GGUF files (gpt2 and llama "
                "are); take the model as safetensors"
            )
    except KeyError as error:
        raise TokenizerError(
            f"the GGUF file lacks {error}; it was made by an old converter, take a newer file"
        ) from error
    if metadata.get("tokenizer.ggml.add_bos_token", kind == "llama"):
        bos = metadata["tokenizer.ggml.tokens"][metadata["tokenizer.ggml.bos_token_id"]]
        raw["post_processor"] = bos_template(raw, bos)
    return json.dumps(raw, ensure_ascii=False)


def _byte_level(metadata: _Json) -> _Json:
    label = metadata["tokenizer.ggml.pre"]
    splits = _split_rules().get(label)
    if splits is None:
        raise TokenizerError(
            f"the splitting rule {label!r} of this GGUF file is unknown (known: "
            f"{', '.join(sorted(_split_rules()))}); take the model as safetensors"
        )
    merges = [merge.split(" ") for merge in metadata["tokenizer.ggml.merges"]]
    # Llama 3 takes a word that is in the vocabulary whole, whatever the merges say.
    model = _bpe(metadata, merges, ignore_merges=label in ("llama-bpe", "llama3", "llama-v3"))
    return _assemble(
        metadata,
        model,
        normalizer={"type": "NFC"} if label == "qwen2" else None,
        pre_tokenizer={"type": "Sequence", "pretokenizers": splits},
        decoder=_byte_level_stage(use_regex=False),
    )


def _sentencepiece(metadata: _Json) -> _Json:
    tokens, kinds = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]
    merges = merges_from_scores(tokens, kinds, metadata["tokenizer.ggml.scores"])
    model = _bpe(metadata, merges, byte_fallback=True, fuse_unk=True)
    has_prefix = metadata.get("tokenizer.ggml.add_space_prefix", True)
    to_mark = {"type": "Replace", "pattern": {"String": " "}, "content": _SPACE_MARK}
    to_space = {"type": "Replace", "pattern": {"String": _SPACE_MARK}, "content": " "}
    decoders: list[_Json] = [to_space, {"type": "ByteFallback"}, {"type": "Fuse"}]
    if has_prefix:
        decoders.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    prepend = [{"type": "Prepend", "prepend": _SPACE_MARK}] if has_prefix else []
    return _assemble(
        metadata,
        model,
        normalizer={"type": "Sequence", "normalizers": [*prepend, to_mark]},
        pre_tokenizer=None,
        decoder={"type": "Sequence", "decoders": decoders},
    )


def merges_from_scores(
    tokens: Sequence[str], kinds: Sequence[int], scores: Sequence[float]
) -> list[list[str]]:
    """Return merges that repeat SentencePiece's rule: join the neighbours whose union scores best."""
    known = {
        token: index
        for index, token in enumerate(tokens)
        if kinds[index] in (_Kind.NORMAL, _Kind.USER_DEFINED)
    }
    ranked = []
    for token, index in known.items():
        if kinds[index] != _Kind.NORMAL:
            continue
        for cut in range(1, len(token)):
            left, right = token[:cut], token[cut:]
            if left in known and right in known:
                ranked.append((-scores[index], index, known[left], known[right], left, right))
    return [[left, right] for *_, left, right in sorted(ranked)]


def _bpe(
    metadata: _Json,
    merges: list[list[str]],
    *,
    ignore_merges: bool = False,
    byte_fallback: bool = False,
    fuse_unk: bool = False,
) -> _Json:
    tokens, kinds = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]
    last_normal = max(i for i, kind in enumerate(kinds) if kind in (_Kind.NORMAL, _Kind.BYTE))
    unknown = [token for token, kind in zip(tokens, kinds, strict=True) if kind == _Kind.UNKNOWN]
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": unknown[0] if unknown and byte_fallback else None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": fuse_unk,
        "byte_fallback": byte_fallback,
        "ignore_merges": ignore_merges,
        "vocab": {token: index for index, token in enumerate(tokens[: last_normal + 1])},
        "merges": merges,
    }


def _assemble(metadata: _Json, model: _Json, **stages: _Json | None) -> _Json:
    tokens, kinds = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]
    added = [
        {
            "id": index,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": kind != _Kind.USER_DEFINED,
        }
        for index, (token, kind) in enumerate(zip(tokens, kinds, strict=True))
        if kind in (_Kind.CONTROL, _Kind.USER_DEFINED, _Kind.UNKNOWN)
    ]
    frame = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added}
    return {**frame, "post_processor": None, **stages, "model": model}


def _split_rules() -> dict[str, list[_Json]]:
    """Pre-tokenizers by GGUF label, as the models' own tokenizer.json files define them."""
    tail = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    head = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
    plain = _byte_level_stage(use_regex=False)
    qwen = [_split(head + r"\p{N}" + tail), plain]
    llama3 = [_split(head + r"\p{N}{1,3}" + tail), plain]
    gpt2 = [_byte_level_stage(use_regex=True)]
    digits = {"type": "Digits", "individual_digits": True}
    starcoder = [digits, *gpt2]
    cjk = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
    patterns = (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", cjk)
    deepseek_coder = [*map(_split, patterns), digits, plain]
    return {
        "qwen2": qwen,
        **dict.fromkeys(("llama-bpe", "llama3", "llama-v3"), llama3),
        **dict.fromkeys(("gpt-2", "gpt2"), gpt2),
        **dict.fromkeys(("starcoder", "refact", "smollm", "command-r", "codeshell"), starcoder),
        "deepseek-coder": deepseek_coder,
    }


def _split(pattern: str) -> _Json:
    regex = {"Regex": pattern}
    return {"type": "Split", "pattern": regex, "behavior": "Isolated", "invert": False}


def _byte_level_stage(*, use_regex: bool) -> _Json:
    return {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": use_regex,
    }
