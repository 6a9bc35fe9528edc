"""What the model is shown."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from completion.config import PromptConfig
from completion.fim_format import FORMATS, FimOrder, Layout, detect_format
from completion.prompt import EFIM_LINES, PromptBuilder
from completion.types import (
    CompletionRequest,
    ContextChunk,
    DocumentSnapshot,
    SelectedItem,
    TextEdit,
    apply_edits,
)
from completion.windows import StickyWindows, fit_head, fit_tail
from models.tokenizer import Tokenizer


def request_for(text: str, offset: int, **options: object) -> CompletionRequest:
    document = DocumentSnapshot("file:///w/app.py", 1, "python", text, path="/w/app.py")
    return CompletionRequest("1", document, offset, **options)  # type: ignore[arg-type]


def spelled(builder: PromptBuilder, tokenizer: Tokenizer, request: CompletionRequest) -> str:
    """Return the prompt as text, sentinels included."""
    names = {tokenizer.special_id(name): name for fmt in FORMATS for name in fmt.sentinels}
    prompt = builder.build(request, ())
    parts = []
    for token_id in prompt.token_ids:
        parts.append(
            names[token_id].encode() if token_id in names else tokenizer.token_bytes(token_id)
        )
    return b"".join(parts).decode()


def test_the_cursors_line_stands_behind_the_middle_sentinel(tiny_tokenizer: Tokenizer) -> None:
    builder = PromptBuilder(tiny_tokenizer, PromptConfig())
    request = request_for("import os\n\nx = os.pa\nprint(x)\n", len("import os\n\nx = os.pa"))
    assert spelled(builder, tiny_tokenizer, request) == (
        "<|fim_prefix|>import os\n\n<|fim_suffix|>\nprint(x)\n<|fim_middle|>x = os.p"
    )
    assert builder.build(request, ()).healed_text == "a"


def test_typing_in_a_line_only_extends_the_prompt(tiny_tokenizer: Tokenizer) -> None:
    builder = PromptBuilder(tiny_tokenizer, PromptConfig())
    before, after = "def f(a):\n    b = a\n", "\n    return b\n"
    previous: list[int] = []
    for typed in ("    ", "    c", "    c ", "    c = ", "    c = b"):
        prompt = builder.build(request_for(before + typed + after, len(before + typed)), ())
        stable = len(previous) - 4
        assert prompt.token_ids[: max(stable, 0)] == previous[: max(stable, 0)]
        previous = prompt.token_ids


def test_an_item_selected_in_the_editors_list_is_forced(tiny_tokenizer: Tokenizer) -> None:
    builder = PromptBuilder(tiny_tokenizer, PromptConfig())
    text = "os.pa\n"
    request = request_for(text, 5, selected_item=SelectedItem(3, 5, "path.join"))
    prompt = builder.build(request, ())
    assert (prompt.healed_text, prompt.forced_text) == ("a", "th.join")


def test_a_split_character_is_healed_whole(tiny_tokenizer: Tokenizer) -> None:
    builder = PromptBuilder(tiny_tokenizer, PromptConfig())
    prompt = builder.build(request_for("x = 'é", 6), ())
    assert prompt.healed_text == "é"


def test_other_files_stand_before_the_current_one_within_their_budget(
    tiny_tokenizer: Tokenizer,
) -> None:
    builder = PromptBuilder(tiny_tokenizer, PromptConfig(max_num_tokens=400))
    chunks = [
        ContextChunk("lib/a.py", 1, 2, "def a():\n    return 1\n", 1.0, "bm25"),
        ContextChunk("lib/b.py", 1, 90, "b = 2\n" * 90, 0.5, "bm25"),
    ]
    prompt = builder.build(request_for("import lib\n\n", 12), chunks)
    names = [segment.segment_id for segment in prompt.segments]
    assert names == ["head", "chunk:lib/a.py:1-2", "file", "prefix", "suffix", "line"]
    assert len(prompt.token_ids) <= 400


def test_starcoders_path_stands_inside_the_prefix(tiny_tokenizer: Tokenizer) -> None:
    builder = PromptBuilder(tiny_tokenizer, PromptConfig())
    assert builder.fim_format is not None
    builder.fim_format = replace(builder.fim_format, path_inside_prefix=True)
    chunk = ContextChunk("lib/a.py", 1, 1, "a = 1\n", 1.0, "bm25")
    prompt = builder.build(request_for("import lib\n\n", 12), [chunk])
    by_name = {segment.segment_id: segment.token_ids for segment in prompt.segments}
    assert by_name["file"] == (tiny_tokenizer.special_id("<|file_sep|>"),)
    assert tiny_tokenizer.decode(by_name["prefix"]) == "/w/app.py\nimport lib\n\n"


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.text("abc é(\t", max_size=30), max_size=40),
    st.integers(64, 300),
    st.randoms(use_true_random=False),
)
def test_no_prompt_exceeds_its_budget_and_the_cursor_is_always_in_it(
    tiny_tokenizer: Tokenizer, lines: list[str], budget: int, random: object
) -> None:
    text = "\n".join(lines)
    offset = random.randint(0, len(text))  # type: ignore[attr-defined]
    builder = PromptBuilder(tiny_tokenizer, PromptConfig(max_num_tokens=budget))
    prompt = builder.build(request_for(text, offset), ())
    assert len(prompt.token_ids) <= budget
    visible = b"".join(map(tiny_tokenizer.token_bytes, prompt.segments[-1].token_ids))
    line = visible.decode(errors="ignore") + prompt.healed_text
    assert text[:offset].endswith(line)


@settings(deadline=None, max_examples=60)
@given(st.text("ab\né ", max_size=200), st.integers(1, 50))
def test_fitting_keeps_the_near_end_within_budget(
    tiny_tokenizer: Tokenizer, text: str, budget: int
) -> None:
    head, tail = fit_head(tiny_tokenizer, text, budget), fit_tail(tiny_tokenizer, text, budget)
    for fitted in (head, tail):
        assert len(fitted.token_ids) <= budget
        assert tiny_tokenizer.decode(fitted.token_ids) == text[fitted.start : fitted.end]
    assert head.start == 0
    assert tail.end == len(text)
    if len(tiny_tokenizer.encode(text)) <= budget:
        assert (tail.start, head.end) == (0, len(text))


def test_a_newline_does_not_move_the_windows_start(tiny_tokenizer: Tokenizer) -> None:
    builder = PromptBuilder(tiny_tokenizer, PromptConfig(max_num_tokens=400, suffix_share=0.2))
    text = "".join(f"line_{number} = {number}\n" for number in range(100))
    document = DocumentSnapshot("file:///w/a.py", 1, "python", text)
    offset = text.index("line_60")
    windows = StickyWindows()
    starts = []
    for version in range(2, 12):
        request = CompletionRequest("1", document, offset)
        windows.follow(document)
        starts.append(builder.build(request, (), windows).token_ids[:20])
        edit = TextEdit(offset, offset, "new = 0\n")
        document = replace(
            document,
            version=version,
            base_version=version - 1,
            text=apply_edits(document.text, (edit,)),
            edits=(edit,),
        )
        offset += len(edit.inserted)
    changes = sum(a != b for a, b in itertools.pairwise(starts))
    assert changes <= 1
    # Without the sticky edge nearly every line would move it.
    fresh = []
    for number in range(40, 50):
        request = CompletionRequest("1", document, document.text.index(f"line_{number}"))
        fresh.append(builder.build(request, ()).token_ids[:20])
    assert sum(a != b for a, b in itertools.pairwise(fresh)) >= 8


def test_a_copy_of_the_windows_moves_on_its_own(tiny_tokenizer: Tokenizer) -> None:
    builder = PromptBuilder(tiny_tokenizer, PromptConfig(max_num_tokens=128))
    text = "a = 1\n" * 200
    here, ahead = (
        DocumentSnapshot("file:///w/a.py", version, "python", text) for version in (1, 2)
    )
    windows = StickyWindows()
    windows.follow(here)
    before = builder.build(CompletionRequest("1", here, 600), (), windows).token_ids
    twin = windows.copy()
    twin.follow(ahead)
    builder.build(CompletionRequest("1", ahead, 1100), (), twin)
    windows.follow(here)
    assert builder.build(CompletionRequest("1", here, 600), (), windows).token_ids == before


def test_an_unknown_predecessor_resets_the_windows(tiny_tokenizer: Tokenizer) -> None:
    builder = PromptBuilder(tiny_tokenizer, PromptConfig(max_num_tokens=128))
    windows = StickyWindows()
    for version, text in ((1, "a = 1\n" * 200), (7, "b = 2\n" * 100)):
        document = DocumentSnapshot("file:///w/a.py", version, "python", text)
        windows.follow(document)
        request = CompletionRequest("1", document, len(text) - 6)
        prompt = builder.build(request, (), windows)
        shown = tiny_tokenizer.decode(prompt.token_ids)
        assert set(shown) == set(text)


def layouts(tokenizer: Tokenizer, request: CompletionRequest) -> dict[Layout, str]:
    builders = {layout: PromptBuilder(tokenizer, PromptConfig(layout=layout)) for layout in Layout}
    return {layout: spelled(builder, tokenizer, request) for layout, builder in builders.items()}


def test_layouts_differ_in_where_the_text_around_the_cursor_stands(
    tiny_tokenizer: Tokenizer,
) -> None:
    found = layouts(tiny_tokenizer, request_for("above\nli\nbelow\n", 8))
    assert found == {
        Layout.LINE: "<|fim_prefix|>above\n<|fim_suffix|>\nbelow\n<|fim_middle|>l",
        Layout.EFIM: "<|fim_prefix|>above\n<|fim_suffix|>\nbelow\n<|fim_middle|>l",
        Layout.PSM: "<|fim_prefix|>above\nl<|fim_suffix|>\nbelow\n<|fim_middle|>",
        Layout.SPM: "<|fim_prefix|><|fim_suffix|>\nbelow\n<|fim_middle|>above\nl",
    }


def typed_on(document: DocumentSnapshot, offset: int, text: str) -> DocumentSnapshot:
    edit = TextEdit(offset, offset, text)
    return replace(
        document,
        version=document.version + 1,
        base_version=document.version,
        edits=(edit,),
        text=apply_edits(document.text, (edit,)),
    )


def test_the_efim_layout_leaves_prefix_and_suffix_alone_for_some_lines(
    tiny_tokenizer: Tokenizer,
) -> None:
    builder = PromptBuilder(tiny_tokenizer, PromptConfig(layout=Layout.EFIM))
    document = DocumentSnapshot("file:///w/a.py", 1, "python", "above\n\nbelow\n")
    offset, windows, fronts = 6, StickyWindows(), []
    for _ in range(2 * EFIM_LINES):
        windows.follow(document)
        prompt = builder.build(CompletionRequest("1", document, offset), (), windows)
        fronts.append(prompt.segments[:-1])
        document = typed_on(document, offset, "line\n")
        offset += 5
    assert sum(a != b for a, b in itertools.pairwise(fronts)) == 1
    # A cursor that goes up leaves the anchor behind.
    prompt = builder.build(CompletionRequest("1", document, 3), (), windows)
    assert tiny_tokenizer.decode(prompt.segments[0].token_ids) == ""


def long_document(num_lines: int = 400) -> DocumentSnapshot:
    text = "".join(f"line_{number} = {number}\n" for number in range(num_lines))
    return DocumentSnapshot("file:///w/a.py", 1, "python", text)


def test_a_cursor_that_moves_inside_the_window_does_not_move_it(tiny_tokenizer: Tokenizer) -> None:
    builder = PromptBuilder(tiny_tokenizer, PromptConfig(max_num_tokens=1200))
    document, windows = long_document(), StickyWindows()
    windows.follow(document)
    shown = set()
    for number in (200, 210, 190, 205):
        offset = document.text.index(f"line_{number} ")
        prompt = builder.build(CompletionRequest("1", document, offset), (), windows)
        by_name = {part.segment_id: part.token_ids for part in prompt.segments}
        prefix = tiny_tokenizer.decode(by_name["prefix"])
        suffix = tiny_tokenizer.decode(by_name["suffix"])
        assert (prefix + suffix) in document.text
        shown.add(prefix + suffix)
    assert len(shown) == 1


def test_a_cursor_that_comes_near_an_edge_takes_the_window_along(
    tiny_tokenizer: Tokenizer,
) -> None:
    config = PromptConfig(max_num_tokens=1200)
    builder = PromptBuilder(tiny_tokenizer, config)
    document, windows = long_document(), StickyWindows()
    windows.follow(document)
    for number in (200, 230, 390, 20, 0, 399):
        offset = document.text.index(f"line_{number} ")
        prompt = builder.build(CompletionRequest("1", document, offset), (), windows)
        by_name = {part.segment_id: len(part.token_ids) for part in prompt.segments}
        assert sum(by_name.values()) <= config.max_num_tokens
        assert sum(by_name.values()) >= config.max_num_tokens / 2
        assert by_name["prefix"] > 250 or number < 30
        assert by_name["suffix"] > 40 or number > 380


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda fmt: fmt.name)
def test_each_format_is_found_by_its_sentinels(fmt: object) -> None:
    present = {token: at for at, token in enumerate(fmt.sentinels)}  # type: ignore[attr-defined]
    assert detect_format(present.get) == fmt
    assert detect_format({}.get) is None


def test_suffix_first_formats_put_the_suffix_first(tiny_tokenizer: Tokenizer) -> None:
    builder = PromptBuilder(tiny_tokenizer, PromptConfig())
    assert builder.fim_format is not None
    builder.fim_format = replace(builder.fim_format, order=FimOrder.SPM)
    request = request_for("above\nli\nbelow\n", 8)
    assert spelled(builder, tiny_tokenizer, request) == (
        "<|fim_suffix|>\nbelow\n<|fim_prefix|>above\n<|fim_middle|>l"
    )


def test_a_model_without_fim_continues_the_text(tiny_tokenizer: Tokenizer) -> None:
    builder = PromptBuilder(tiny_tokenizer, PromptConfig())
    builder.fim_format = None
    request = request_for("above\nli\nbelow\n", 8)
    assert tiny_tokenizer.decode(builder.build(request, ()).token_ids) == "above\nl"
    assert builder.stop_ids == tiny_tokenizer.eos_ids
