"""Retry strategies. All state of a retry belongs to its record, never to the strategy."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from connectors.api.errors import ConfigError, DataError, FatalError

__all__ = ["RetryStrategy", "exponential_backoff", "fixed_delay"]

ResultPredicate = Callable[[list[Any]], bool]
ErrorPredicate = Callable[[BaseException], bool]

_random = random.Random()


def retry_unless_pointless(error: BaseException) -> bool:
    """Tell whether another call may succeed: not for errors in the data or the configuration."""
    return isinstance(error, Exception) and not isinstance(error, DataError | ConfigError | FatalError)


@dataclass(frozen=True, slots=True)
class RetryStrategy:
    """When and how often a request is called again; made by `fixed_delay` and `exponential_backoff`.

    Attributes:
        max_retries: Calls after the first one; n retries make up to n + 1 calls.
        initial_s: Delay before the first retry, in seconds.
        max_s: Longest delay, in seconds.
        multiplier: Growth of the delay from one retry of a record to its next.
        jitter: Share of the delay that is drawn at random: 0.2 gives 80 to 120 %.
        retry_if_result: Called with the results; true asks for a retry.
        retry_if_exception: Called with the error; true asks for a retry.
    """

    max_retries: int
    initial_s: float
    max_s: float
    multiplier: float = 1.0
    jitter: float = 0.0
    retry_if_result: ResultPredicate | None = None
    retry_if_exception: ErrorPredicate | None = field(default=None)

    def __post_init__(self) -> None:
        if self.max_retries < 0:
            raise ValueError(f"max_retries must not be negative, it is {self.max_retries}")
        if self.initial_s <= 0 or self.max_s < self.initial_s:
            raise ValueError(f"retry delays must be positive and in order: {self.initial_s} s to {self.max_s} s")
        if self.multiplier < 1 or not 0 <= self.jitter < 1:
            raise ValueError(f"multiplier {self.multiplier} must be at least 1, jitter {self.jitter} within [0, 1)")

    def delay_s(self, attempt: int) -> float:
        """Return the delay after attempt number `attempt` (the first is 1), in seconds."""
        # The exponent is bounded, so that a long retry never overflows a float.
        delay = min(self.max_s, self.initial_s * self.multiplier ** min(attempt - 1, 64))
        return delay * _random.uniform(1 - self.jitter, 1 + self.jitter) if self.jitter else delay

    def wants_retry(self, attempt: int, results: list[Any] | None, error: BaseException | None) -> bool:
        """Tell whether attempt number `attempt`, which gave these results or this error, is to be repeated."""
        if attempt > self.max_retries:
            return False
        if error is not None:
            return self.retry_if_exception is not None and self.retry_if_exception(error)
        return self.retry_if_result is not None and self.retry_if_result(results or [])


def fixed_delay(
    max_retries: int,
    delay_s: float,
    retry_if_result: ResultPredicate | None = None,
    retry_if_exception: ErrorPredicate | None = None,
) -> RetryStrategy:
    """Retry after the same delay each time.

    Args:
        max_retries: Retries of one record; n retries make up to n + 1 calls.
        delay_s: Delay in seconds.
        retry_if_result: Asked with the list of results.
        retry_if_exception: Asked with the error. Where neither predicate is given, every error is retried except
            `DataError`, `ConfigError` and `FatalError`.

    Raises:
        ValueError: An argument is out of range.

    Source: Flink 2.3, `AsyncRetryStrategies.FixedDelayRetryStrategy`.
    """
    return exponential_backoff(max_retries, delay_s, delay_s, 1.0, retry_if_result, retry_if_exception)


def exponential_backoff(
    max_retries: int,
    initial_s: float,
    max_s: float,
    multiplier: float,
    retry_if_result: ResultPredicate | None = None,
    retry_if_exception: ErrorPredicate | None = None,
    *,
    jitter: float = 0.0,
) -> RetryStrategy:
    """Retry after a delay that grows from one retry of a record to its next.

    Args:
        max_retries: Retries of one record; n retries make up to n + 1 calls.
        initial_s: First delay in seconds.
        max_s: Longest delay in seconds.
        multiplier: Growth, at least 1.
        retry_if_result: Asked with the list of results.
        retry_if_exception: Asked with the error; default as for `fixed_delay`.
        jitter: Share of the delay drawn at random, so that many failures of one moment do not come back as one.

    Raises:
        ValueError: An argument is out of range.

    Source: Flink 2.3, `AsyncRetryStrategies.ExponentialBackoffDelayRetryStrategy`, whose delay is shared by all
    records; here each record has its own.
    """
    if retry_if_result is None and retry_if_exception is None:
        retry_if_exception = retry_unless_pointless
    return RetryStrategy(max_retries, initial_s, max_s, multiplier, jitter, retry_if_result, retry_if_exception)
