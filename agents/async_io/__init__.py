"""Flink's Async I/O for any asynchronous iterable."""

from __future__ import annotations

from agents.async_io.batch import AsyncBatchFunction, in_batches
from agents.async_io.cache import Cache
from agents.async_io.errors import AsyncOperationError, AsyncTimeoutError
from agents.async_io.event_time import WatermarkStrategy, bounded_out_of_orderness, monotonic_timestamps
from agents.async_io.function import AsyncFunction, ResultFuture
from agents.async_io.limits import AdaptiveCapacity, RateLimit
from agents.async_io.retry import RetryStrategy, exponential_backoff, fixed_delay
from agents.async_io.threads import in_thread_pool
from agents.async_io.wait import ordered_wait, unordered_wait
from agents.async_io.watermark import Watermark

__all__ = [
    "AdaptiveCapacity",
    "AsyncBatchFunction",
    "AsyncFunction",
    "AsyncOperationError",
    "AsyncTimeoutError",
    "Cache",
    "RateLimit",
    "ResultFuture",
    "RetryStrategy",
    "Watermark",
    "WatermarkStrategy",
    "bounded_out_of_orderness",
    "exponential_backoff",
    "fixed_delay",
    "in_batches",
    "in_thread_pool",
    "monotonic_timestamps",
    "ordered_wait",
    "unordered_wait",
]
