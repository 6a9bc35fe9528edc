"""Text to token ids and back, without loss and without ever reading a sentinel out of text.

Three things differ from what a tokenizer.json asks for, all so that a document survives the trip and
can be cut into segments: control tokens are not looked for in text, Unicode is not normalised, and
SentencePiece vocabularies get no space prepended. Whitespace runs that a vocabulary lists as added
tokens are still used, since they are text.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, normalizers, pre_tokenizers
from tokenizers import Tokenizer as Backend

from models.errors import TokenizerError

_SPACE_MARK = "\u2581"

# Ends of text under the names that the supported families give them.
_EOS_TOKENS = (
    "<|endoftext|>",
    "<|im_end|>",
    "<|end_of_text|>",
    "<|eot_id|>",
    "<|EOT|>",
    "<\uff5cend\u2581of\u2581sentence\uff5c>",
    "</s>",
    "<eos>",
    "<end_of_turn>",
    "\u2581<EOT>",
)


class Tokenizer:
    """One vocabulary, byte-level or SentencePiece with byte fallback. Thread-safe after creation."""

    def __init__(self, backend: Backend) -> None:
        state = _pipeline(backend)
        self._is_byte_level = _has_part(state["decoder"], "ByteLevel")
        self._bytes_of_char = _byte_level_alphabet()
        added = backend.get_added_tokens_decoder()
        self._controls = {
            token.content: token_id for token_id, token in added.items() if not _is_text(token)
        }
        self._control_ids = frozenset(self._controls.values())
        self._bos_id = _leading_control(backend, self._control_ids)
        self._backend = _as_text_only(backend, state, self._controls)
        self._without_control_merges: Backend | None = None
        self._token_bytes: dict[int, bytes] = {}
        self.vocab_size: int = self._backend.get_vocab_size(with_added_tokens=True)
        self.eos_ids: frozenset[int] = frozenset(
            self._controls[name] for name in _EOS_TOKENS if name in self._controls
        )

    @classmethod
    def from_file(cls, path: Path | str) -> Tokenizer:
        """Return the tokenizer that a ``tokenizer.json`` describes.

        Raises:
            TokenizerError: The file is missing or is no tokenizer.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise TokenizerError(
                f"{path} cannot be read: {error}; fetch the model again"
            ) from error
        return cls.from_json(text)

    @classmethod
    def from_json(cls, text: str) -> Tokenizer:
        """Return the tokenizer that the text of a ``tokenizer.json`` describes.

        Raises:
            TokenizerError: The text is no tokenizer.
        """
        try:
            backend = Backend.from_str(text)
        except Exception as error:  # the library raises bare Exception, nothing finer
            raise TokenizerError(
                f"the model's tokenizer.json is damaged: {error}; fetch the model again"
            ) from error
        return cls(backend)

    @property
    def bos_id(self) -> int | None:
        """The id that must stand before a prompt, or None if the model wants none."""
        return self._bos_id

    def encode(self, text: str) -> list[int]:
        """Return the ids of ``text``; no BOS, and no control token whatever the text says."""
        if self._is_byte_level or _SPACE_MARK not in text:
            return self._encode_plain(text)
        # The mark itself means a space in these vocabularies, so it can only be spelled in bytes.
        mark_ids = [self._byte_id(byte) for byte in _SPACE_MARK.encode()]
        ids: list[int] = []
        for index, part in enumerate(text.split(_SPACE_MARK)):
            ids.extend(mark_ids if index else ())
            ids.extend(self._encode_plain(part))
        return ids

    def special_id(self, token: str) -> int | None:
        """Return the id of the control token written ``token``, or None if there is none."""
        return self._controls.get(token)

    def token_bytes(self, token_id: int) -> bytes:
        """Return the UTF-8 bytes (perhaps part of a character) of one token; b"" for controls."""
        known = self._token_bytes.get(token_id)
        if known is None:
            known = self._token_bytes[token_id] = self._spell(token_id)
        return known

    def spelling(self, token_id: int) -> bytes:
        """Return the bytes of one token, for people: a control token's are its name."""
        if token_id not in self._control_ids:
            return self.token_bytes(token_id)
        return next(name for name, known in self._controls.items() if known == token_id).encode()

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of ``ids``; bytes that form no character become U+FFFD."""
        return b"".join(map(self.token_bytes, ids)).decode("utf-8", errors="replace")

    def _spell(self, token_id: int) -> bytes:
        if token_id in self._control_ids:
            return b""
        piece = self._backend.id_to_token(token_id)
        if piece is None:
            return b""
        if self._is_byte_level:
            # An added token made of whitespace is stored as itself, not in the byte alphabet.
            if any(char not in self._bytes_of_char for char in piece):
                return piece.encode()
            return bytes(self._bytes_of_char[char] for char in piece)
        if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
            return bytes.fromhex(piece[3:5])
        return piece.replace(_SPACE_MARK, " ").encode()

    def _encode_plain(self, text: str) -> list[int]:
        ids = self._backend.encode(text, add_special_tokens=False).ids
        if self._control_ids.isdisjoint(ids):
            return ids
        if self._without_control_merges is None:
            self._without_control_merges = _drop_control_merges(self._backend, self._controls)
        return self._without_control_merges.encode(text, add_special_tokens=False).ids

    def _byte_id(self, byte: int) -> int:
        token_id = self._backend.token_to_id(f"<0x{byte:02X}>")
        if token_id is None:
            raise TokenizerError("the vocabulary has neither byte-level nor byte fallback tokens")
        return token_id


class StreamDecoder:
    """Turns ids into text as they come, holding back a character until all its bytes are there."""

    __slots__ = ("_decoder", "_tokenizer")

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token_id: int) -> str:
        """Return the characters that ``token_id`` completes, possibly none."""
        return self._decoder.decode(self._tokenizer.token_bytes(token_id))

    def flush(self) -> str:
        """Return U+FFFD if the ids ended inside a character, else an empty string.

        A caller who cut the ids short and shows the text to a person leaves this out.
        """
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return rest


def _is_text(token: AddedToken) -> bool:
    return not token.special and not token.content.replace(_SPACE_MARK, " ").strip()


def _pipeline(backend: Backend) -> dict[str, dict[str, object] | None]:
    """The stages around the vocabulary, as plain JSON; the library has no other way to read them."""
    parts = ("normalizer", "pre_tokenizer", "decoder")
    stages = {part: getattr(backend, part) for part in parts}
    return {
        part: None if stage is None else json.loads(stage.__getstate__())
        for part, stage in stages.items()
    }


def _has_part(stage: dict[str, object] | None, kind: str) -> bool:
    return stage is not None and any(part["type"] == kind for part in _flatten(stage))


def _flatten(stage: dict[str, object]) -> list[dict[str, object]]:
    for key in ("normalizers", "pretokenizers", "decoders"):
        children = stage.get(key)
        if isinstance(children, list):
            return [part for child in children for part in _flatten(child)]
    return [stage]


def _as_text_only(
    backend: Backend, state: dict[str, dict[str, object] | None], controls: dict[str, int]
) -> Backend:
    if state["normalizer"] is not None:
        kept = [part for part in _flatten(state["normalizer"]) if part["type"] == "Replace"]
        normalizer = normalizers.Sequence([])
        normalizer.__setstate__(json.dumps({"type": "Sequence", "normalizers": kept}).encode())
        backend.normalizer = normalizer
    if state["pre_tokenizer"] is not None:
        backend.pre_tokenizer = _without_prefix_space(state["pre_tokenizer"])
    # The switch below covers only tokens marked special; checkpoints leave sentinels unmarked.
    backend.add_special_tokens(
        [AddedToken(content, special=True, normalized=False) for content in controls]
    )
    backend.encode_special_tokens = True
    return backend


def _without_prefix_space(stage: dict[str, object]) -> pre_tokenizers.Sequence:
    parts = _flatten(stage)
    for part in parts:
        if "add_prefix_space" in part:
            part["add_prefix_space"] = False
        if "prepend_scheme" in part:
            part["prepend_scheme"] = "never"
    sequence = pre_tokenizers.Sequence([])
    sequence.__setstate__(json.dumps({"type": "Sequence", "pretokenizers": parts}).encode())
    return sequence


def _leading_control(backend: Backend, control_ids: frozenset[int]) -> int | None:
    """The token that the vocabulary's own template puts before every text."""
    ids = backend.encode("", add_special_tokens=True).ids
    return ids[0] if ids and ids[0] in control_ids else None


def _drop_control_merges(backend: Backend, controls: dict[str, int]) -> Backend:
    """Some converted vocabularies hold merges that spell a control token; rebuild without them."""
    raw = json.loads(backend.to_str())
    model = raw["model"]
    pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]]
    model["merges"] = [pair for pair in pairs if "".join(pair) not in controls]
    model["ignore_merges"] = False
    strict = Backend.from_str(json.dumps(raw))
    strict.encode_special_tokens = True
    return strict


def _byte_level_alphabet() -> dict[str, int]:
    """Printable stand-ins for all bytes, as GPT-2's vocabulary introduced them."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    alphabet = {chr(byte): byte for byte in printable}
    others = (byte for byte in range(256) if byte not in set(printable))
    return alphabet | {chr(256 + index): byte for index, byte in enumerate(others)}
