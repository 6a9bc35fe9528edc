"""The JSON that llama.vim sends to ``/infill``."""

from __future__ import annotations

from benchmarks.llama_server import Json
from benchmarks.llama_vim_context import LlamaConfig, LocalContext
from benchmarks.llama_vim_memory import Extra

TIMING_FIELDS = ("n", "ms", "per_token_ms", "per_second")
# What the plugin asks for, and at the end the size of the prompt, which only a benchmark wants.
RESPONSE_FIELDS = (
    "content",
    *(f"timings/prompt_{field}" for field in TIMING_FIELDS),
    *(f"timings/predicted_{field}" for field in TIMING_FIELDS),
    "truncated",
    "tokens_cached",
    "tokens_evaluated",
)
# The plugin asks for nothing, having no use for the answer.
RING_RESPONSE_FIELDS = ("timings/prompt_n", "timings/prompt_ms", "tokens_evaluated")


def completion_request(
    context: LocalContext, extra: Extra, max_predict_ms: int, config: LlamaConfig
) -> Json:
    """Return the request for a place; after ``max_predict_ms`` the answer ends with its line."""
    return {
        "id_slot": 0,
        "input_prefix": context.prefix,
        "input_suffix": context.suffix,
        "input_extra": extra,
        "prompt": context.middle,
        "n_predict": config.n_predict,
        "stop": list(config.stop_strings),
        "n_indent": context.indent,
        "top_k": 40,
        "top_p": 0.90,
        "samplers": ["top_k", "top_p", "infill"],
        "stream": False,
        "cache_prompt": True,
        "t_max_prompt_ms": config.t_max_prompt_ms,
        "t_max_predict_ms": max_predict_ms,
        "response_fields": list(RESPONSE_FIELDS),
        "model": "",
    }


def ring_request(extra: Extra) -> Json:
    """Return the request that lets the server read the chunks before they are needed."""
    return {
        "id_slot": 0,
        "input_prefix": "",
        "input_suffix": "",
        "input_extra": extra,
        "prompt": "",
        "n_predict": 0,
        "temperature": 0.0,
        "samplers": [],
        "stream": False,
        "cache_prompt": True,
        "t_max_prompt_ms": 1,
        "t_max_predict_ms": 1,
        "response_fields": list(RING_RESPONSE_FIELDS),
        "model": "",
    }
