"""What an edit costs, and what patching the cache instead of computing it again changes.

    python -m benchmarks.kv_edit --data FOLDER --cache FOLDER --work FOLDER

Real edits (``benchmarks.traces``) in seven categories; at each, seven ways of keeping a cache. Every
finished case is a line of a file in the work folder, so that a run can be interrupted, resumed, and
split over machines with ``--shard``. ``--report`` makes the result of what is there.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.kv_edit_report import report
from benchmarks.kv_policies import (
    CONTROL,
    LADDER,
    LAYOUT_ONLY,
    OTHER_LAYOUTS,
    OURS,
    VARIANTS,
    Measured,
    PolicyBench,
    Variant,
    use_threads,
)
from benchmarks.traces.case import EditCase, EditCategory
from benchmarks.traces.sources import edit_cases, load_sources
from completion.fim_format import Layout
from models.loader import load_model
from models.registry import DEFAULT_MODEL

SETS = {
    "policies": VARIANTS,
    "control": (CONTROL,),
    "layouts": OTHER_LAYOUTS,
    "ladder": LADDER,
    "line": (LAYOUT_ONLY, OURS),
}


def main() -> None:
    """Run what is missing, or report what is there."""
    arguments = _parse()
    if arguments.report:
        num_threads = use_threads(arguments.threads)
        report(read_rows(arguments.work), arguments.name, num_threads, arguments.precision)
        return
    num_threads = use_threads(arguments.threads)
    print(f"{num_threads} threads")
    done = {(row.case_id, row.num_context, row.variant) for row in read_rows(arguments.work)}
    model = load_model(arguments.model, precision=arguments.precision)
    model.decoder.pack()
    cases = list(_cases(arguments))
    for num_context in arguments.contexts:
        bench = PolicyBench(model, num_context)
        for number, case in enumerate(cases):
            for layout in Layout:
                wanted = [
                    variant
                    for variant in chosen_variants(arguments.sets)
                    if variant.layout is layout
                    and (case.case_id, num_context, variant.name) not in done
                ]
                if wanted:
                    _append(arguments.work, arguments.shard, bench.run(case, layout, wanted))
            print(f"{num_context}: {number + 1} of {len(cases)}", flush=True)


def chosen_variants(sets: Sequence[str]) -> tuple[Variant, ...]:
    """Return the variants of the sets of that name."""
    return tuple(variant for name in sets for variant in SETS[name])


def read_rows(work: Path) -> list[Measured]:
    """Return every finished measurement in the work folder."""
    return [
        Measured(**json.loads(line))
        for path in sorted(work.glob("kv_edit*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]


def _append(work: Path, shard: tuple[int, int], rows: Sequence[Measured]) -> None:
    work.mkdir(parents=True, exist_ok=True)
    with (work / f"kv_edit-{shard[0]}-of-{shard[1]}.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(row)) + "\n" for row in rows)


def _cases(arguments: argparse.Namespace) -> Iterator[EditCase]:
    """Yield this shard's cases, the categories in turn, so that any part of a run is balanced."""
    sources = load_sources(arguments.data, arguments.cache)
    index, count = arguments.shard
    of_category = [
        edit_cases(sources, EditCategory(name), seed=arguments.seed, count=arguments.count)
        for name in arguments.categories
    ]
    for row in range(max(map(len, of_category))):
        for cases in of_category:
            if row < len(cases) and row % count == index:
                yield cases[row]


def _shard(text: str) -> tuple[int, int]:
    index, _, count = text.partition("/")
    return int(index), int(count)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of the recorded edits")
    parser.add_argument("--cache", type=Path, help="folder for archives of releases")
    parser.add_argument("--work", type=Path, required=True, help="folder for finished cases")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--contexts", type=int, nargs="+", default=[2048])
    parser.add_argument("--categories", nargs="+", default=list(EditCategory))
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=["policies"])
    parser.add_argument("--count", type=int, default=60, help="cases of each category")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shard", type=_shard, default=(0, 1), metavar="INDEX/COUNT")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--name", default="kv_edit", help="of the result")
    parser.add_argument("--report", action="store_true", help="only make the result")
    return parser.parse_args()


if __name__ == "__main__":
    main()
