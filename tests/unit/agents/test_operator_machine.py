"""The operator under every order of events that chance can think of, beside its model.

Time is simulated, and so is the loop: between two steps everything that is ready runs. A step may be a submission, an
answer (in time, late, twice, wrong, from another thread), time that passes, an emission, or a partition that is taken
away. After each step the model and the operator agree on what came out, what is called and what was called off; in the
end, when only time passes, nothing is left in the operator.

Hypothesis draws the first schedules, and shrinks what it finds; it takes 5 ms for each. Most come from a plain random
generator over the same steps, at 1 ms; `OPERATOR_SCHEDULES` and `OPERATOR_RANDOM_SCHEDULES` set the numbers.
"""

from __future__ import annotations

import os
import random

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.unit.agents.operator_harness import STEPS_MS, Harness

SCHEDULES = int(os.environ.get("OPERATOR_SCHEDULES", "1000"))
RANDOM_SCHEDULES = int(os.environ.get("OPERATOR_RANDOM_SCHEDULES", "9000"))
STEPS = 20

TIMEOUTS = ("default", "answers", "raises", "returns", "later")
ANSWERS = ("ok", "ok", "empty", "error", "error", "data", "cancelled", "no list")
LATE_ANSWERS = ("ok", "error", "no list")
KEYS = (None, None, 0, 1)
LANE = st.integers(0, 1)
PICK = st.integers(0, 7)
ELSEWHERE = st.integers(0, 5)


class OperatorMachine(RuleBasedStateMachine):
    harness: Harness | None = None

    @initialize(
        ordered=st.booleans(),
        capacity=st.integers(1, 5),
        retries=st.integers(0, 2),
        timeout=st.sampled_from(TIMEOUTS),
    )
    def begin(self, ordered: bool, capacity: int, retries: int, timeout: str) -> None:
        self.harness = Harness(ordered, capacity, retries, timeout)

    @precondition(lambda self: self.harness.has_room)
    @rule(lane=LANE, key=st.sampled_from(KEYS), as_coroutine=st.booleans())
    def submit(self, lane: int, key: int | None, as_coroutine: bool) -> None:
        self.harness.submit(lane, key, as_coroutine)

    @precondition(lambda self: self.harness.has_room)
    @rule(lane=LANE, key=st.sampled_from(KEYS))
    def submit_without_a_call(self, lane: int, key: int | None) -> None:
        self.harness.submit_without_a_call(lane, key)

    @precondition(lambda self: self.harness.has_room)
    @rule(lane=LANE)
    def submit_watermark(self, lane: int) -> None:
        self.harness.submit_watermark(lane)

    @precondition(lambda self: self.harness.running)
    @rule(pick=PICK, how=st.sampled_from(ANSWERS), elsewhere=ELSEWHERE)
    def answer(self, pick: int, how: str, elsewhere: int) -> None:
        self.harness.answer(pick, how, elsewhere)

    @precondition(lambda self: self.harness.function.old)
    @rule(pick=PICK, how=st.sampled_from(LATE_ANSWERS), elsewhere=ELSEWHERE)
    def answer_late_or_again(self, pick: int, how: str, elsewhere: int) -> None:
        self.harness.answer_late_or_again(pick, how, elsewhere)

    @rule(milliseconds=st.sampled_from(STEPS_MS))
    def pass_time(self, milliseconds: int) -> None:
        self.harness.pass_time(milliseconds)

    @rule(lane=LANE, most=st.sampled_from([1, 99]))
    def emit(self, lane: int, most: int) -> None:
        self.harness.emit(lane, most)

    @precondition(lambda self: self.harness.numbers > 3)
    @rule(lane=LANE)
    def take_partition_away(self, lane: int) -> None:
        self.harness.take_partition_away(lane)

    def teardown(self) -> None:
        if self.harness is not None:
            self.harness.end()


TestOperator = OperatorMachine.TestCase
TestOperator.settings = settings(
    max_examples=SCHEDULES,
    stateful_step_count=STEPS,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def play(seed: int) -> None:
    chance = random.Random(seed)
    pick = chance.choice
    harness = Harness(pick((True, False)), chance.randint(1, 5), chance.randint(0, 2), pick(TIMEOUTS))
    for _ in range(chance.randint(5, 2 * STEPS)):
        what = chance.random()
        lane = chance.randint(0, 1)
        if what < 0.35 and harness.has_room:
            harness.submit(lane, pick(KEYS), pick((True, False)))
        elif what < 0.42 and harness.has_room:
            harness.submit_without_a_call(lane, pick(KEYS))
        elif what < 0.47 and harness.has_room:
            harness.submit_watermark(lane)
        elif what < 0.7 and harness.running:
            harness.answer(chance.randrange(8), pick(ANSWERS), chance.randrange(6))
        elif what < 0.75 and harness.function.old:
            harness.answer_late_or_again(chance.randrange(8), pick(LATE_ANSWERS), chance.randrange(6))
        elif what < 0.85:
            harness.pass_time(pick(STEPS_MS))
        elif what < 0.86:
            harness.take_partition_away(lane)
        else:
            harness.emit(lane, pick((1, 99)))
    harness.end()


def test_operator_on_random_schedules() -> None:
    first = random.randrange(2**32)
    for seed in range(first, first + RANDOM_SCHEDULES):
        try:
            play(seed)
        except AssertionError as error:
            raise AssertionError(f"play({seed}): {error}") from error
