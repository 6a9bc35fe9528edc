"""Typing in long files, once with fimble and once with llama.cpp as llama.vim drives it.

    python -m benchmarks.head_to_head --data FOLDER --cache FOLDER --work FOLDER
                                      --llama-server PATH --gguf PATH... --threads N
    python -m benchmarks.head_to_head --work FOLDER --report

With ``--show-all`` fimble shows lines that it thinks unlikely, too, as the plugin shows whatever the
model wrote; that is another work folder and, with ``--name``, another result.

Stretches of real keystrokes in Python, TypeScript and Rust, each replayed on one side after the
other by its own schedule: the same weights, threads and machine, and a server for each replay that
has read the file before. Every finished replay is a line of a file in the work folder, so that a run
can be interrupted and resumed. ``--report`` makes the result of what is there.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path

from gguf import GGUFReader, LlamaFileType

from benchmarks.head_to_head_fimble import replay_fimble
from benchmarks.head_to_head_llama import replay_llama
from benchmarks.head_to_head_report import NOTES, OURS, complete_stretches, figures_of
from benchmarks.head_to_head_schedule import MAX_PAUSE_MS, MIN_PAUSE_MS, Language, Stretch
from benchmarks.head_to_head_scores import Replay, Side, append_replay, read_replays
from benchmarks.head_to_head_servers import behind_daemon, standalone
from benchmarks.head_to_head_stretches import MIN_NUM_LINES, NUM_KEYS, stretches
from benchmarks.llama_server import RECOMMENDED_FLAGS, LlamaServer
from benchmarks.results import write_result
from benchmarks.traces.sources import load_sources

VENDORED_IN = {"0c1e57098": "as in llama-cpp-python 0.3.36"}  # by llama.cpp's commit
LLAMA_SEED = 0  # of the sampling, which the plugin leaves to chance

Run = Callable[[Stretch], Replay]


class Door(StrEnum):
    """How fimble is started: with the model in the process, or before a daemon."""

    STANDALONE = "standalone"
    DAEMON = "daemon"


def run_fimble(stretch: Stretch, door: Door, side: Side, settings: Mapping[str, str]) -> Replay:
    """Return the replay of ``stretch`` on a server of its own, with ``settings`` as variables."""
    start = standalone if door is Door.STANDALONE else behind_daemon

    async def replay() -> Replay:
        async with start(side.num_threads, settings) as server:
            return await replay_fimble(stretch, server, side)

    return asyncio.run(replay())


def run_llama(stretch: Stretch, binary: Path, model: Path, side: Side) -> Replay:
    """Return the replay of ``stretch`` on a server of its own."""
    with LlamaServer(binary, model, side.num_threads, seed=LLAMA_SEED) as server:
        return replay_llama(stretch, server, side)


def sides_of(arguments: argparse.Namespace) -> dict[str, Run]:
    """Return what replays a stretch on each side; a rival is called after its quantisation."""
    num_threads, binary, door = arguments.threads, arguments.llama_server, arguments.door
    served_by = f"{door}, unlikely lines too" if arguments.show_all else str(door)
    ours = Side(OURS, served_by, num_threads)
    settings = {"ENGINE_MIN_CONFIDENCE": "0"} if arguments.show_all else {}
    run_ours = functools.partial(run_fimble, door=door, side=ours, settings=settings)
    sides: dict[str, Run] = {OURS: run_ours}
    for model in arguments.gguf:
        side = Side(f"llama_{quantisation_of(model)}", version_of(binary), num_threads)
        sides[side.name] = functools.partial(run_llama, binary=binary, model=model, side=side)
    return sides


def quantisation_of(model: Path) -> str:
    """Return what a GGUF file calls its quantisation, such as ``q4_k_m``."""
    kind = GGUFReader(model).fields["general.file_type"].contents()
    return LlamaFileType(int(kind)).name.removeprefix("MOSTLY_").lower()


def in_turn(sides: Sequence[str], number: int) -> list[str]:
    """Return the sides in the order of stretch ``number``: each is first as often as any other."""
    first = number % len(sides)
    return [*sides[first:], *sides[:first]]


def chosen_stretches(arguments: argparse.Namespace) -> list[Stretch]:
    """Return the stretches to replay, the languages in turn, so that any part is balanced."""
    sources = load_sources(arguments.data, arguments.cache)
    of_language = [
        stretches(
            sources,
            language,
            count=arguments.stretches,
            num_keys=arguments.keys,
            seed=arguments.seed,
        )
        for language in arguments.languages
    ]
    rows = range(max(map(len, of_language)))
    return [found[row] for row in rows for found in of_language if row < len(found)]


def replay_missing(arguments: argparse.Namespace) -> None:
    """Replay each chosen stretch on each side that has not done so yet."""
    done = {(replay.stretch_id, replay.side.name) for replay in read_replays(arguments.work)}
    sides = sides_of(arguments)
    for number, stretch in enumerate(chosen_stretches(arguments)):
        for side in in_turn(list(sides), number):
            if (stretch.stretch_id, side) in done:
                continue
            started = time.monotonic()
            replay = sides[side](stretch)
            append_replay(arguments.work, replay)
            num_shown = sum(key.ms is not None for key in replay.keys)
            took_s = time.monotonic() - started
            print(
                f"{stretch.stretch_id} {side}: {num_shown} of {len(replay.keys)} keys, {took_s:.0f} s",
                flush=True,
            )


def list_stretches(arguments: argparse.Namespace) -> None:
    """Print what would be replayed."""
    for stretch in chosen_stretches(arguments):
        last = stretch.steps[-1]
        kind = "with a jump" if stretch.has_jump else "in one place"
        seconds = (last.at_ms + last.pause_ms) / 1000
        print(f"{stretch.stretch_id}: {stretch.num_keys} keys, {seconds:.0f} s, {kind}")


def report(arguments: argparse.Namespace) -> None:
    """Print the figures of what is there, and write the result unless that is only tried."""
    replays = read_replays(arguments.work)
    figures = figures_of(replays)
    for figure in figures:
        bounds = f"[{figure.low:.4g}, {figure.high:.4g}]"
        print(f"{figure.name:48} {figure.value:9.4g} {figure.unit:10} {bounds} n={figure.n}")
    if arguments.dry_run:
        return
    sides = {replay.side for replay in replays}
    numbers = {side.num_threads for side in sides}
    if len(numbers) != 1 or len({side.name for side in sides}) != len(sides):
        raise ValueError(
            f"replays of different runs lie together: {sorted(map(str, sides))}; "
            "use a work folder for each number of threads and each way to serve"
        )
    complete = complete_stretches(replays)
    path = write_result(
        arguments.name,
        figures,
        num_threads=numbers.pop(),
        settings={
            "model": "default, and the same GGUF in llama.cpp",
            "served_by": {side.name: side.served_by for side in sides},
            "stretches": [found[OURS].stretch_id for found in complete],
            "min_num_lines": MIN_NUM_LINES,
            "pauses_ms": [MIN_PAUSE_MS, MAX_PAUSE_MS],
            "llama_flags": list(RECOMMENDED_FLAGS),
            "llama_seed": LLAMA_SEED,
        },
        notes=NOTES,
    )
    print(f"{path.name}: {len(complete)} stretches")


def version_of(binary: Path) -> str:
    """Return what a llama-server says it was built from."""
    done = subprocess.run([str(binary), "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"version: (.+)", done.stdout + done.stderr)
    version = found.group(1) if found else "unknown"
    vendored_in = [name for commit, name in VENDORED_IN.items() if commit in version]
    return ", ".join([f"llama.cpp {version}", *vendored_in])


def parse_options(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.head_to_head", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--data", type=Path, help="folder with the recordings")
    parser.add_argument("--cache", type=Path, help="folder for archives of releases")
    parser.add_argument("--work", type=Path, required=True, help="folder for finished replays")
    parser.add_argument("--llama-server", type=Path, help="llama.cpp's server")
    parser.add_argument("--gguf", type=Path, nargs="+", default=[], help="the model, quantised")
    parser.add_argument("--languages", type=Language, nargs="+", default=list(Language))
    parser.add_argument("--stretches", type=int, default=4, help="for each language")
    parser.add_argument("--keys", type=int, default=NUM_KEYS, help="of each stretch")
    parser.add_argument("--threads", type=int, default=2, help="of each server")
    parser.add_argument(
        "--door", type=Door, choices=list(Door), default=Door.STANDALONE,
        help="how fimble is started; a daemon also counts the tokens it computes ahead",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show-all", action="store_true", help="unlikely lines of fimble, too")
    parser.add_argument("--name", default="head_to_head", help="of the result")
    parser.add_argument("--report", action="store_true", help="only make the result")
    parser.add_argument(
        "--dry-run", action="store_true", help="print the stretches, or the figures; write nothing"
    )
    options = parser.parse_args(argv)
    if not options.report and (options.data is None or options.cache is None):
        parser.error("--data and --cache are missing: the keystrokes to replay")
    if options.gguf and options.llama_server is None:
        parser.error("--llama-server is missing: what runs the files of --gguf")
    return options


def main() -> None:
    """Replay what is missing, or report what is there."""
    options = parse_options()
    if options.report:
        report(options)
    elif options.dry_run:
        list_stretches(options)
    else:
        replay_missing(options)


if __name__ == "__main__":
    main()
