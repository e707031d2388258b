"""What may be committed; the cases in which Faust 0.15.3 loses data among them."""

from __future__ import annotations

import random

import pytest

from agents.ledger import Ledger


def ledger(*offsets: int, finished: tuple[int, ...] = ()) -> Ledger[str]:
    made: Ledger[str] = Ledger()
    for offset in offsets:
        assert made.accept(offset, f"request {offset}")
    for offset in finished:
        made.finish(offset)
    return made


@pytest.mark.parametrize(
    ("accepted", "finished", "committable"),
    [
        # Faust commits 9, 5, 8 and 14 in these cases, past records that still run.
        ((5, 6, 7, 8), (6, 7, 8), 5),
        ((0, 1, 2, 3, 4), (3, 4), 0),
        ((0, 1, 2, 3, 4, 5, 6, 7), (5, 6, 7), 0),
        ((10, 11, 12, 13), (11, 12, 13), 10),
        # And these it gets right.
        ((5, 6, 7, 8), (7, 8), 5),
        ((5, 6, 7), (5, 6, 7), 8),
        ((10, 11, 12, 13), (10, 11, 13), 12),
    ],
)
def test_commit_stops_before_the_first_unfinished(accepted, finished, committable) -> None:
    assert ledger(*accepted, finished=finished).committable == committable


def test_nothing_accepted_nothing_to_commit() -> None:
    assert Ledger().committable is None


def test_holes_in_the_offsets_need_no_record() -> None:
    assert ledger(3, 7, 20, finished=(3, 7)).committable == 20
    assert ledger(3, 7, 20, finished=(3, 7, 20)).committable == 21


def test_persisted_request_lets_the_commit_pass() -> None:
    made = ledger(0, 1, 2, finished=(2,))
    made.persisted(0)
    assert made.committable == 1
    made.persisted(1)
    assert made.committable == 3
    assert len(made) == 2
    made.finish(0)
    made.finish(1)
    assert len(made) == 0


def test_row_delivered_after_the_request_finished_changes_nothing() -> None:
    made = ledger(0, 1, finished=(0,))
    made.persisted(0)
    assert len(made) == 1
    assert made.committable == 1


def test_record_read_again_is_refused() -> None:
    made = ledger(4, 5)
    assert not made.accept(5, "again")
    assert not made.accept(4, "again")
    assert made.accept(6, "new")


def test_restored_request_holds_no_commit_back_and_is_skipped_when_read_again() -> None:
    made: Ledger[str] = Ledger()
    made.restore(7, "restored")
    assert made.committable is None
    made.accept(6, "new")
    made.skip(7)
    assert made.committable == 6
    made.finish(6)
    assert made.committable == 8


def test_random_order_never_passes_an_unfinished_record() -> None:
    chance = random.Random(7)
    made: Ledger[int] = Ledger()
    open_, persisted, next_offset = set(), set(), 0
    for _ in range(3000):
        action = chance.random()
        if action < 0.4 or not open_ | persisted:
            next_offset += chance.choice([0, 0, 1, 5])
            made.accept(next_offset, next_offset)
            open_.add(next_offset)
            next_offset += 1
        elif action < 0.8:
            offset = chance.choice(sorted(open_ | persisted))
            made.finish(offset)
            open_.discard(offset)
            persisted.discard(offset)
        elif open_:
            offset = chance.choice(sorted(open_))
            made.persisted(offset)
            open_.discard(offset)
            persisted.add(offset)
        assert made.committable == min(open_, default=next_offset)
        assert len(made) == len(open_) + len(persisted)
