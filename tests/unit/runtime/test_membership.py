from __future__ import annotations

from dataclasses import replace

from aiokafka.consumer.group_coordinator import GroupCoordinator

from connectors.runtime.membership import Members, _MembersAssignor
from connectors.runtime.rest_settings import RestSettings
from tests.unit.runtime.fakes import SETTINGS


def test_every_member_learns_all_members_and_the_leader() -> None:
    seen: list[Members] = []
    leader = _MembersAssignor(SETTINGS, seen.append)
    other = _MembersAssignor(replace(SETTINGS, worker_id="v", role="sink", rest=RestSettings(port=9)), seen.append)
    assignments = leader.assign(None, {"m1": leader.metadata(["t"]), "m2": other.metadata(["t"])})
    leader.on_assignment(assignments["m1"])
    other.on_assignment(assignments["m2"])
    assert seen[0] == seen[1]
    assert seen[0].leader == "w"
    assert seen[0].roles == {"w": "all", "v": "sink"}
    assert seen[0].urls["v"] == "http://127.0.0.1:9"


def test_what_is_wrapped_of_aiokafka_is_still_there() -> None:
    assert hasattr(GroupCoordinator, "_do_heartbeat")
    assert hasattr(GroupCoordinator, "_maybe_leave_group")
