"""The functions of a stage: found by name, built with their options, run one after the other as one request."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
from collections.abc import Callable
from typing import Any, Final

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential

from agents.async_io.batch import AsyncBatchFunction, in_batches
from agents.async_io.function import (
    AsyncFunction,
    CoroutineFunction,
    ResultFuture,
    as_async_function,
    as_coroutine_function,
    check_results,
    deliver_on,
    name_of,
)
from agents.async_io.policy import asks_timeout
from agents.async_io.threads import in_thread_pool
from agents.config import StageConfig, StepConfig
from agents.config_file import ConfigFile
from agents.message import Message
from agents.names import load
from agents.step_cache import cached_step
from connectors.api.errors import ConfigError, RetriableError, did_you_mean

__all__ = ["Steps", "build_steps"]

log = logging.getLogger(__name__)

FIRST_WAIT_S: Final = 0.5

Step = AsyncFunction[Message, Message]


def _say_what_for(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome is not None else None
    wait_s = state.next_action.sleep if state.next_action is not None else 0.0
    log.warning("Waiting: %s; next try in %.1f s", error, wait_s)


class Steps(AsyncFunction[Message, Message]):
    """Functions run one after the other: each output of one is the input of the next.

    A failed request starts again with the first. When the time of the request is up, the first step with a `timeout`
    of its own answers.

    Args:
        steps: The functions.
    """

    def __init__(self, steps: list[Step]) -> None:
        self.steps = tuple(steps)
        self.__qualname__ = " -> ".join(name_of(step) for step in steps)

    async def open(self) -> None:
        """Open them in their order; a server that is away is waited for."""
        for step in self.steps:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(RetriableError),
                wait=wait_exponential(multiplier=FIRST_WAIT_S, max=15),
                before_sleep=_say_what_for,
            ):
                with attempt:
                    await step.open()

    async def async_invoke(self, value: Message, result_future: ResultFuture[Message]) -> None:
        """Run them all, or fail with the first error."""
        message = value.for_attempt()
        if len(self.steps) == 1:
            await self.steps[0].async_invoke(message, result_future)
            return
        messages = [message]
        for step in self.steps:
            outputs: list[Message] = []
            for one in messages:
                outputs += await _results(step, one)
            messages = outputs
        result_future.complete(messages)

    async def timeout(self, value: Message, result_future: ResultFuture[Message]) -> None:
        """Answer for a request whose time is up."""
        step = next((step for step in self.steps if step.answers_timeouts), None)
        if step is None:
            await super().timeout(value, result_future)
        else:
            await step.timeout(value.for_attempt(), result_future)

    @property
    def answers_timeouts(self) -> bool:
        """Whether one of them does."""
        return any(step.answers_timeouts for step in self.steps)

    async def close(self) -> None:
        """Close them all, the last first; an error of one keeps none open."""
        errors = []
        for step in reversed(self.steps):
            try:
                await step.close()
            except Exception as error:
                errors.append(error)
        if errors:
            raise ExceptionGroup("closing the functions of a stage", errors)


async def _results(step: Step, message: Message) -> list[Message]:
    if isinstance(step, CoroutineFunction):
        return check_results(step, await step.function(message))
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Any] = loop.create_future()

    def settle(results: Any, error: BaseException | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(results)

    def deliver(_: ResultFuture[Message], results: Any, error: BaseException | None) -> None:
        deliver_on(loop, settle, results, error)

    future: ResultFuture[Message] = ResultFuture(deliver)
    await step.async_invoke(message, future)
    try:
        return check_results(step, await answer)
    except asyncio.CancelledError:
        future.abandon()
        raise


def build_steps(file: ConfigFile, index: int) -> Steps:
    """Build the functions of a stage.

    Args:
        file: The configuration.
        index: Number of the stage in it.

    Raises:
        ConfigError: A function cannot be found or does not take its options; file, line and key are named.
    """
    stage: StageConfig = file.config.stages[index]
    steps = Steps([_build(file, step, ("stages", index, "steps", i)) for i, step in enumerate(stage.steps)])
    try:
        asks_timeout(steps, stage.on_timeout)
    except ValueError as error:
        raise file.error(str(error), "stages", index, "on_timeout") from None
    return steps


def _build(file: ConfigFile, step: StepConfig, place: tuple[str | int, ...]) -> Step:
    try:
        target = load(step.function)
    except ConfigError as error:
        raise file.error(str(error), *place, "function") from error.__cause__
    _check_options(file, target, step, place)
    try:
        return _wrap(target, step)
    except ConfigError as error:
        named = (error.key,) if error.key in step.options else ()
        raise file.error(str(error), *place, "options", *named) from error
    except (TypeError, ValueError) as error:
        raise file.error(f"{step.function}: {error}", *place, "function") from error


def _wrap(target: Callable[..., Any], step: StepConfig) -> Step:
    made: Any = target
    if isinstance(target, type):
        made = target(**step.options)
    elif step.options:
        made = functools.partial(target, **step.options)
    if step.threads is not None:
        if inspect.iscoroutinefunction(target) or isinstance(made, AsyncFunction):
            raise TypeError("threads is for a blocking function (def), this one is asynchronous")
        function: Step = in_thread_pool(made, step.threads)
    elif step.batch is None:
        function = as_async_function(made)
    elif isinstance(made, AsyncBatchFunction):
        made.max_size, made.max_wait_s = step.batch.max_size, step.batch.max_wait_s
        function = as_async_function(made)
    elif isinstance(made, AsyncFunction):
        raise TypeError("batch is for an AsyncBatchFunction or an async def f(messages), this one takes one message")
    else:
        function = in_batches(as_coroutine_function(made), step.batch.max_size, step.batch.max_wait_s)
    return function if step.cache is None else cached_step(function, step.cache)


def _check_options(
    file: ConfigFile, target: Callable[..., Any], step: StepConfig, place: tuple[str | int, ...]
) -> None:
    parameters = inspect.signature(target).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for option in step.options:
        if option not in parameters:
            raise file.error(f"unknown option{did_you_mean(option, parameters)}", *place, "options", option)
    if not isinstance(target, type):
        return
    for name, parameter in parameters.items():
        needed = parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL
        if needed and name not in step.options:
            raise file.error(f"{step.function} needs the option {name}", *place, "options")
