"""Cutting texts into chunks, whole and edited, in all languages and in none."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.chunk import Chunk
from retrieval.chunking import MAX_NUM_CHARS, DocumentChunker, chunk_text
from retrieval.division import MAX_NUM_LINES
from retrieval.languages import GRAMMARS, Grammar, grammar_for
from retrieval.syntax import SyntaxTree

OWN_SOURCES = sorted(Path(__file__).parents[2].glob("completion/*.py"))
LINES = st.sampled_from(
    [
        *(
            "",
            "  ",
            "\t",
            "\r",
            "x = 1",
            "  y(a, b)",
            "    z",
            "# note",
            "// note",
            "/*",
            "*/",
            "\0",
        ),
        *(
            "def f(a):",
            "class A {",
            "}",
            "  }",
            ")",
            "(",
            "[",
            "]",
            '"""',
            "'",
            "`",
            "```",
            "# Title",
        ),
        *(
            "@x",
            "end",
            "- a: b",
            "a: |",
            '{"a": [',
            "]}",
            "<p>",
            "</p>",
            "fn f() {",
            "/// doc",
            "<?php",
        ),
        *("if x; then", "fi", "<<E", "E", "日本 = '😀'", "\ud800", "a\rb", "x" * 300, "y" * 5000),
    ]
)
TEXTS = st.builds(
    "".join, st.lists(st.builds("{}{}".format, LINES, st.sampled_from(["\n", "\r\n"])))
)
DOCUMENTS = st.lists(TEXTS, max_size=4).map("".join)
LANGUAGES = st.sampled_from([None, *GRAMMARS])


def parse(language: Grammar | None, text: str) -> SyntaxTree | None:
    return None if language is None else SyntaxTree.parse(language, text)


def chunks_of(name: str, text: str) -> list[Chunk]:
    return chunk_text(text, parse(grammar_for("", name), text))


def chunk_with(chunks: list[Chunk], marker: str) -> Chunk:
    (found,) = (chunk for chunk in chunks if marker in chunk.text)
    return found


def assert_sound(text: str, chunks: list[Chunk]) -> None:
    lines = text.split("\n")
    ends = [line + "\n" for line in lines[:-1]] + [lines[-1]]
    covered: list[int] = []
    for chunk in chunks:
        span = range(chunk.start_line, chunk.end_line)
        assert 0 < len(span) <= MAX_NUM_LINES
        assert chunk.text == "".join(ends[line] for line in span)[:MAX_NUM_CHARS]
        assert len(span) == 1 or len("".join(ends[line] for line in span)) <= MAX_NUM_CHARS
        assert lines[span[0]].strip()
        assert lines[span[-1]].strip()
        covered += span
    assert covered == sorted(set(covered))
    assert {line for line, content in enumerate(lines) if content.strip()} <= set(covered)


@given(LANGUAGES, DOCUMENTS)
def test_chunks_cover_every_filled_line_once(language: Grammar | None, text: str) -> None:
    assert_sound(text, chunk_text(text, parse(language, text)))


