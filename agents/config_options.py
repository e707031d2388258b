"""The options of a stage or step that are groups of their own in the YAML file."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from agents.async_io.batch import AsyncBatchFunction
from agents.async_io.event_time import TimeUnit
from agents.async_io.limits import AdaptiveCapacity, RateLimit
from agents.async_io.retry import RetryStrategy, exponential_backoff, fixed_delay
from agents.message import Message
from agents.names import load
from connectors.api.errors import ConfigError

__all__ = [
    "AdaptiveConfig",
    "BatchConfig",
    "CacheConfig",
    "ExponentialRetry",
    "FixedRetry",
    "RateLimitConfig",
    "Strict",
    "WatermarkConfig",
]

EMPTY = "empty"


def _importable(name: str) -> str:
    try:
        load(name)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return name


def _importable_or_empty(name: str) -> str:
    return name if name == EMPTY else _importable(name)


def _is_empty(results: list[Any]) -> bool:
    return not results


Predicate = Annotated[str, AfterValidator(_importable)]
ResultPredicate = Annotated[str, AfterValidator(_importable_or_empty)]


class Strict(BaseModel):
    """A group whose keys are all known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _Retry(Strict):
    retry_if_exception: Predicate | None = None
    retry_if_result: ResultPredicate | None = None

    @property
    def _on_result(self) -> Callable[[list[Any]], bool] | None:
        if self.retry_if_result is None:
            return None
        return _is_empty if self.retry_if_result == EMPTY else load(self.retry_if_result)

    @property
    def _on_exception(self) -> Callable[[BaseException], bool] | None:
        return None if self.retry_if_exception is None else load(self.retry_if_exception)


class FixedRetry(_Retry):
    """Retry after the same delay each time.

    Attributes:
        kind: `fixed`.
        max_retries: n retries make up to n + 1 calls.
        delay_s: Delay in seconds.
        retry_if_exception: `package.module:function` that is asked with the error; by default every error is retried
            except those in the data or the configuration.
        retry_if_result: `package.module:function` that is asked with the list of results, or `empty`. Given alone, no
            error is retried.
    """

    kind: Literal["fixed"]
    max_retries: int = Field(3, ge=0)
    delay_s: float = Field(0.5, gt=0)

    def strategy(self) -> RetryStrategy:
        """Return the strategy for the operator."""
        return fixed_delay(self.max_retries, self.delay_s, self._on_result, self._on_exception)


