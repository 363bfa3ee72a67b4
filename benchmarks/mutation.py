"""Do the tests notice when the code decides something else? Changed one thing at a time.

    python -m benchmarks.mutation                        all groups, a sample of each
    python -m benchmarks.mutation --group fold metrics --show
    python -m benchmarks.mutation --keep-killed          after tests were added

Needs the `mutation` dependency group. mutmut's operators change one thing in one of the modules
that decide (`mutationlab/groups.py`): a number, a comparison, an argument, a string. Tests of that
module that run the changed line are then run, the quick ones first, until one fails. A mutant that
none of them notices has survived: a test is missing, or the change is none, which
`results/<date>-mutation-equivalents.yaml` then says of it, with the reason.

The sample is fixed by a seed. A run that was stopped goes on where it was, if neither the package
nor the tests changed. The rows are kept in `--work`; results are written when every group is done.
Exit code 1 where a limit is missed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # a pool of threads does not survive a fork

from benchmarks.mutationlab.cover import Cover, Watch
from benchmarks.mutationlab.draw import Mutant, draw, find_mutants, named_mutants
from benchmarks.mutationlab.forks import Job, Outcome, in_forks, load_changed, run_hot, run_tests
from benchmarks.mutationlab.groups import GROUPS, ROOT, Group
from benchmarks.mutationlab.record import (
    Record,
    Tally,
    digest_of,
    read_equivalents,
    table,
    tally,
)

_HEAVY = ("numpy", "onnx", "onnxruntime", "PIL.Image", "pydantic", "torch", "yaml")
_RESULTS = ROOT / "benchmarks" / "results"
_EQUIVALENTS = _RESULTS / "2026-11-29-mutation-equivalents.yaml"
_LEAST_PCT, _LEAST_GROUP_PCT, _MOST_EQUIVALENT_PCT = 90.0, 80.0, 5.0
_LEAST_S, _TIMES_SLOWER = 30.0, 10.0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    names = [group.name for group in GROUPS]
    parser.add_argument("--group", nargs="+", default=names, choices=names)
    parser.add_argument("--per-group", type=int, default=36)
    parser.add_argument("--seed", type=int, default=12)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "mutation")
    parser.add_argument("--equivalents", type=Path, default=_EQUIVALENTS)
    parser.add_argument("--date", help="of the results; without it none are written")
    parser.add_argument("--keep-killed", action="store_true", help="run only what survived")
    parser.add_argument("--show", action="store_true", help="print what survived")
    options = parser.parse_args(arguments)
    os.chdir(ROOT)
    for name in _HEAVY:
        importlib.import_module(name)
    options.work.mkdir(parents=True, exist_ok=True)
    records = []
    for group in (one for one in GROUPS if one.name in options.group):
        _run_group(group, options)
        records.append(_record(group, options))
    return _conclude(records, options)


def _record(group: Group, options: argparse.Namespace) -> Record:
    return Record(options.work / f"{group.name.replace('/', '').replace(' ', '-')}.jsonl", group)


def _run_group(group: Group, options: argparse.Namespace) -> None:
    mutants = [one for path in group.modules() for one in find_mutants(path)]
    drawn = draw(mutants, options.per_group if group.sampled else 0, options.seed)
    drawn += [one for path in group.modules() for one in named_mutants(path)]
    state = digest_of([*group.modules(), *group.tests()])
    record = _record(group, options)
    todo = record.open(drawn, len(mutants), state, keep_killed=options.keep_killed)
    if not todo:
        return
    cover = _cover(group, record.path.with_suffix(f".{state[:12]}.cover.json"))
    jobs = [_job(mutant, cover) for mutant in todo]

    def same(job: Job, outcome: Outcome | None) -> None:
        if outcome is None or outcome.status != "survived":
            raise RuntimeError(
                f"{group.name}: without a change, {outcome} in {job.mutant.function}"
            )

    def done(job: Job, outcome: Outcome | None) -> None:
        if outcome is not None:
            record.add(job.mutant, outcome, state)

    at_import = _imported(cover)
    cold = [job for job in jobs if not job.mutant.swaps or at_import(job.mutant)]
    hot = [job for job in jobs if job not in cold]
    _in_a_fork(lambda: in_forks([_control(job) for job in cold[:1]], load_changed, 1, same))
    _in_a_fork(lambda: run_hot(group.tests(), [_control(job) for job in hot[:1]], 1, same))
    _in_a_fork(lambda: in_forks(cold, load_changed, options.jobs, done))
    _in_a_fork(lambda: run_hot(group.tests(), hot, options.jobs, done))
    left = [job for job in jobs if job.mutant.id not in record.known()]
    _in_a_fork(lambda: in_forks(left, load_changed, options.jobs, done))


def _cover(group: Group, path: Path) -> Cover:
    """Which test runs which lines, found in a fork that is not used for anything else."""
    if not path.is_file():
        _in_a_fork(lambda: _watch(group, path))
    return Cover.read(path)


def _watch(group: Group, path: Path) -> None:
    watch = Watch(ROOT, group.modules(), path.with_suffix(".coverage"))
    watch.start()
    run_tests([str(file) for file in group.tests()], watch)
    watch.finish().save(path)


def _in_a_fork(work: Callable[[], object]) -> None:
    """Do something whose imports do not stay."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            work()
            code = 0
        except Exception:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise SystemExit(1)