@pytest.mark.parametrize("path", OWN_SOURCES, ids=lambda path: path.stem)
@pytest.mark.parametrize("name", ["a.py", "a.txt"])
def test_chunks_of_real_code_are_of_a_useful_size(name: str, path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    chunks = chunks_of(name, text)
    assert_sound(text, chunks)
    num_lines = sum(chunk.end_line - chunk.start_line for chunk in chunks)
    assert num_lines / len(chunks) >= min(9, num_lines)


@pytest.mark.parametrize("text", ["", "\n", " \n\t\r\n\n", "\f\n\u3000\n" * 30])
def test_a_blank_text_has_no_chunks(text: str) -> None:
    assert chunks_of("a.py", text) == chunks_of("a.txt", text) == []


def test_a_short_text_is_one_chunk_as_it_stands() -> None:
    text = "\n\nx = 1\r\n\r\ny = 2"
    assert chunks_of("a.py", text) == [Chunk(2, 5, (), "x = 1\r\n\r\ny = 2")]


def body(indent: str, line: str, count: int) -> str:
    return "".join(f"{indent}{line.replace('#', str(at))}\n" for at in range(count))


HEADERS = [
    (
        "a.py",
        ("class A(B):", "def f(self):"),
        "@x\nclass A(B):\n    @y\n    def f(self):\n",
        body(" " * 8, "a# = #", 30),
        "",
    ),
    (
        "a.ts",
        ("export class A {", "async f(x) {"),
        "export class A {\n  f = 1;\n  async f(x) {\n",
        body("    ", "a#();", 30),
        "  }\n}\n",
    ),
    (
        "a.java",
        ("class A {", "void f() {"),
        "@X\nclass A {\n  @Y\n  void f() {\n",
        body("    ", "a#();", 30),
        "  }\n}\n",
    ),
    (
        "a.cs",
        ("namespace N {", "class A {"),
        "namespace N {\n  class A {\n",
        body("    ", "int a#;", 30),
        "  }\n}\n",
    ),
    (
        "a.rs",
        ("impl A for B {", "fn f() {"),
        "impl A for B {\n    fn f() {\n",
        body("        ", "a#();", 30),
        "    }\n}\n",
    ),
    (
        "a.cpp",
        ("class A {", "f(int x) {"),
        "class A {\n  int\n  f(int x) {\n",
        body("    ", "a#();", 30),
        "  }\n};\n",
    ),
    (
        "a.rb",
        ("module M", "class A"),
        "module M\n  class A\n",
        body("    ", "a#()", 30),
        "  end\nend\n",
    ),
    ("a.js", ("const f = (x) => {",), "const f = (x) => {\n", body("  ", "a#();", 30), "};\n"),
    ("a.go", ("func (s *S) f() {",), "func (s *S) f() {\n", body("\t", "a#()", 30), "}\n"),
    ("a.json", ('"k": {',), '{\n"k": {\n', body("", '"a#": 1,', 30), '"a": 1}\n}\n'),
    ("a.yaml", ("k:",), "k:\n", body("  ", "a#: 1", 30), ""),
    ("a.md", ("# A", "## B"), "# A\n\n## B\n\n", body("", "- a# is\n", 30), ""),
    ("a.css", ("@media x {",), "@media x {\n", body("  ", "b { a#: c }", 30), "}\n"),
    ("a.txt", (), "class A:\n", body("  ", "a# = 1", 30), ""),
]


@pytest.mark.parametrize(("name", "header", "opening", "middle", "closing"), HEADERS)
def test_a_header_names_what_encloses_a_chunk(
    name: str, header: tuple[str, ...], opening: str, middle: str, closing: str
) -> None:
    chunks = chunks_of(name, opening + middle + closing)
    assert chunks[0].header == ()
    assert chunk_with(chunks, "a28").header == header


def test_a_long_header_is_cut_and_deep_nesting_is_named_from_outside() -> None:
    keys = [f"{depth}{'k' * 200}" for depth in range(8)]
    opening = "".join(f"{'  ' * depth}{key}:\n" for depth, key in enumerate(keys))
    header = chunk_with(chunks_of("a.yaml", opening + body(" " * 16, "a#: 1", 40)), "a39").header
    assert header == tuple(f"{key}:"[:120] for key in keys[:4])


FILLER = body("", "filler# = 1", 18)
LEADING = [
    ("a.py", FILLER + "# about f\n@one\n@two(\n    2,\n)\ndef f():\n" + body("    ", "a#()", 9)),
    (
        "a.rs",
        body("", "use f#;", 18)
        + "/// about f\n#[one]\nfn f() {\n"
        + body("  ", "a#();", 9)
        + "}\n",
    ),
    (
        "a.go",
        body("", "var f# = 1", 18) + "// about\n// f\nfunc f() {\n" + body("\t", "a#()", 9) + "}\n",
    ),
    (
        "a.c",
        body("", "int f#;", 18) + "/* about\n   f */\nint f() {\n" + body("  ", "a#();", 9) + "}\n",
    ),
    ("a.py", FILLER + "# about f\ndef f():\n" + body("    ", "a#()", 40)),
]


@pytest.mark.parametrize(("name", "text"), LEADING)
def test_what_leads_to_a_definition_stays_with_it(name: str, text: str) -> None:
    chunk = chunk_with(chunks_of(name, text), "about")
    assert chunk.text.startswith(("# about", "/// about", "// about", "/* about"))
    assert "a0()" in chunk.text


def test_a_comment_behind_code_leads_to_nothing() -> None:
    text = body("", "v# = 1", 9) + "w = [\n    1,\n]  # end\ndef f():\n" + body("    ", "a#()", 12)
    assert chunk_with(chunks_of("a.py", text), "def f").text.startswith("def f")


def test_definitions_of_some_length_are_chunks_of_their_own() -> None:
    functions = [f"def f{at}():\n" + body("    ", f"a{at}_#()", 10) for at in range(5)]
    assert [chunk.text for chunk in chunks_of("a.py", "\n\n".join(functions))] == functions


def test_without_a_tree_paragraphs_and_margins_are_boundaries() -> None:
    blocks = ["begin A\n" + body("  ", f"{name}#", 10) + "end A\n" for name in "xyz"]
    text = "".join(blocks) + "\n" + body("", "p#", 9) + "\n" + body("", "q#", 9)
    chunks = [chunk.text for chunk in chunks_of("a.txt", text)]
    assert chunks == [*blocks, body("", "p#", 9), body("", "q#", 9)]


def test_a_line_that_is_too_long_is_cut_and_harms_no_other() -> None:
    text = "a = 1\n" + "x" * 1_000_000 + "\nb = 2\n"
    for name in ("a.py", "a.txt"):
        chunks = chunks_of(name, text)
        assert chunk_with(chunks, "xx") == Chunk(1, 2, (), "x" * MAX_NUM_CHARS)
        assert [chunk.text for chunk in chunks if "=" in chunk.text] == ["a = 1\n", "b = 2\n"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", "x = (\n" + " a +\n" * 3000 + " a)\n"),
        ("a.json", "[\n" * 3000 + "]\n" * 3000),
        ("a.ts", "if (a) {\n" * 500),
        ("a.txt", "".join(" " * (1500 - at) + "x\n" for at in range(1500))),
    ],
    ids=["operators", "brackets", "unclosed", "stairs"],
)
def test_text_that_nests_without_end_is_cut_all_the_same(name: str, text: str) -> None:
    assert_sound(text, chunks_of(name, text))