class ExponentialRetry(_Retry):
    """Retry after a growing delay.

    Attributes:
        kind: `exponential`.
        max_retries: n retries make up to n + 1 calls.
        initial_s: First delay in seconds.
        max_s: Longest delay in seconds.
        multiplier: Growth from one retry of a record to its next.
        jitter: Share of the delay drawn at random, 0 to below 1.
        retry_if_exception: `package.module:function` that is asked with the error; by default every error is retried
            except those in the data or the configuration.
        retry_if_result: `package.module:function` that is asked with the list of results, or `empty`. Given alone, no
            error is retried.
    """

    kind: Literal["exponential"]
    max_retries: int = Field(5, ge=0)
    initial_s: float = Field(0.2, gt=0)
    max_s: float = Field(5.0, gt=0)
    multiplier: float = Field(2.0, ge=1)
    jitter: float = Field(0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _in_order(self) -> ExponentialRetry:
        if self.max_s < self.initial_s:
            raise ValueError(f"max_s ({self.max_s}) is below initial_s ({self.initial_s})")
        return self

    def strategy(self) -> RetryStrategy:
        """Return the strategy for the operator."""
        return exponential_backoff(
            self.max_retries,
            self.initial_s,
            self.max_s,
            self.multiplier,
            self._on_result,
            self._on_exception,
            jitter=self.jitter,
        )


class RateLimitConfig(Strict):
    """Calls per second; see `RateLimit`.

    Attributes:
        records_per_s: Records that may start in a second on average.
        burst: Records that may start at once after a pause.
    """

    records_per_s: float = Field(gt=0)
    burst: int = Field(1, ge=1)

    def limit(self) -> RateLimit:
        """Return the option for the operator."""
        return RateLimit(self.records_per_s, self.burst)


class AdaptiveConfig(Strict):
    """A capacity that follows the latency; see `AdaptiveCapacity`.

    Attributes:
        latency_s: Mean seconds of a call that are still good; without it only time-outs count.
        initial: Capacity at the start; by default the minimum.
        minimum: Lowest capacity. The highest is the stage's `capacity`.
        increase: Slots added after a good group of calls.
        decrease: Factor after a bad group.
    """

    latency_s: float | None = Field(None, gt=0)
    initial: int | None = Field(None, ge=1)
    minimum: int = Field(1, ge=1)
    increase: int = Field(1, ge=1)
    decrease: float = Field(0.5, gt=0, lt=1)

    @model_validator(mode="after")
    def _in_order(self) -> AdaptiveConfig:
        self.adaptive()
        return self

    def adaptive(self) -> AdaptiveCapacity:
        """Return the option for the operator."""
        return AdaptiveCapacity(self.latency_s, self.initial, self.minimum, self.increase, self.decrease)


class WatermarkConfig(Strict):
    """Where watermarks come from.

    Attributes:
        timestamp: `ts_us` for the order of the change (header `connect.ts_us`, else the Kafka timestamp), `field` for a
            field of the rows, `header` for the watermarks of the stage before.
        field: Name of the field, for `field`.
        unit: Unit of a field that is a number.
        max_out_of_orderness_s: How much older than the newest so far a record may be; 0 where they never go back.
        idle_s: Seconds without a record after which a partition counts no longer for the stage's watermark.
        interval_s: Seconds between two watermarks of a partition at least.
    """

    timestamp: Literal["ts_us", "field", "header"] = "ts_us"
    field: str | None = Field(None, min_length=1)
    unit: TimeUnit = "us"
    max_out_of_orderness_s: float = Field(0.0, ge=0)
    idle_s: float | None = Field(None, gt=0)
    interval_s: float = Field(0.2, gt=0)

    @model_validator(mode="after")
    def _consistent(self) -> WatermarkConfig:
        if (self.timestamp == "field") != (self.field is not None):
            raise ValueError("timestamp: field and the name in field go together")
        if self.timestamp == "header" and self.max_out_of_orderness_s:
            raise ValueError("max_out_of_orderness_s is in the watermarks of the stage before already")
        return self


class KeyOrderConfig(Strict):
    """Which records run one after the other: those with equal values in some fields.

    Attributes:
        fields: Names of fields of the rows; of a message with several rows the first one's count.
    """

    fields: list[str] = Field(min_length=1)

    def key(self, message: Message) -> tuple[Any, ...] | None:
        """Return the key of a message, or None where it has no rows: nothing waits for it then.

        Raises:
            DataError: The message has no usable rows.
        """
        rows = message.rows
        if not rows:
            return None
        values = [rows[0].get(name) for name in self.fields]
        return tuple(value if isinstance(value, Hashable) else repr(value) for value in values)


class BatchConfig(Strict):
    """One call for several records; see `AsyncBatchFunction`.

    Attributes:
        max_size: Most records of a batch.
        max_wait_s: Seconds that a record waits for others at most.
    """

    max_size: int = Field(AsyncBatchFunction.max_size, ge=1)
    max_wait_s: float = Field(AsyncBatchFunction.max_wait_s, ge=0)


class CacheConfig(Strict):
    """What a function added to a record, used again for records with the same key.

    Attributes:
        key: Fields of a row that decide what the function adds.
        columns: Fields of a row that the function sets, and nothing else.
        ttl_s: Age in seconds at which a key is asked for again.
        max_entries: Most keys kept; the least recently used go first.
        negative_ttl_s: The age for an answer without any of the columns; 0 keeps none. By default `ttl_s`.
    """

    key: list[str] = Field(min_length=1)
    columns: list[str] = Field(min_length=1)
    ttl_s: float = Field(gt=0)
    max_entries: int = Field(10_000, ge=1)
    negative_ttl_s: float | None = Field(None, ge=0)
