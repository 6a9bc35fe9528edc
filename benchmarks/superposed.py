"""Whether superposed decoding gives other lines worth showing for the passes of one line.

    python -m benchmarks.superposed --work FOLDER
    python -m benchmarks.superposed --work FOLDER --report

The lines of ``benchmarks.candidates``, three of each: one pass a token for all three, beside decoding
branch by branch, which continues the likeliest other tokens by themselves. Nothing but the end of the
line ends a text. Finished tasks are kept in the work folder; ``--report`` makes the result.
"""

from __future__ import annotations

import argparse
import ast
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

from benchmarks.candidates_asking import OpenPrompt, PromptBench, go_on, passes_ms, way_name
from benchmarks.candidates_rows import (
    Superposing,
    by_task,
    normalised,
    read_rows,
    right_at,
    run_tasks,
    truths,
)
from benchmarks.figures import Figure, mean_figure, share_figure, timing_figure
from benchmarks.kv_policies import use_threads
from benchmarks.results import write_result
from benchmarks.speculation_asking import BenchSettings
from benchmarks.speculation_report import ratio_of_sums, table_of
from benchmarks.speculation_tasks import WARM_UP, SpeculationTask, Workload, file_tasks
from benchmarks.superposed_decoding import (
    NgramShares,
    SuperposedDecoder,
    SuperposedLines,
    SuperposedParams,
)
from completion.decoding import GenerationParams
from completion.generation import GenerationHooks
from completion.speculation.ngrams import RepositoryNgrams
from completion.training.corpus import held_out_files
from completion.verbatim import VerbatimMonitor
from models.loader import load_model
from models.registry import DEFAULT_MODEL
from models.threads import in_own_thread

NUM_DRAFTS = 3
MAX_NUM_LINE_TOKENS = 48
NUM_REPOSITORY_FILES = 12
ONE = way_name(1, is_drafted=False)
BRANCHES, DRAFTED_BRANCHES = (
    way_name(NUM_DRAFTS, is_drafted=is_drafted) for is_drafted in (False, True)
)
BEAM = "beam"  # the same search, a row for each draft
# N-grams: none, some, as many as the authors; their temperature as well.
SEARCHES = {
    BEAM: SuperposedParams(NUM_DRAFTS, MAX_NUM_LINE_TOKENS, is_superposed=False),
    "superposed_without_ngrams": SuperposedParams(NUM_DRAFTS, MAX_NUM_LINE_TOKENS),
    "superposed_few_ngrams": SuperposedParams(NUM_DRAFTS, MAX_NUM_LINE_TOKENS, 0.2),
    "superposed": SuperposedParams(NUM_DRAFTS, MAX_NUM_LINE_TOKENS, 0.54),
    "superposed_sharp": SuperposedParams(NUM_DRAFTS, MAX_NUM_LINE_TOKENS, 0.54, 0.06),
}
WAYS = (ONE, BRANCHES, DRAFTED_BRANCHES, *SEARCHES)
NOTES = (
    "cost is the time of the passes over that for one greedy line without drafts, all tasks "
    "together, and cost_in_passes counts passes instead; the prompt is in the cache but for its "
    "last token. plain_3 and merged_3 continue three branches, without drafts and with them.",
    "alternatives: the share of lines that plain_3 finds as well, later_alternatives without the "
    "first line of each task; parses: the share of lines with which the document parses. Lines are "
    "compared without regard to blanks.",
    "n-grams of up to six tokens are counted in the prompt, and the repository's as the drafts of "
    "that name know them, from up to 12 other files of the folder. Counting is not timed, looking "
    "up is.",
    "beam is the same search with a row for each draft, so that each gets its own distribution.",
    "superposed_sharp divides logits by the temperature 0.06 of the authors' settings.",
)


def main() -> None:
    """Run what is missing, or report what is there."""
    arguments = _parse()
    num_threads = use_threads(arguments.threads)
    path = Path(arguments.work) / f"superposed-{arguments.model}.jsonl"
    if arguments.report:
        report(arguments, num_threads, path)
    else:
        run(arguments, path)


