"""Builds the Faust app of the async-enrich stage from the environment.

The usual way is YAML alone: `ENRICH_CONFIG` names a file, see `agents.config`. A function of one's own is named there
as `package.module:Name`: an `AsyncFunction` subclass, or an `async def f(message) -> list` of `agents.message.Message`.

The app is an ordinary Faust app, so a module of one's own can add agents, timers and pages to it:

    from agents import app

    @app.timer(60)
    async def report() -> None: ...

and is then run as `faust -A my_module worker`.
"""

from __future__ import annotations

import logging
import os
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click
import faust
from mode import Worker

from agents.config import ApplicationConfig, StageConfig
from agents.config_file import load_config
from agents.enrichment import Enrichment
from agents.hard_stop import LIMIT_S, end_process_after
from agents.json_log import LOGGING_CONFIG
from agents.pages import add_pages
from agents.steps import build_steps
from connectors.api.collector import spare_the_collector
from connectors.api.errors import ConfigError, ConnectError
from connectors.api.identity import check_top_level_names
from connectors.api.log_level import know_all_levels, make_only_shown_records
from connectors.clients.kafka import KafkaSettings

__all__ = ["EnrichApp", "UsageError", "WorkerStoppedError", "create_app"]

log = logging.getLogger(__name__)

_SESSION_S: Final = 8.0
_HEARTBEAT_S: Final = 2.0
_POLL_INTERVAL_S: Final = 86_400.0


class UsageError(ConfigError, click.ClickException):
    """A mistake of the user's: the command line shows it as one message and ends with exit code 2."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        ConfigError.__init__(self, message)
        click.ClickException.__init__(self, message)


class WorkerStoppedError(ConnectError):
    """A stage stopped the worker; the reason was logged."""


class EnrichApp(faust.App):  # type: ignore[misc]
    """A Faust app whose consumer hands lists of records to enrich stages.

    Attributes:
        intake: The stages.
    """

    intake: Enrichment

    @property
    def _worker(self) -> Worker | None:
        """The process's worker, where the app has a process of its own."""
        root = self.beacon.root.data if self.beacon.root is not None else None
        return root if isinstance(root, Worker) else None

    async def on_start(self) -> None:
        """Wait for Kafka, create topics and open the functions, before the consumer starts."""
        if self._worker is not None:
            make_only_shown_records()
        try:
            await self.intake.start()
        except ConfigError as error:
            self.stop_with_error(str(error))
            await self.wait_until_stopped()
            return
        if self._worker is not None:
            spare_the_collector()
        await super().on_start()

    async def on_stop(self) -> None:
        """Commit what is safe while the consumer is still there."""
        if self._worker is not None:
            end_process_after(LIMIT_S)
        try:
            await self.intake.stop()
        finally:
            # Whatever happened: a consumer that is left would stay in the group and hold its partitions.
            await super().on_stop()

    def stop_with_error(self, sentence: str) -> None:
        """End the process in good order, with a non-zero exit code and one sentence.

        `Service.crash` would tear the services down under each other's feet and print a traceback for each; so the
        worker is asked to stop as by a signal, and told its reason for the exit code.
        """
        log.critical("%s", sentence)
        reason = WorkerStoppedError(sentence)
        worker = self._worker
        if worker is not None:
            worker.crash_reason = reason
            signal.raise_signal(signal.SIGTERM)
        else:
            self._crash(reason)


def create_app(env: Mapping[str, str] | None = None) -> EnrichApp:
    """Build the app.

    Args:
        env: Variables; the environment by default. `ENRICH_CONFIG` names the YAML file, `KAFKA_BOOTSTRAP_SERVERS` or
            Heroku's `KAFKA_*` say where Kafka is.

    Raises:
        UsageError: Something in them cannot be used.
    """
    env = os.environ if env is None else env
    know_all_levels()
    try:
        check_top_level_names()
        return _create(env)
    except UsageError:
        raise
    except ConfigError as error:
        raise UsageError(str(error)) from error


def _create(env: Mapping[str, str]) -> EnrichApp:
    path = env.get("ENRICH_CONFIG")
    if not path:
        raise ConfigError("ENRICH_CONFIG is not set; it names the YAML file with the stages", key="ENRICH_CONFIG")
    file = load_config(path, env)
    kafka = KafkaSettings.from_env(env)
    stages = [(_with_prefix(config, kafka.prefix), build_steps(file, i)) for i, config in enumerate(file.config.stages)]
    app = EnrichApp(f"{kafka.prefix}{file.config.application.id}", **_settings(kafka, file.config.application))
    guarantee = file.config.application.processing_guarantee
    app.intake = Enrichment(app, stages, kafka.librdkafka(), app.stop_with_error, guarantee)
    for config, _ in stages:
        _subscribe(app, config)
    add_pages(app)
    return app


def _settings(kafka: KafkaSettings, application: ApplicationConfig) -> dict[str, Any]:
    context = kafka.ssl_context()
    logs = {"logging_config": dict(LOGGING_CONFIG)} if application.log_format == "json" else {}
    return {
        **logs,
        # Figures and pending requests are nobody's business outside; `faust worker --web-bind` opens the pages.
        "web_bind": "127.0.0.1",
        "broker": ";".join(f"connect://{server.strip()}" for server in kafka.bootstrap_servers.split(",")),
        "broker_credentials": faust.SSLCredentials(context=context) if context is not None else None,
        # After a kill -9 the partitions stay with the dead member for one session.
        "broker_session_timeout": _SESSION_S,
        "broker_heartbeat_interval": _HEARTBEAT_S,
        # A stage that is full does not poll, by design; liveness is the heartbeat's matter.
        "broker_max_poll_interval": _POLL_INTERVAL_S,
        "broker_max_poll_records": 2000,
        "consumer_auto_offset_reset": "earliest",
        "stream_wait_empty": False,
        "topic_disable_leader": True,
        "table_standby_replicas": 0,
        "worker_redirect_stdouts": False,
        "autodiscover": False,
        "datadir": Path(tempfile.gettempdir(), f"faust-connect-{application.id}"),
    }


def _with_prefix(config: StageConfig, prefix: str) -> StageConfig:
    if not prefix:
        return config
    topics = {name: getattr(config, name) for name in ("input", "output", "dead_letter")}
    return config.model_copy(update={name: prefix + topic for name, topic in topics.items() if topic})


def _subscribe(app: EnrichApp, config: StageConfig) -> None:
    # Faust subscribes to what agents read. This one never sees an event: the transport takes its records.
    async def intake(stream: Any) -> None:
        async for _ in stream:
            raise AssertionError("the stage takes these records")

    topic = app.topic(config.input, value_type=bytes, key_type=bytes)
    app.agent(topic, name=f"enrich.{config.name}")(intake)
