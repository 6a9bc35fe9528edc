"""Ten holes whose right answer is certain, filled by the real model in one process."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from completion.types import Suggestion
from lsp_server.api import Completer

pytestmark = [pytest.mark.e2e, pytest.mark.weights]

# The removed text stands between the marks.
HOLES = {
    "python, an expression": '''\
def is_even(number: int) -> bool:
    """Return whether a number is even."""
    return «number % 2 == 0»


assert is_even(4) and not is_even(7)
''',
    "python, inside brackets": """\
from dataclasses import dataclass


@dataclass
class Point:
    x: float
    y: float

    def __add__(self, other: "Point") -> "Point":
        return Point(self.x + other.x, «self.y + other.y»)

    def __sub__(self, other: "Point") -> "Point":
        return Point(self.x - other.x, self.y - other.y)
""",
    "typescript": """\
interface Size {
  width: number;
  height: number;
}

export function area(size: Size): number {
  return size.width * «size.height»;
}
""",
    "javascript": """\
export class Queue {
  constructor() {
    this.items = [];
  }

  enqueue(item) {
    this.items.push(item);
  }

  dequeue() {
    return this.items.«shift();»
  }

  get length() {
    return this.items.length;
  }
}
""",
    "go, returning an error": """\
package store

import "os"

func ReadAll(path string) ([]byte, error) {
\tdata, err := os.ReadFile(path)
\tif err != nil {
\t\treturn «nil, err»
\t}
\treturn data, nil
}
""",
    "go, a sibling's pattern": """\
package shapes

type Rectangle struct {
\tWidth, Height float64
}

func (r Rectangle) Perimeter() float64 {
\treturn 2 * (r.Width + r.Height)
}

func (r Rectangle) Area() float64 {
\treturn «r.Width * r.Height»
}
""",
    "java": """\
public final class Person {
    private final String name;
    private final int age;

    public Person(String name, int age) {
        this.name = name;
        this.age = «age;»
    }
}
""",
    "rust": """\
pub fn is_leap_year(year: u32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || «year % 400 == 0»)
}
""",
    "c": """\
void swap(int *a, int *b)
{
    int temporary = *a;
    *a = *b;
    «*b = temporary;»
}
""",
    "cpp": """\
#include <algorithm>
#include <vector>

void sort_descending(std::vector<int>& values) {
    std::sort(values.begin(), «values.end()», std::greater<int>());
}
""",
}


@pytest.fixture(scope="module")
def completer() -> Iterator[Completer]:
    with Completer() as loaded:
        yield loaded


def words(text: str) -> list[str]:
    """Split at white space, which the model may set otherwise."""
    return text.split()


@pytest.mark.parametrize("hole", HOLES)
def test_a_certain_hole_is_filled_with_what_was_there(completer: Completer, hole: str) -> None:
    prefix, rest = HOLES[hole].split("«")
    removed, suffix = rest.split("»")
    language = hole.partition(",")[0]
    outcome = completer.complete_text(prefix, suffix, language_id=language)
    assert isinstance(outcome, Suggestion), outcome
    cut = prefix + suffix
    accepted = cut[: outcome.replace_start] + outcome.text + cut[outcome.replace_end :]
    assert words(accepted) == words(prefix + removed + suffix), outcome.text
    first = outcome.candidates[0]
    assert math.exp(first.logprob / first.num_tokens) > 0.8, "too close a call to be called certain"