def test_a_tree_of_another_text_is_refused() -> None:
    with pytest.raises(ValueError, match="another text"):
        chunk_text("x = 2", parse(grammar_for("python"), "x = 1"))


def test_a_key_is_that_of_the_content_and_the_same_in_every_run() -> None:
    chunk = Chunk(3, 4, ("def f():",), "x = '\ud800'\n")
    assert chunk.key == Chunk(7, 8, ("def f():",), "x = '\ud800'\n").key == 8823470543693238676
    assert (
        len({chunk.key, Chunk(3, 4, (), chunk.text).key, Chunk(3, 4, chunk.header, "x").key}) == 3
    )


def test_a_chunk_that_moved_is_equal_to_one_made_there() -> None:
    chunk = Chunk(3, 5, ("class A:",), "x\ny\n")
    key = chunk.key
    moved = chunk.moved_to(10)
    assert moved == Chunk(10, 12, ("class A:",), "x\ny\n")
    assert moved.key == key


def edits(rng: random.Random, text: str) -> Iterator[tuple[int, int, str]]:
    """Yield single edits as people make them, all over ``text``, in its own lines' indentation."""
    lines = text.splitlines(keepends=True)
    starts = [sum(map(len, lines[:at])) for at in range(len(lines))]
    for _ in range(40):
        at = rng.randrange(len(lines))
        indent = lines[at][: len(lines[at]) - len(lines[at].lstrip(" "))]
        start = starts[at]
        yield start, start, f"{indent}total = count + {rng.randrange(99)}\n"
        yield start + len(lines[at]) - 1, start + len(lines[at]) - 1, " more"


@pytest.mark.parametrize("name", ["a.py", "a.txt"])
def test_an_edit_of_a_line_changes_few_chunks(name: str) -> None:
    rng = random.Random(5)
    nums_changed = []
    for path in OWN_SOURCES:
        text = path.read_text(encoding="utf-8")
        before = {chunk.key for chunk in chunks_of(name, text)}
        for start, end, inserted in edits(rng, text):
            edited = text[:start] + inserted + text[end:]
            nums_changed.append(len({chunk.key for chunk in chunks_of(name, edited)} - before))
    # The rest breaks the syntax or a header, which all that it encloses carries.
    assert sum(num <= 2 for num in nums_changed) / len(nums_changed) > 0.9


CHANGES = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), TEXTS | LINES), max_size=6)


@given(LANGUAGES, DOCUMENTS, CHANGES)
@settings(max_examples=200)
def test_updates_give_what_cutting_anew_gives(
    language: Grammar | None, text: str, changes: list[tuple[float, int, str]]
) -> None:
    tree = parse(language, text)
    chunker = DocumentChunker()
    chunker.update(text, tree)
    for place, num_deleted, inserted in changes:
        start = int(place * len(text))
        end = min(len(text), start + num_deleted)
        text = text[:start] + inserted + text[end:]
        tree = tree and tree.edited([(start, end, inserted)])
        assert chunker.update(text, tree) == chunk_text(text, tree)


@pytest.mark.parametrize("name", ["a.py", "a.txt"])
def test_updates_of_real_code_give_what_cutting_anew_gives(name: str) -> None:
    rng = random.Random(3)
    text = OWN_SOURCES[-1].read_text(encoding="utf-8")
    tree = parse(grammar_for("", name), text)
    chunker = DocumentChunker()
    for _ in range(120):
        start = rng.randrange(len(text))
        end = start + rng.choice([0, 0, 0, 1, 30])
        inserted = rng.choice(["a", "(", ")", '"', "\n", "\n\n", "    ", "x = 1\n", "def f():\n"])
        text = text[:start] + inserted + text[end:]
        tree = tree and tree.edited([(start, end, inserted)])
        assert chunker.update(text, tree) == chunk_text(text, tree)


def test_a_chunker_follows_a_document_that_changes_its_language() -> None:
    text = "a:\n" + body("  ", "b#: [1, 2]", 50)
    chunker = DocumentChunker()
    for name in ("a.yaml", "a.py", "a.txt", "a.json", "a.yaml"):
        tree = parse(grammar_for("", name), text)
        assert chunker.update(text, tree) == chunk_text(text, tree)


def test_known_content_is_not_hashed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    text = body("", "def f#():\n    return #\n\n", 40)
    chunker = DocumentChunker()
    keys = [chunk.key for chunk in chunker.update(text, None)]
    added = body("", "new#", 12)
    monkeypatch.delattr("hashlib.blake2b")
    moved = chunker.update(added + "\n" + text, None)[1:]
    assert [chunk.key for chunk in moved] == keys
