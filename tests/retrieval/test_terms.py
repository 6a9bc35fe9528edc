"""Terms against a table of names, and against what they promise for any text."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.terms import MAX_NAME_LENGTH, term_hash, terms_of, terms_of_name

NAMES = {
    "token": ["token"],
    "TOKEN": ["token"],
    "parse_config": ["parse_config", "parse", "config"],
    "MAX_NUM_LINES": ["max_num_lines", "max", "num", "lines"],
    "parseHTTPHeader2": ["parsehttpheader2", "parse", "http", "header"],
    "sha256": ["sha256", "sha", "256"],
    "__init__": ["__init__", "init"],
    "iPhone": ["iphone", "phone"],
    "x": [],
    "_": [],
    "___": [],
    "_x": ["_x"],
    "größeÄndern": ["größeändern", "größe", "ändern"],
    "ΣύνολοΤιμών": ["σύνολοτιμών", "σύνολο", "τιμών"],
    "数据": ["数据"],
    "x²y": ["x²y"],
    "a" * MAX_NAME_LENGTH: ["a" * MAX_NAME_LENGTH],
    "a" * (MAX_NAME_LENGTH + 1): [],
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_yields_itself_and_its_parts(name: str) -> None:
    assert list(terms_of_name(name)) == NAMES[name]


TEXTS = {
    "": [],
    "42 + 0x1F": [],
    "a.fooBar(foo)": ["foobar", "foo", "bar", "foo"],
    "foo\r\nfoo\x00bar\tfoo": ["foo", "foo", "bar", "foo"],
    "foo\udc80bar": ["foo", "bar"],
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_yields_the_terms_of_its_names_in_order(text: str) -> None:
    assert terms_of(text) == TEXTS[text]


@given(st.text())
def test_terms_are_lower_case_and_not_single_characters(text: str) -> None:
    for term in terms_of(text):
        assert term == term.lower()
        assert len(term) > 1


def test_a_megabyte_without_a_gap_is_no_name() -> None:
    assert terms_of("prefix = " + "aB" * 500_000) == ["prefix"]


def test_hashes_are_the_same_in_another_process() -> None:
    script = "from retrieval.terms import term_hash; print(term_hash('größe'))"
    answered = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert int(answered) == term_hash("größe")


def test_hashes_have_64_bits_and_differ() -> None:
    hashes = {term_hash(f"name{number}") for number in range(1000)}
    assert len(hashes) == 1000
    assert 1 << 63 < max(hashes) < 1 << 64
