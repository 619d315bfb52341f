"""The schedule: order, jobs, limits, failure. Plans are written down directly; no stage is run."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from flows.graph import Plan, Stage
from flows.schedule import Schedule


def plan(**needs: str) -> Plan:
    """`plan(a="", b="a")`: b needs a; a name with an upper-case letter counts against the limit `gpu`."""
    return {
        name: Stage(name, tuple(wanted), ("never run",), ("gpu",) if name.isupper() else (), (), ())
        for name, wanted in needs.items()
    }


def test_starts_what_is_ready_in_the_order_of_the_plan() -> None:
    schedule = Schedule(plan(b="", a="", c="ab", d="b"), jobs=9, limits={})
    assert schedule.start() == ["b", "a"]
    assert schedule.start() == []
    schedule.end("b", succeeded=True)
    assert schedule.start() == ["d"]
    schedule.end("a", succeeded=True)
    assert schedule.start() == ["c"]


def test_a_limit_holds_back_only_what_names_it() -> None:
    schedule = Schedule(plan(A="", B="", c=""), jobs=9, limits={"gpu": 1})
    assert schedule.start() == ["A", "c"]
    schedule.end("A", succeeded=True)
    assert schedule.start() == ["B"]


def test_a_limit_nobody_set_holds_nothing_back() -> None:
    assert Schedule(plan(A="", B=""), jobs=9, limits={}).start() == ["A", "B"]


def test_after_a_failure_nothing_more_starts() -> None:
    schedule = Schedule(plan(a="", b="", c="b"), jobs=2, limits={})
    schedule.start()
    schedule.end("a", succeeded=False)
    schedule.end("b", succeeded=True)
    assert schedule.start() == []
    assert not schedule.running


def test_keep_going_leaves_out_what_depends_on_the_failure() -> None:
    schedule = Schedule(plan(a="", b="", c="a", d="b"), jobs=2, limits={}, keep_going=True)
    schedule.start()
    schedule.end("a", succeeded=False)
    schedule.end("b", succeeded=True)
    assert schedule.start() == ["d"]


@given(st.data())
def test_every_plan_is_run_whole_and_in_order(data: st.DataObject) -> None:
    """Any acyclic graph, any jobs and limits, any order of endings: each stage once, after all it needs."""
    names = "aBcDeFgH"[: data.draw(st.integers(1, 8))]
    needs = {
        name: "".join(data.draw(st.sets(st.sampled_from(names[:i] or "-"))) - {"-"}) for i, name in enumerate(names)
    }
    jobs = data.draw(st.integers(1, 4))
    schedule = Schedule(plan(**needs), jobs, {"gpu": data.draw(st.integers(1, 2))})
    done: list[str] = []
    while schedule.start() or schedule.running:
        assert len(schedule.running) <= jobs
        assert all(set(needs[name]) <= set(done) for name in schedule.running)
        ending = data.draw(st.sampled_from(sorted(schedule.running)))
        schedule.end(ending, succeeded=True)
        done.append(ending)
    assert sorted(done) == sorted(names)


def test_the_first_chain_is_finished_before_others_are_begun() -> None:
    """One job: a, then b, as their plan would be run by hand; the shorter of two chains comes first."""
    schedule = Schedule(plan(a="", c="a", b="", d="b"), 1, {}, seconds={"a": 1, "c": 9, "b": 1, "d": 2})
    assert run_in_order(schedule) == ["b", "d", "a", "c"]


def test_the_other_jobs_take_the_longest_way_first() -> None:
    seconds = {"a": 1, "b": 1, "c": 1, "d": 1, "e": 9, "f": 5}
    schedule = Schedule(plan(a="", b="", c="", d="a", e="b", f="c"), 2, {}, seconds=seconds)
    assert schedule.start() == ["a", "b"]
    schedule.end("b", succeeded=True)
    assert schedule.start() == ["e"]
    schedule.end("a", succeeded=True)
    assert schedule.start() == ["d"]


def test_a_stage_beside_the_way_is_no_first_result() -> None:
    schedule = Schedule(plan(check="", a="", b="a"), 1, {}, seconds={"check": 1, "a": 3, "b": 3})
    assert run_in_order(schedule) == ["a", "b", "check"]


def test_what_is_cached_is_no_first_result() -> None:
    schedule = Schedule(plan(a="", b="a", c="", d="c"), 1, {}, seconds={"a": 0, "b": 0, "c": 3, "d": 3})
    assert run_in_order(schedule) == ["c", "d", "a", "b"]


def test_after_the_failure_of_the_first_chain_the_next_is_the_first() -> None:
    seconds = {"a": 1, "b": 1, "c": 2, "d": 2, "e": 3, "f": 9}
    schedule = Schedule(plan(a="", b="a", c="", d="c", e="", f="e"), 1, {}, keep_going=True, seconds=seconds)
    assert schedule.start() == ["a"]
    schedule.end("a", succeeded=False)
    assert run_in_order(schedule) == ["c", "d", "e", "f"]


def test_what_only_comes_after_a_stage_starts_though_that_failed() -> None:
    ordered = plan(a="", b="")
    ordered["b"] = replace(ordered["b"], after=("a",))
    schedule = Schedule(ordered, 2, {}, keep_going=True)
    assert schedule.start() == ["a"]
    schedule.end("a", succeeded=False)
    assert schedule.start() == ["b"]


SYSTEMS = {"digits": 1, "reviews": 2, "corpus": 4, "stories": 3, "topics": 6, "assistant": 9}
STAGES = {"ingest": 5.0, "validate": 8.0, "tokenize": 4.0, "train": 20.0, "evaluate": 12.0, "register": 5.0}


def test_six_systems_on_two_cores_give_a_report_early_and_are_no_slower_as_a_whole() -> None:
    """The graph of the shipped pipeline; the order of the plan, as of a serial `dvc repro`, is what it is held against."""
    stages: dict[str, Stage] = {}
    for system in SYSTEMS:
        before: tuple[str, ...] = ()
        for stage in STAGES:
            stages[f"{stage}@{system}"] = Stage(f"{stage}@{system}", before, ("never run",), (), (), ())
            before = (f"{stage}@{system}",)
    by_stage = dict(sorted(stages.items(), key=lambda item: list(STAGES).index(item[0].partition("@")[0])))
    seconds = {address: STAGES[address.partition("@")[0]] for address in by_stage}
    seconds |= {f"train@{system}": 20.0 * size for system, size in SYSTEMS.items()}
    ends = simulated(Schedule(by_stage, 2, {}, seconds=seconds), seconds)
    breadth_first = simulated(Schedule(by_stage, 2, {}), seconds)
    alone = sum(seconds[f"{stage}@digits"] for stage in ("ingest", "validate", "tokenize", "train", "evaluate"))
    assert ends["evaluate@digits"] == alone
    assert max(ends.values()) <= max(breadth_first.values())
    assert max(ends.values()) <= 1.05 * sum(seconds.values()) / 2  # near what two cores can do at all


def run_in_order(schedule: Schedule) -> list[str]:
    """Run to the end; of those that run, the one that started first ends first."""
    order: list[str] = []
    queue: list[str] = []
    while started := (schedule.start() or queue):
        queue = started if started is queue else [*queue, *started]
        order.append(queue.pop(0))
        schedule.end(order[-1], succeeded=True)
    return order


def simulated(schedule: Schedule, seconds: dict[str, float]) -> dict[str, float]:
    """When each stage ends, in seconds, if each takes what was said."""
    now, ends = 0.0, dict[str, float]()
    while True:
        ends |= {address: now + seconds[address] for address in schedule.start()}
        if not schedule.running:
            return ends
        address = min(schedule.running, key=ends.__getitem__)
        now = ends[address]
        schedule.end(address, succeeded=True)
