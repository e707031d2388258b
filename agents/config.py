"""What a user declares in the YAML file that `ENRICH_CONFIG` names."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from agents.async_io.retry import RetryStrategy, exponential_backoff, fixed_delay

__all__ = ["ApplicationConfig", "EnrichConfig", "ExponentialRetry", "FixedRetry", "StageConfig", "StepConfig"]

TopicName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FixedRetry(_Strict):
    """Retry after the same delay each time.

    Attributes:
        kind: `fixed`.
        max_retries: n retries make up to n + 1 calls.
        delay_s: Delay in seconds.
    """

    kind: Literal["fixed"]
    max_retries: int = Field(3, ge=0)
    delay_s: float = Field(0.5, gt=0)

    def strategy(self) -> RetryStrategy:
        """Return the strategy for the operator."""
        return fixed_delay(self.max_retries, self.delay_s)


class ExponentialRetry(_Strict):
    """Retry after a growing delay.

    Attributes:
        kind: `exponential`.
        max_retries: n retries make up to n + 1 calls.
        initial_s: First delay in seconds.
        max_s: Longest delay in seconds.
        multiplier: Growth from one retry of a record to its next.
        jitter: Share of the delay drawn at random, 0 to below 1.
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
        return exponential_backoff(self.max_retries, self.initial_s, self.max_s, self.multiplier, jitter=self.jitter)


class StepConfig(_Strict):
    """One function of a stage.

    Attributes:
        function: Alias from the entry points `faust_connect.functions`, or `package.module:Name`.
        options: Keyword arguments for it.
    """

    function: str = Field(min_length=1)
    options: dict[str, Any] = Field(default_factory=dict)


class StageConfig(_Strict):
    """From one topic through functions into another.

    Attributes:
        name: Name of the stage, unique in the file; part of the pending table's topic.
        input: Topic to read.
        output: Topic for the results; none where the functions write to a store themselves.
        dead_letter: Topic for records that cannot be used and requests that failed.
        partitions: Number of partitions if the input topic has to be created.
        mode: Order of the results: as they complete, or per partition as the input.
        key_order: Whether records of equal keys run one after the other.
        capacity: Requests in the stage at most.
        timeout_s: Seconds for one request, all attempts included; 0 for no limit.
        on_failure: What happens to a record whose request failed; by default dead-letter where there is a dead-letter
            topic, else fail.
        retry: When a failed call is repeated.
        persist: When a request is written to the pending table: at a checkpoint if it still runs then, or always.
        steps: Functions, run one after the other inside one request.
    """

    name: Name
    input: TopicName
    output: TopicName | None = None
    dead_letter: TopicName | None = None
    partitions: int = Field(4, ge=1)
    mode: Literal["unordered", "ordered"] = "unordered"
    key_order: bool = False
    capacity: int = Field(100, ge=1)
    timeout_s: float = Field(30.0, ge=0)
    on_failure: Literal["fail", "drop", "dead-letter"] | None = None
    retry: Annotated[FixedRetry | ExponentialRetry, Field(discriminator="kind")] | None = None
    persist: Literal["checkpoint", "always"] = "checkpoint"
    steps: list[StepConfig] = Field(min_length=1)

    @property
    def failure_policy(self) -> str:
        """What happens to a record whose request failed."""
        return self.on_failure or ("dead-letter" if self.dead_letter else "fail")

    def deadline_ms(self, left_s: float) -> int:
        """Return the wall-clock time when a request's time is up, or 0 for never."""
        return int((time.time() + left_s) * 1000) if self.timeout_s else 0

    @model_validator(mode="after")
    def _consistent(self) -> StageConfig:
        if self.on_failure == "dead-letter" and self.dead_letter is None:
            raise ValueError("on_failure: dead-letter needs a topic in dead_letter")
        if self.retry is not None and not self.timeout_s:
            raise ValueError("retry needs timeout_s above 0")
        if self.input in (self.output, self.dead_letter):
            raise ValueError(f"output and dead_letter must differ from the input {self.input}")
        return self


class ApplicationConfig(_Strict):
    """The worker as a whole.

    Attributes:
        id: Consumer group, and first part of the names of internal topics.
        processing_guarantee: Faust's word: whether a reader of committed records may see an output twice after a crash.
    """

    id: Name = "enrich"
    processing_guarantee: Literal["at_least_once", "exactly_once"] = "at_least_once"


class EnrichConfig(_Strict):
    """The whole file.

    Attributes:
        application: The worker as a whole.
        stages: Its stages.
    """

    application: ApplicationConfig = Field(default_factory=ApplicationConfig)
    stages: list[StageConfig] = Field(min_length=1)

    @model_validator(mode="after")
    def _unique(self) -> EnrichConfig:
        for what in ("name", "input"):
            seen: set[str] = set()
            for stage in self.stages:
                value = getattr(stage, what)
                if value in seen:
                    raise ValueError(f"two stages have the {what} {value}; one consumer group reads a topic once")
                seen.add(value)
        return self