def run(arguments: argparse.Namespace, path: Path) -> None:
    """Measure tasks that are missing from ``path``, all ways of each in turn."""
    tasks = file_tasks(Workload.LINES, arguments.count, arguments.seed)
    done = {task[ONE].task_id for task in by_task(read_rows(Superposing, path), WAYS)}
    missing = [task for task in tasks if task.task_id not in done]
    if not missing:
        return
    model = in_own_thread(lambda: load_model(arguments.model))
    folder = Path(arguments.work) / "costs"
    num_rows = NUM_DRAFTS * MAX_NUM_LINE_TOKENS  # all drafts lie in one table
    settings = BenchSettings(arguments.prompt_tokens, num_rows, folder)
    bench = LineBench(PromptBench(model, settings, WAYS), arguments.seed)
    known = truths(tasks, arguments.seed)
    bench.measure(WARM_UP, "")
    finished = run_tasks(
        missing, lambda task: bench.measure(task, known[task.task_id]), path, arguments.seconds
    )
    for number, rows in enumerate(finished, start=1):
        shown = (f"{row.way} {row.passes_ms:.0f} ms/{row.num_passes}" for row in rows)
        print(f"{number} of {len(missing)}: {rows[0].task_id}", *shown, flush=True)


class LineBench:
    """Asks for lines in every way."""

    def __init__(self, bench: PromptBench, seed: int) -> None:
        self._bench, self._decoder, self._seed = bench, SuperposedDecoder(bench), seed
        self._stop_ids = bench.prompts.stop_ids

    def measure(self, task: SpeculationTask, truth: str) -> list[Superposing]:
        """Return what every way finds where ``truth`` is missing."""
        repository = RepositoryNgrams(self._bench.model.config.vocab_size)
        for text in _repository_texts(task, self._seed):
            repository.learn_text(self._bench.model.tokenizer.encode(text))
        with self._bench.opened(task) as opened:
            shares = NgramShares(opened.prompt.token_ids, repository)
            found = {
                way: self._asked(opened, way, shares)
                for way in random.Random(task.task_id).sample(WAYS, len(WAYS))
            }
        alternatives = found[BRANCHES].texts
        return [row_of(task, way, found[way], alternatives, truth) for way in WAYS]

    def _asked(self, opened: OpenPrompt, way: str, shares: NgramShares) -> SuperposedLines:
        if way in SEARCHES:
            return self._decoder.lines(opened, shares.of, SEARCHES[way])
        params = GenerationParams(
            MAX_NUM_LINE_TOKENS,
            self._stop_ids,
            num_candidates=1 if way == ONE else NUM_DRAFTS,
            is_one_line=True,
        )
        hooks = GenerationHooks(lambda: VerbatimMonitor(("\n",)), lambda _: 0, go_on)
        is_drafted = way == DRAFTED_BRANCHES
        found = self._bench.generate(opened, way, params, hooks, is_drafted=is_drafted)
        texts = tuple(candidate.text for candidate in found.candidates)
        num_passes = found.speculation.num_forward_passes + 1
        return SuperposedLines(texts, num_passes, passes_ms(found))


def row_of(
    task: SpeculationTask,
    way: str,
    found: SuperposedLines,
    alternatives: Sequence[str],
    truth: str,
) -> Superposing:
    """Return what is kept of the lines of a way; ``alternatives`` begin with the greedy line."""
    question, wanted = task.questions[0], set(map(normalised, alternatives))
    texts = found.texts
    before, after = question.text[: question.offset], question.text[question.offset :]
    return Superposing(
        task_id=task.task_id,
        way=way,
        num_found=len(texts),
        num_distinct=len(set(map(normalised, texts))),
        right_at=right_at(texts, truth),
        num_passes=found.num_passes,
        passes_ms=found.passes_ms,
        num_alternatives=sum(normalised(text) in wanted for text in texts),
        num_later_alternatives=sum(normalised(text) in wanted for text in texts[1:]),
        num_parsing=sum(_parses(before + text + after) for text in texts),
        is_first_greedy=normalised(texts[0]) == normalised(alternatives[0]),
    )


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return True


