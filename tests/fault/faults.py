"""The faults that the tests make, and the table of them in the reference.

`python -m pytest tests/fault tests/e2e/test_deploy.py tests/unit/sources tests/unit/training --faults-table` writes the
table from what it has run; with `--every-point` faults hit at every point, and not at a sample.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/reference/faults.md"
HEAD = """# Faults and their tests

What happens to a project whose processes, disks, clock and servers fail. After each fault nothing is half taken, no process
is left over, and the next run ends as if there had been none. Written by the tests; `tests/fault/faults.py` says how. The last
column tells at how many points the fault was made when the table was last written.

| fault | hits | afterwards | tests | held at |
| --- | --- | --- | --- | --- |
"""
SEEN = re.compile(r"^\| ([^|]+) \| ([^|]+) \| .* \| ([^|]+) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Fault:
    """One row of the table."""

    name: str
    hits: str
    after: str
    tests: tuple[str, ...]
    """`file::function`, in the folder of the tests."""


RESUMES = "the next run resumes: same weights, same curve"
AGAIN = "the next try finishes it: one version, all of it"
DECIDED = "the next try finishes it: one decision, in log, file and alias"
BOTH = "one line, and the next try finishes it"
TRAINING, REGISTRATION, PROMOTION = (
    f"fault/test_{name}_killed.py" for name in ("training", "registration", "promotion")
)
FLOW, SERVICE, STORAGE = (f"fault/test_{name}.py" for name in ("flow_stops", "service_survives", "storage_fails"))
CLOCK, TWO, WIRE = (f"fault/test_{name}.py" for name in ("clock_jumps", "two_at_once", "connections_fail"))
DEPLOY, FETCH, CHECKPOINT = (
    "e2e/test_deploy.py",
    "unit/sources/test_fetch.py",
    "unit/training/test_damaged_checkpoint.py",
)
FAULTS = (
    Fault(
        "SIGKILL",
        "a training",
        RESUMES,
        (f"{TRAINING}::test_a_killed_training_ends_in_the_same_weights_and_curve_in_the_same_run",),
    ),
    Fault("SIGTERM, SIGINT", "a training", RESUMES, (f"{TRAINING}::test_a_training_ended_by_another_signal_resumes",)),
    Fault("SIGKILL", "a registration", AGAIN, (f"{REGISTRATION}::test_killed_between_two_steps",)),
    Fault("SIGTERM, SIGINT", "a registration", AGAIN, (f"{REGISTRATION}::test_ended_by_another_signal",)),
    Fault("SIGKILL", "a promotion", DECIDED, (f"{PROMOTION}::test_killed_between_two_steps",)),
    Fault("SIGTERM, SIGINT", "a promotion", DECIDED, (f"{PROMOTION}::test_ended_by_another_signal",)),
    Fault(
        "SIGTERM, SIGINT, SIGKILL",
        "a flow",
        "its stages end with it; the next run does what is not done",
        (f"{FLOW}::test_ending_the_flow_ends_its_stages", f"{FLOW}::test_ending_a_flow_without_a_server"),
    ),
    Fault(
        "SIGKILL",
        "a stage, or the shell of its command",
        "it is tried again, alone",
        (
            f"{FLOW}::test_a_stage_whose_processes_are_killed_is_done_again",
            f"{FLOW}::test_nothing_of_a_killed_stage_runs_on_beside_its_retry",
        ),
    ),
    Fault(
        "SIGKILL",
        "a flow or its stages, at any moment",
        "the next run ends as if there had been none, `dvc.lock` too",
        ("fault/test_flow_killed.py::test_after_a_kill_the_next_run_ends_as_if_there_had_been_none",),
    ),
    Fault("a press on Cancel", "a flow", "its stages end", (f"{FLOW}::test_cancelling_on_the_page",)),
    Fault(
        "SIGKILL",
        "a worker",
        "its run is found dead, and another one goes on",
        (f"{DEPLOY}::test_a_dead_worker_is_noticed_and_another_goes_on",),
    ),
    Fault(
        "SIGINT",
        "`make deploy`",
        "worker, runs and stages end",
        (f"{DEPLOY}::test_ctrl_c_ends_the_worker_and_the_runs",),
    ),
    Fault(
        "SIGTERM",
        "the service, at work",
        "it ends in seconds",
        tuple(
            f"{SERVICE}::test_{name}"
            for name in (
                "shutdown_does_not_wait_for_a_file_that_hangs",
                "shutdown_does_not_wait_for_long_work",
                "shutdown_does_not_wait_for_a_body_that_never_comes",
                "a_comparison_that_never_ends_is_given_up",
            )
        ),
    ),
    Fault(
        "an exception beside a request",
        "the service",
        "it is told on `/health`, and ends nothing",
        tuple(
            f"{SERVICE}::test_{name}"
            for name in (
                "a_surrogate_in_an_unknown_column_ends_no_recording",
                "any_exception_beside_a_request_is_kept_and_told",
                "a_version_without_a_tag_is_told_and_the_alias_still_followed",
                "the_same_trouble_is_logged_once",
            )
        ),
    ),
    Fault(
        "a full disk, or one that refuses",
        "a download",
        "one line, and nothing is left",
        (
            f"{FETCH}::test_a_full_disk_is_one_clear_line",
            f"{FETCH}::test_a_file_that_cannot_be_written_is_one_clear_line",
        ),
    ),
    Fault("a full disk", "a registration, a promotion", BOTH, (f"{STORAGE}::test_a_full_disk",)),
    Fault("a quota", "a registration, a promotion", BOTH, (f"{STORAGE}::test_a_quota",)),
    Fault("a read-only folder", "a registration, a promotion", BOTH, (f"{STORAGE}::test_a_read_only_folder",)),
    Fault(
        "a flipped byte",
        "a checkpoint, also one that was cut",
        "a line, and the training starts again",
        (f"{CHECKPOINT}::test_a_damaged_one_is_removed", f"{CHECKPOINT}::test_one_that_was_cut_is_removed"),
    ),
    Fault(
        "a flipped byte",
        "the best weights of a killed training",
        "one line that tells what to remove",
        (f"{CHECKPOINT}::test_damaged_best_weights_are_told",),
    ),
    Fault(
        "a flipped byte",
        "a shard, the weights of a stage",
        "DVC brings them back",
        (f"{TRAINING}::test_a_flipped_byte_in_a_shard_and_in_the_weights",),
    ),
    Fault(
        "a flipped byte", "a registered version", "nothing reads it", (f"{STORAGE}::test_a_flipped_byte_in_a_version",)
    ),
    Fault("a flipped byte", "the decision log", "the audit tells", (f"{STORAGE}::test_a_flipped_byte_in_the_log",)),
    Fault(
        "a flipped byte",
        "the cache of downloads",
        "it is brought again",
        (f"{FETCH}::test_projects_share_the_cache_and_a_damaged_copy_in_it_is_replaced",),
    ),
    Fault(
        "a clock that jumps back",
        "a killed registration, a killed promotion",
        BOTH,
        (f"{CLOCK}::test_a_registration", f"{CLOCK}::test_a_promotion"),
    ),
    Fault("a lost server", "MLflow's, in a registration", BOTH, (f"{WIRE}::test_the_tracking_server_is_lost",)),
    Fault(
        "a connection that is cut, in an upload as well",
        "MLflow's server, in a registration",
        BOTH,
        (f"{WIRE}::test_the_connection_to_the_tracking_server_is_cut",),
    ),
    Fault("a slow server", "MLflow's, in a registration", AGAIN, (f"{WIRE}::test_the_tracking_server_is_slow",)),
    Fault(
        "SIGKILL, and a new start",
        "MLflow's server, in a registration",
        BOTH,
        (f"{WIRE}::test_the_tracking_server_is_killed_and_started_again",),
    ),
    Fault(
        "PostgreSQL that is lost, cut and slow",
        "a promotion",
        DECIDED,
        (f"{WIRE}::test_postgresql_is_lost_cut_and_slow",),
    ),
    Fault(
        "SIGKILL",
        "Prefect's server, in a run",
        "one line; the next run does not do again what was done",
        (f"{FLOW}::test_the_server_is_killed_and_the_next_run_goes_on",),
    ),
    Fault(
        "a connection that is cut",
        "a download",
        "it is taken up where it broke",
        (
            f"{FETCH}::test_a_broken_connection_is_taken_up_where_it_broke",
            f"{FETCH}::test_a_killed_download_is_taken_up",
            f"{FETCH}::test_a_server_that_cannot_resume_starts_over",
        ),
    ),
    Fault(
        "a cut download, a missing key",
        "an object store (S3)",
        "it is taken up; one line",
        (f"{FETCH}::test_s3_is_resumed_and_a_missing_key_is_reported",),
    ),
    Fault("two at once", "registrations", AGAIN, (f"{TWO}::test_two_registrations",)),
    Fault(
        "twenty at once",
        "promotions, in SQLite and PostgreSQL",
        "one wins",
        (
            f"{PROMOTION}::test_of_twenty_at_once_one_wins",
            f"{PROMOTION}::test_of_twenty_at_once_one_wins_in_postgresql",
        ),
    ),
    Fault(
        "two at once",
        "flows and `dvc repro`",
        "they wait for each other",
        (
            f"{FLOW}::test_the_lock_of_another_process_is_waited_for",
            f"{FLOW}::test_a_stage_that_another_process_runs_is_waited_for",
        ),
    ),
    Fault("two at once", "downloads", "one downloads", (f"{FETCH}::test_two_at_once_download_once",)),
)


def page(held: Mapping[tuple[str, str], str]) -> str:
    """Return the page: a row for each fault, with what was seen of it, by its name and what it hits."""
    return HEAD + "".join(_row(fault, held.get((fault.name, fault.hits), "not counted yet")) for fault in FAULTS)


def seen(text: str) -> dict[tuple[str, str], str]:
    """Return what a page tells of each fault, by its name and what it hits."""
    rows = {(name, hits): held for name, hits, held in SEEN.findall(text)}
    return {key: held for key, held in rows.items() if key not in {("fault", "hits"), ("---", "---")}}


def outcomes(reports: Mapping[str, Sequence[str]]) -> dict[tuple[str, str], str]:
    """Return what was seen of the faults whose tests were run.

    Args:
        reports: outcomes of each test, `passed`, `skipped` or `failed`, by `file::function`.
    """
    found = {}
    for fault in FAULTS:
        ends = [end for test in fault.tests for end in reports.get(test, ())]
        if ends and "failed" in ends:
            found[fault.name, fault.hits] = "NOT HELD"
        elif "passed" in ends:
            found[fault.name, fault.hits] = f"{ends.count('passed')} of {len(ends)} points"
    return found


def _row(fault: Fault, held: str) -> str:
    names = ", ".join(f"`{test.split('::')[1]}`" for test in fault.tests)
    return f"| {fault.name} | {fault.hits} | {fault.after} | {names} | {held} |\n"
