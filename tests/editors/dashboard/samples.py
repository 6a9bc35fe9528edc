"""Requests of every kind, as the server's JSON: what a page may be shown."""

from __future__ import annotations

import time
from typing import Any

Json = dict[str, Any]

_TEXT = """self.counts[name] -= count
        if self.counts[name] <= 0:
            del self.counts[name]"""
_PREFIX = '''from dataclasses import dataclass, field
from typing import Iterator


@dataclass
class Inventory:
    """Items by name, with how many of each there are."""

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, count: int = 1) -> None:
        """Put `count` more of an item in."""
        if count < 1:
            raise ValueError(f"count is {count}; it must be 1 or more")
        self.counts[name] = self.counts.get(name, 0) + count

'''
_CHUNK = """def take(counts: Counter[str], name: str) -> None:
    counts[name] -= 1
    if not counts[name]:
        del counts[name]
"""
_PLACES = (
    ("src/warehouse/inventory.py", "python", 24, 9),
    ("src/warehouse/orders.py", "python", 112, 9),
    ("web/src/queue.ts", "typescript", 31, 5),
    ("crates/matrix/src/lib.rs", "rust", 208, 17),
)
_NOTHING = (
    ("middle_of_word", "the cursor stands inside a word; ask explicitly to complete here", 0.4),
    ("unlikely_wanted", "the model was too unsure of this line; ask explicitly to see it", 212.0),
    ("repeats_suffix", "the model repeated the text that already follows the cursor", 301.0),
    ("unlikely_wanted", "the model was too unsure of this line; ask explicitly to see it", 187.0),
)
_SHOWN = (
    "return self.counts.get(name, 0) >= count",
    _TEXT,
    "for name, count in order.items():",
    "return this.items.shift();",
    "Self { rows, columns, values: vec![0.0; rows * columns] }",
    "raise KeyError(name)",
)
_OFFERED = "a suggestion was offered, which the model wrote for this request"


def requests(now: float | None = None) -> list[Json]:
    """Return explanations, the newest first, with all that the server tells of each."""
    now = time.time() if now is None else now
    found = [_suggestion("richest", now - 2, 1, _TEXT, 412.0)]
    for at in range(16):
        moment = now - 9 - 7.3 * at
        if at % 5 == 2:
            found.append(_cancelled(f"cancelled-{at}", moment, at))
        elif at % 4 == 1:
            found.append(_nothing(f"nothing-{at}", moment, at))
        else:
            text = _SHOWN[at % len(_SHOWN)]
            found.append(_suggestion(f"suggestion-{at}", moment, at, text, 140 + 37 * (at % 7)))
    found += [
        _repeat("from-richest", now - 130, "cache", "richest"),
        _repeat("from-forgotten", now - 131, "typing_as_suggested", None),
        _repeat("prepared", now - 132, "prefetch", None),
    ]
    # What clients call their documents is theirs.
    found[-1] = {**found[-1], "path": None, "uri": "file:///w/100%<b>.py"}
    return found


def summary(explanation: Json) -> Json:
    """Return what lists and streams tell of a request."""
    told = {**explanation, "context": [dict(chunk) for chunk in explanation["context"]]}
    told["prompt"] = {key: value for key, value in told["prompt"].items() if key != "spans"}
    told.pop("output")
    for chunk in told["context"]:
        chunk.pop("text")
    return told


def _base(request_id: str, moment: float, at: int) -> Json:
    path, language, line, column = _PLACES[at % len(_PLACES)]
    return {
        "id": request_id,
        "time": moment,
        "door": "lsp",
        "client": "Visual Studio Code",
        "uri": f"file:///w/warehouse/{path}",
        "path": path,
        "language_id": language,
        "line": line,
        "column": column,
        "reason": None,
        "text": None,
        "confidence": None,
        "finish_reason": None,
        "source": None,
        "candidates": [],
        "model": "qwen2.5-coder-0.5b",
        "exactness": "exact",
        "age": 0,
        "prompt": dict.fromkeys(
            ("num_tokens", "num_cached", "num_patched", "num_new", "num_healed"), 0
        ),
        "output": [],
        "speculation": {
            "num_forward_passes": 0,
            "num_draft_tokens": 0,
            "num_accepted_tokens": 0,
            "by_source": {},
        },
        "context": [],
        "feedback": {"shown": False, "accepted": None, "accepted_length": 0, "kept": {}},
    }


