from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from connectors.runtime.placement import Demand, place
from connectors.runtime.settings import Role
from connectors.runtime.store import Placement

ROLES: list[Role] = ["source", "sink", "all"]
kinds: st.SearchStrategy[Role] = st.sampled_from(ROLES[:2])
demands = st.lists(
    st.builds(Demand, st.text("abcdef", min_size=1, max_size=4), kinds, st.integers(0, 5)),
    unique_by=lambda demand: demand.name,
    max_size=8,
)
workers = st.dictionaries(st.sampled_from(["w1", "w2", "w3", "w4"]), st.sampled_from(ROLES), max_size=4)


@given(demands, workers)
def test_every_task_has_a_worker_of_its_role_within_one_of_the_others(
    wanted: list[Demand], alive: dict[str, Role]
) -> None:
    placed = place(wanted, alive, Placement())
    for kind in ("source", "sink"):
        able = [worker for worker, role in alive.items() if role in (kind, "all")]
        tasks = [f"{demand.name}-{n}" for demand in wanted if demand.kind == kind for n in range(demand.tasks)]
        homes = Counter(dict.fromkeys(able, 0))
        homes.update(placed.tasks[task] for task in tasks if task in placed.tasks)
        assert set(homes) == set(able)
        assert not able or sum(homes.values()) == len(tasks)
        assert not able or max(homes.values()) - min(homes.values()) <= 1


@given(demands, workers)
def test_a_second_look_changes_nothing(wanted: list[Demand], alive: dict[str, Role]) -> None:
    first = place(wanted, alive, Placement())
    assert place(wanted, alive, first) is first


def test_only_the_tasks_of_a_dead_worker_move() -> None:
    wanted = [Demand("a", "sink", 3), Demand("b", "sink", 3)]
    alive: dict[str, Role] = {"w1": "sink", "w2": "sink", "w3": "sink"}
    before = place(wanted, alive, Placement())
    after = place(wanted, {"w1": "sink", "w2": "sink"}, before)
    kept = {task for task, worker in before.tasks.items() if worker != "w3"}
    assert all(after.tasks[task] == before.tasks[task] for task in kept)
    assert after.epoch == before.epoch + 1