def _repository_texts(task: SpeculationTask, seed: int) -> list[str]:
    """Return other held-out files of the folder that the task's file lies in."""
    folder = task.path.rpartition("/")[0]
    paths = [
        path
        for path in _held_out(seed)
        if path.parent.name == folder and f"{folder}/{path.name}" != task.path
    ]
    chosen = paths[:NUM_REPOSITORY_FILES]
    return [path.read_text(encoding="utf-8", errors="replace") for path in chosen]


@lru_cache
def _held_out(seed: int) -> list[Path]:
    return held_out_files(seed)


def figures_of(rows: Sequence[Superposing]) -> list[Figure]:
    """Return the figures of all ways, of tasks that were asked in every one."""
    tasks = by_task(rows, WAYS)
    return [figure for way in WAYS for figure in _of_way(way, tasks)] if tasks else []


def _of_way(way: str, tasks: Sequence[Mapping[str, Superposing]]) -> list[Figure]:
    rows = [task[way] for task in tasks]
    milliseconds = [row.passes_ms for row in rows]
    one = [task[ONE].passes_ms for task in tasks]
    passes, passes_of_one = (
        [float(task[name].num_passes) for task in tasks] for name in (way, ONE)
    )
    num_lines, num_later = (
        sum(row.num_found for row in rows),
        sum(row.num_found - 1 for row in rows),
    )
    figures = [
        timing_figure(f"{way}_ms", milliseconds),
        mean_figure(f"{way}_passes", passes, ""),
        ratio_of_sums(f"{way}_cost_in_passes", passes, passes_of_one, "x"),
        ratio_of_sums(f"{way}_cost", milliseconds, one, "x"),
        share_figure(f"{way}_parses", sum(row.num_parsing for row in rows), num_lines),
        share_figure(f"{way}_first_right", sum(row.right_at == 0 for row in rows), len(rows)),
        share_figure(f"{way}_later_right", sum(bool(row.right_at) for row in rows), len(rows)),
        share_figure(f"{way}_first_greedy", sum(row.is_first_greedy for row in rows), len(rows)),
        mean_figure(f"{way}_distinct", [float(row.num_distinct) for row in rows], ""),
    ]
    if way == ONE:
        return figures
    shared = sum(row.num_alternatives for row in rows)
    later = sum(row.num_later_alternatives for row in rows)
    return [
        *figures,
        share_figure(f"{way}_alternatives", shared, num_lines),
        share_figure(f"{way}_later_alternatives", later, num_later),
    ]


def report(arguments: argparse.Namespace, num_threads: int, path: Path) -> None:
    """Print the figures of the rows in ``path``, and write the result."""
    figures = figures_of(read_rows(Superposing, path))
    print(*table_of(figures), sep="\n")
    if not arguments.dry_run:
        write_result(
            "superposed",
            figures,
            num_threads=num_threads,
            settings={
                "model": arguments.model,
                "seed": arguments.seed,
                "tasks": arguments.count,
                "drafts": NUM_DRAFTS,
                "max_num_prompt_tokens": arguments.prompt_tokens,
                "max_num_new_tokens": MAX_NUM_LINE_TOKENS,
                "searches": {way: asdict(params) for way, params in SEARCHES.items()},
            },
            notes=NOTES,
        )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for finished tasks")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--count", type=int, default=24, help="lines")
    parser.add_argument("--prompt-tokens", type=int, default=2048)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=86_400.0, help="begin no task after these")
    parser.add_argument("--report", action="store_true", help="only make the result")
    parser.add_argument("--dry-run", action="store_true", help="report, write no result")
    return parser.parse_args()


if __name__ == "__main__":
    main()