def _timings(total: float) -> Json:
    shares = {
        "waiting": 0.13,
        "retrieval": 0.05,
        "prompt": 0.02,
        "patch": 0.11,
        "prefill": 0.21,
        "decode": 0.46,
        "post": 0.02,
    }
    return {"total": total, **{name: total * share for name, share in shares.items()}}


def _suggestion(request_id: str, moment: float, at: int, text: str, total: float) -> Json:
    is_accepted = at % 3 == 1
    return {
        **_base(request_id, moment, at),
        "outcome": "suggestion",
        "sentence": _OFFERED,
        "text": text,
        "confidence": 0.83,
        "finish_reason": "stop",
        "source": "engine",
        "candidates": [text],
        "exactness": "patched",
        "age": 2,
        "timings_ms": _timings(total),
        "prompt": {
            "num_tokens": 1203,
            "num_cached": 1098,
            "num_patched": 61,
            "num_new": 28,
            "num_healed": 16,
            "spans": _spans(),
        },
        "output": _output(text),
        "speculation": {
            "num_forward_passes": 9,
            "num_draft_tokens": 31,
            "num_accepted_tokens": 22,
            "by_source": {"copied": 14, "ngrams": 8},
        },
        "context": _context(),
        "feedback": {
            "shown": True,
            "accepted": "all" if is_accepted else None,
            "accepted_length": len(text) if is_accepted else 0,
            "kept": {"30": 1.0, "120": 0.86} if is_accepted else {},
        },
    }


def _repeat(request_id: str, moment: float, source: str, kept_from: str | None) -> Json:
    """Return an answer that was there before it was asked for."""
    counts = ("num_tokens", "num_cached", "num_patched", "num_new", "num_healed")
    return {
        **_suggestion(request_id, moment, 1, _TEXT, 0.3),
        "sentence": "a suggestion was offered that an earlier request had brought",
        "source": source,
        "kept_from": kept_from,
        "timings_ms": {"total": 0.3, "waiting": None, "decode": None},
        "prompt": {**dict.fromkeys(counts, 0), "spans": None},
        "output": None,
    }


def _spans() -> list[Json]:
    def span(text: str, state: str, segment: str, num_tokens: int) -> Json:
        return {"text": text, "state": state, "segment": segment, "num_tokens": num_tokens}

    return [
        span("<|repo_name|>warehouse\n", "exact", "head", 5),
        span(f"<|file_sep|>src/warehouse/stock.py\n{_CHUNK}", "exact", "context", 62),
        span("<|file_sep|>src/warehouse/inventory.py\n", "exact", "file", 14),
        span(f"<|fim_prefix|>{_PREFIX * 3}", "exact", "prefix", 930),
        span("    def remove(self, name: str, ", "exact", "prefix", 9),
        span("count: int = 1", "new", "prefix", 5),
        span(") -> None:\n", "healed", "prefix", 5),
        span('        """Take `count` of an item out."""\n', "patched", "prefix", 14),
        span("<|fim_suffix|>", "healed", "suffix", 1),
        span("\n\n    def total(self) -> int:\n", "patched", "suffix", 10),
        span("        return sum(self.counts.values())\n", "patched", "suffix", 11),
        span("<|fim_middle|>        ", "new", "middle", 2),
    ]


def _output(text: str) -> list[Json]:
    words = text.replace(".", " .").replace("[", " [").split(" ")
    pieces = [word if at == 0 else f" {word}" for at, word in enumerate(words)]
    pieces = [piece.replace(" .", ".").replace(" [", "[") for piece in pieces]
    first = ("target", "copied", "copied", "target", "ngrams", "copied", "recycled")
    origins = (*first, "expected", "exit", "model")
    return [
        {"text": piece, "origin": origins[at % len(origins)], "logprob": -0.1 * (at % 9)}
        for at, piece in enumerate(pieces)
    ]


