"""Counts the cases that can be made.

    python -m benchmarks.traces --data FOLDER --cache FOLDER --summary

``--show CATEGORY`` prints some cases with the lines around the cursor instead.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.traces.case import EditCase, EditCategory
from benchmarks.traces.sources import MIN_NUM_CHARS, edit_cases, load_sources

NUM_LINES_AROUND = 3


def parse_options() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.traces", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the recordings")
    parser.add_argument("--cache", type=Path, required=True, help="folder for fetched archives")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--summary", action="store_true", help="count cases of each category")
    what.add_argument("--show", type=EditCategory, choices=list(EditCategory))
    parser.add_argument("--count", type=int, default=200, help="cases wanted of a category")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--min-num-chars", type=int, default=MIN_NUM_CHARS)
    return parser.parse_args()


def main() -> None:
    """Print a line for each category, or the cases of one."""
    options = parse_options()
    sources = load_sources(options.data, options.cache)
    for category in [options.show] if options.show else EditCategory:
        cases = edit_cases(
            sources,
            category,
            seed=options.seed,
            count=options.count,
            min_num_chars=options.min_num_chars,
        )
        if options.show:
            print("\n".join(map(_picture, cases)))
        else:
            print(_summary(category, cases))


def _summary(category: EditCategory, cases: Sequence[EditCase]) -> str:
    num_files = len({(case.origin, case.path) for case in cases})
    origins = Counter(str(case.origin) for case in cases)
    languages = Counter(case.language_id for case in cases)
    shares = "  ".join(
        f"{name} {num}" for counts in (origins, languages) for name, num in counts.most_common()
    )
    return f"{category:12} {len(cases):4} in {num_files:3} files  {shares}"


def _picture(case: EditCase) -> str:
    before = case.after[: case.cursor_after].split("\n")[-NUM_LINES_AROUND - 1 :]
    after = case.after[case.cursor_after :].split("\n")[: NUM_LINES_AROUND + 1]
    return "\n".join(
        [
            f"== {case.case_id}  {case.origin}, {case.distance_lines} lines away",
            *[f"   {edit.start}:{edit.end} {edit.inserted[:100]!r}" for edit in case.edits],
            *before[:-1],
            f"{before[-1]}«{case.truth}»{after[0]}",
            *after[1:],
        ]
    )


if __name__ == "__main__":
    main()
