"""The schedule: order, jobs, limits, failure. Plans are written down directly; no stage is run."""

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