def _context() -> list[Json]:
    return [
        {
            "path": "src/warehouse/stock.py",
            "start_line": 40,
            "end_line": 44,
            "text": _CHUNK,
            "score": 0.81,
            "source": "similar",
            "reason": "lines like those around the cursor: counts, name, del",
        },
        {
            "path": "src/warehouse/errors.py",
            "start_line": 3,
            "end_line": 9,
            "text": 'class UnknownItemError(KeyError):\n    """No item has that name."""\n',
            "score": 0.44,
            "source": "definition",
            "reason": "defines UnknownItemError, which the file imports",
        },
    ]


def _nothing(request_id: str, moment: float, at: int) -> Json:
    reason, sentence, total = _NOTHING[at // 4 % len(_NOTHING)]
    is_early = total < 1
    return {
        **_base(request_id, moment, at),
        "outcome": "nothing",
        "reason": reason,
        "sentence": f"no suggestion: {sentence}",
        "timings_ms": {"total": total, "waiting": total} if is_early else _timings(total),
    }


def _cancelled(request_id: str, moment: float, at: int) -> Json:
    return {
        **_base(request_id, moment, at),
        "outcome": "cancelled",
        "sentence": "the request was taken back before it was answered: the text changed or a "
        "newer request came",
        "timings_ms": {"total": 63.0 + at, "waiting": None, "decode": None},
    }


def status() -> Json:
    """Return what the process holds."""
    cache = {"num_slots": 16384, "num_used_slots": 9120, "num_computed": 48211, "num_healed": 6020}
    index = {"store": "", "num_chunks": 4120, "num_bytes": 18_400_000, "num_open": 3, "detail": ""}
    return {
        "version": "0.1.0",
        "uptime_s": 8123.4,
        "resident_bytes": 1_480_000_000,
        "models": [
            {
                "name": "qwen2.5-coder-0.5b",
                "state": "ready",
                "num_clients": 2,
                "num_waiting": 1,
                "busy_s": 214.7,
                "cache": cache,
                "detail": "",
            }
        ],
        "indexes": [
            {**index, "folder": "~/code/warehouse", "state": "up to date", "num_files": 318},
            {**index, "folder": "~/code/compiler", "state": "indexing", "num_files": 1204},
        ],
        "cache": cache,
        "memory": {
            "resident_bytes": 1_480_000_000,
            "total_bytes": 16_800_000_000,
            "available_bytes": 9_100_000_000,
        },
    }


def stats() -> Json:
    """Return what became of suggestions."""

    def counts(shown: int, accepted: int, partly: int) -> Json:
        rate = (accepted + partly) / shown
        return {
            "shown": shown,
            "accepted": accepted,
            "partly": partly,
            "typed": 3,
            "dismissed": 4,
            "accepted_chars": 40 * accepted,
            "acceptance": {"rate": rate, "low": rate * 0.86, "high": rate * 1.13},
            "kept": {
                "30": {"ratio": 0.91, "chars": 900, "measured_chars": 990},
                "120": {"ratio": 0.87, "chars": 860, "measured_chars": 990},
                "600": {"ratio": 0.81, "chars": 800, "measured_chars": 990},
            },
            "latency_ms": {"p50": 231.0, "p95": 618.0},
        }

    def group(day: str, language: str, *numbers: int) -> Json:
        return {"day": day, "language": language, "model": "qwen2.5-coder-0.5b", **counts(*numbers)}

    return {
        "schema": 1,
        "groups": [
            group("2026-11-27", "python", 212, 61, 14),
            group("2026-11-27", "typescript", 88, 19, 6),
            group("2026-11-26", "python", 304, 92, 21),
            group("2026-11-26", "rust", 41, 7, 2),
            group("2026-11-25", "python", 167, 40, 12),
        ],
        "total": counts(812, 219, 55),
        "learnt": [
            "fimble waits for 1.05 of your typing gaps before it asks (without learning 1.25)"
        ],
    }