def _imported(cover: Cover) -> Callable[[Mutant], bool]:
    def runs(mutant: Mutant) -> bool:
        first, last = mutant.lines
        return any(first <= line <= last for line in cover.at_import.get(mutant.module, ()))

    return runs


def _control(job: Job) -> Job:
    return replace(job, mutant=job.mutant.unchanged())


def _job(mutant: Mutant, cover: Cover) -> Job:
    tests = cover.choose(mutant.module, mutant.lines, whole=not mutant.swaps)
    usual = sum(test.seconds for test in tests)
    return Job(mutant, tuple(tests), _LEAST_S + _TIMES_SLOWER * usual)


def _all(tallies: Sequence[Tally]) -> Tally:
    return Tally(
        "all",
        sum(one.of for one in tallies),
        sum(one.drawn for one in tallies),
        sum(one.killed for one in tallies),
        sum(one.equivalent for one in tallies),
        tuple(row for one in tallies for row in one.survivors),
    )


def _conclude(records: Sequence[Record], options: argparse.Namespace) -> int:
    equivalents = read_equivalents(options.equivalents)
    tallies = [tally(record, equivalents) for record in records]
    tallies.append(_all(tallies))
    print(table(tallies), end="")
    for one in tallies[-1].survivors if options.show else ():
        print(f"\n{one['id']} {one['module']}:{one['line']} {one['function']}")
        print(f"- {one['before']}\n+ {one['after']}")
    missed = list(_missed(tallies))
    print("\n".join(missed))
    if options.date is not None:
        if len(records) != len(GROUPS):
            raise SystemExit("results are of all groups")
        _write(tallies, missed, records, options)
    return 1 if missed else 0


def _missed(tallies: Sequence[Tally]) -> Iterator[str]:
    """What the limits are missed by."""
    for one in tallies:
        least = _LEAST_PCT if one is tallies[-1] else _LEAST_GROUP_PCT
        if one.score_pct < least:
            yield f"{one.group}: {one.score_pct:.1f} % killed, at least {least:g} % is asked for"
    whole = tallies[-1]
    if whole.equivalent > _MOST_EQUIVALENT_PCT / 100.0 * whole.drawn:
        yield f"{whole.equivalent} of {whole.drawn} are called equivalent, which is too many"
    for one in whole.survivors:
        if one["id"].startswith("named:"):
            yield f"{one['id']}: alive"


def _write(
    tallies: Sequence[Tally],
    missed: Sequence[str],
    records: Sequence[Record],
    options: argparse.Namespace,
) -> None:
    path = _RESULTS / f"{options.date}-mutation.json"
    equivalents = read_equivalents(options.equivalents)
    rows = [row for record in records for row in record.known().values()]
    document = {
        "seed": options.seed,
        "per_group": options.per_group,
        "tools": {name: version(name) for name in ("mutmut", "libcst", "coverage", "pytest")},
        "python": sys.version.split()[0],
        "missed": list(missed),
        "groups": [
            {**asdict(one), "score_pct": round(one.score_pct, 2), "survivors": len(one.survivors)}
            for one in tallies
        ],
        "alive": [_told(row, equivalents) for row in rows if row["status"] == "survived"],
        # Killed before a change of other code or tests, and not run again (`--keep-killed`).
        "kept": sum(record.kept() for record in records),
        "timeouts": [row["id"] for row in rows if row["status"] == "timeout"],
    }
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(table(tallies), encoding="utf-8")


def _told(row: Mapping[str, Any], equivalents: Mapping[str, str]) -> dict[str, Any]:
    """A mutant that no test noticed, and why not, where that is known."""
    kept = {name: row[name] for name in ("id", "module", "line", "function", "before", "after")}
    return kept | ({"equivalent": equivalents[row["id"]]} if row["id"] in equivalents else {})


if __name__ == "__main__":
    raise SystemExit(main())
