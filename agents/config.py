"""What a user declares in the YAML file that `ENRICH_CONFIG` names."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from agents.async_io.policy import FailurePolicy, TimeoutPolicy
from agents.config_options import (
    AdaptiveConfig,
    BatchConfig,
    CacheConfig,
    ExponentialRetry,
    FixedRetry,
    KeyOrderConfig,
    RateLimitConfig,
    Strict,
    WatermarkConfig,
)
from agents.formats import decoder
from connectors.api.errors import ConfigError

__all__ = ["ApplicationConfig", "EnrichConfig", "ExponentialRetry", "FixedRetry", "StageConfig", "StepConfig"]

TopicName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")]


class StepConfig(Strict):
    """One function of a stage.

    Attributes:
        function: Alias from the entry points `faust_connect.functions`, or `package.module:Name`.
        options: Keyword arguments for it.
        threads: For a blocking `def f(message) -> list`: number of threads that call it.
        batch: For an `async def f(messages) -> list of lists`, or an `AsyncBatchFunction` whose own values it replaces.
        cache: Use what the function added again for records with the same key.
    """

    function: str = Field(min_length=1)
    options: dict[str, Any] = Field(default_factory=dict)
    threads: int | None = Field(None, ge=1)
    batch: BatchConfig | None = None
    cache: CacheConfig | None = None

    @model_validator(mode="after")
    def _consistent(self) -> StepConfig:
        if self.threads is not None and self.batch is not None:
            raise ValueError("threads is for a blocking function of one message, batch for an async one of many")
        return self


class StageConfig(Strict):
    """From one topic through functions into another.

    Attributes:
        name: Name of the stage, unique in the file; part of the pending table's topic.
        input: Topic to read.
        output: Topic for the results; none where the functions write to a store themselves.
        dead_letter: Topic for records that cannot be used and requests that failed.
        format: How the input's values are written: `canal` (Canal's messages, plain JSON objects) or `goldengate`.
        format_options: Options of the format, those of the converter `goldengate-json`.
        partitions: Number of partitions if the input topic has to be created.
        mode: Order of the results: as they complete, or per partition as the input.
        key_order: Whether records of equal keys run one after the other: Kafka's key, or fields of the rows.
        capacity: Requests in the stage at most.
        timeout_s: Seconds for one request, all attempts included; 0 for no limit.
        on_failure: What happens to a record whose request failed; by default dead-letter where there is a dead-letter
            topic, else fail.
        on_timeout: What happens to a record whose time was up; fallback asks the function's own `timeout`. By default
            that is asked where there is one, else as on_failure.
        rate_limit: Records per second.
        adaptive: Whether and how the capacity follows the latency.
        watermarks: Where watermarks come from; without it there are none.
        retry: When a failed call is repeated.
        persist: When a request is written to the pending table: at a checkpoint if it still runs then, or always.
        steps: Functions, run one after the other inside one request.
    """

    name: Name
    input: TopicName
    output: TopicName | None = None
    dead_letter: TopicName | None = None
    format: Literal["canal", "goldengate"] = "canal"
    format_options: dict[str, str] = Field(default_factory=dict)
    partitions: int = Field(4, ge=1)
    mode: Literal["unordered", "ordered"] = "unordered"
    key_order: bool | KeyOrderConfig = False
    capacity: int = Field(100, ge=1)
    timeout_s: float = Field(30.0, ge=0)
    on_failure: FailurePolicy | None = None
    on_timeout: TimeoutPolicy | None = None
    rate_limit: RateLimitConfig | None = None
    adaptive: AdaptiveConfig | None = None
    watermarks: WatermarkConfig | None = None
    retry: Annotated[FixedRetry | ExponentialRetry, Field(discriminator="kind")] | None = None
    persist: Literal["checkpoint", "always"] = "checkpoint"
    steps: list[StepConfig] = Field(min_length=1)

    @property
    def failure_policy(self) -> FailurePolicy:
        """What happens to a record whose request failed."""
        return self.on_failure or ("dead-letter" if self.dead_letter else "fail")

    def deadline_ms(self, left_s: float) -> int:
        """Return the wall-clock time when a request's time is up, or 0 for never."""
        return int((time.time() + left_s) * 1000) if self.timeout_s else 0

    @model_validator(mode="after")
    def _consistent(self) -> StageConfig:
        try:
            decoder(self.format, self.format_options)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        for name in ("on_failure", "on_timeout"):
            if getattr(self, name) == "dead-letter" and self.dead_letter is None:
                raise ValueError(f"{name}: dead-letter needs a topic in dead_letter")
        if self.on_timeout is not None and not self.timeout_s:
            raise ValueError("on_timeout needs timeout_s above 0")
        if self.retry is not None and not self.timeout_s:
            raise ValueError("retry needs timeout_s above 0")
        if self.input in (self.output, self.dead_letter):
            raise ValueError(f"output and dead_letter must differ from the input {self.input}")
        return self


class ApplicationConfig(Strict):
    """The worker as a whole.

    Attributes:
        id: Consumer group, and first part of the names of internal topics.
        processing_guarantee: Faust's word: whether a reader of committed records may see an output twice after a crash.
        log_format: text, or json: an object a line, with stage, topic, partition and offset.
    """

    id: Name = "enrich"
    processing_guarantee: Literal["at_least_once", "exactly_once"] = "at_least_once"
    log_format: Literal["text", "json"] = "text"


class EnrichConfig(Strict):
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
