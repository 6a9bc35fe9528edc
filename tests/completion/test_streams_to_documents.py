"""What a model streams, run-on and all, through stop rules and filters into the document.

``‸`` marks the cursor; the suggestion is shown between ``⟦`` and ``⟧`` in place of it, together with
whatever it replaces.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from completion.postprocess import PostprocessedText, postprocess
from completion.stopping import StopMonitor
from completion.strategy import choose_strategy
from completion.types import CompletionRequest

Ask = Callable[..., CompletionRequest]

CASES = [
    (
        "javascript",
        "function add(a, b) {\n  return ‸\n}\n",
        "a + b;\n}\n\nfunction sub(a, b) {\n",
        "function add(a, b) {\n  return ⟦a + b;⟧\n}\n",
    ),
    (
        "go",
        "func f() error {\n\tif err != nil {\n\t\t‸\n\t}\n\treturn nil\n}\n",
        "return err\n\t}\n\treturn nil\n}\n",
        "func f() error {\n\tif err != nil {\n\t\t⟦return err⟧\n\t}\n\treturn nil\n}\n",
    ),
    (
        "java",
        "class A {\n    int getX() {\n        ‸\n    }\n}\n",
        "return x;\n    }\n\n    void setX(int x) {\n        this.x = x;\n    }\n}\n",
        "class A {\n    int getX() {\n        ⟦return x;⟧\n    }\n}\n",
    ),
    (
        "rust",
        "fn main() {\n    for x in &v {\n        ‸\n    }\n}\n",
        'println!("{}", x);\n    }\n}\n\nfn other() {}\n',
        'fn main() {\n    for x in &v {\n        ⟦println!("{}", x);⟧\n    }\n}\n',
    ),
    (
        "typescript",
        "type A = {\n  a: string;\n  ‸\n};\n",
        "b: number;\n  c: boolean;\n};\n\n```\nThis code defines",
        "type A = {\n  a: string;\n  ⟦b: number;\n  c: boolean;⟧\n};\n",
    ),
    (
        "typescript",
        "if (a) {\n  b();\n‸\n",
        "} else {\n  c();\n}\nnext();\n",
        "if (a) {\n  b();\n⟦} else {\n  c();\n}⟧\n",
    ),
    (
        "cpp",
        "int sum(std::vector<int> v) {\n  int s = 0;\n  ‸\n  return s;\n}\n",
        "for (int x : v) {\n    s += x;\n  }\n  return s;\n}\n\nint main() {\n",
        "int sum(std::vector<int> v) {\n  int s = 0;\n  ⟦for (int x : v) {\n    s += x;\n  }⟧\n  return s;\n}\n",
    ),
    (
        "python",
        "def fact(n):\n    if n == 0:\n        return 1\n    return n * ‸\n",
        "fact(n - 1)\n\n\ndef fib(n):\n    pass\n",
        "def fact(n):\n    if n == 0:\n        return 1\n    return n * ⟦fact(n - 1)⟧\n",
    ),
    (
        "python",
        "def read(path):\n    with open(path) as ‸:\n        return f.read()\n",
        "f:\n        return f.read()\n\n# Example usage:\n",
        "def read(path):\n    with open(path) as ⟦f⟧:\n        return f.read()\n",
    ),
    (
        "python",
        "x = [i for i in range(‸)]\n",
        "10) if i % 2 == 0]\nprint(x)\n",
        "x = [i for i in range(⟦10) if i % 2 == 0]⟧\n",
    ),
    (
        "python",
        'print("‸")\n',
        'hello", end="")\nprint()\n',
        'print("⟦hello", end="")⟧\n',
    ),
]


@pytest.mark.parametrize("invoked", [False, True])
@pytest.mark.parametrize(("language_id", "marked", "stream", "expected"), CASES)
def test_a_run_on_stream_leaves_the_right_document(
    ask: Ask, language_id: str, marked: str, stream: str, expected: str, invoked: bool
) -> None:
    request = ask(marked, language_id, invoked=invoked)
    strategy = choose_strategy(request)
    monitor = StopMonitor(request, strategy)
    if not any(monitor.push(char) for char in stream):
        monitor.finish()
    result = postprocess(monitor.text, request, strategy)
    assert isinstance(result, PostprocessedText), result
    text = request.document.text
    shown = f"⟦{result.text}⟧"
    assert text[: result.replace_start] + shown + text[result.replace_end :] == expected
