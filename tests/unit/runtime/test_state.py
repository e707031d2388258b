from __future__ import annotations

from connectors.runtime.state import State, Status


def test_a_status_survives_its_record_and_shows_no_version() -> None:
    status = Status(State.FAILED, "w", "no cheese", "v1")
    assert Status.from_stored(status.stored()) == status
    assert status.to_json() == {"state": "FAILED", "worker_id": "w", "trace": "no cheese"}


def test_a_report_about_an_older_configuration_is_not_shown_as_the_present_state() -> None:
    failed = Status(State.FAILED, "w", "no cheese", "v1")
    assert failed.seen_from("v1") is failed
    assert failed.seen_from("v2").to_json() == {"state": "RESTARTING", "worker_id": "w"}
    waiting = Status(State.UNASSIGNED, "w", "waits for MySQL", "v1")
    assert waiting.seen_from("v2") is waiting
