"""Which log records a worker makes."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import faust
import pytest
from faust.cli.base import LOGLEVELS

from connectors.api.log_level import know_all_levels, make_only_shown_records


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger; as it was afterwards."""
    logger = logging.getLogger()
    level, handlers = logger.level, list(logger.handlers)
    yield logger
    logger.setLevel(level)
    logger.handlers[:] = handlers


@pytest.mark.parametrize(("option", "level"), [("warn", logging.WARNING), ("error", logging.ERROR)])
def test_what_a_faust_worker_does_not_show_is_not_made(root: logging.Logger, option: str, level: int) -> None:
    worker = faust.Worker(faust.App("quiet"), loglevel=option)
    worker._setup_logging()
    assert root.level == logging.DEBUG, "Faust no longer does what this is about"

    make_only_shown_records()

    assert root.level == level


@pytest.mark.parametrize(("option", "level"), [("info", logging.INFO), ("debug", logging.DEBUG)])
def test_what_a_faust_worker_shows_is_made(root: logging.Logger, option: str, level: int) -> None:
    worker = faust.Worker(faust.App("talkative"), loglevel=option)
    worker._setup_logging()

    make_only_shown_records()

    assert root.level == level


def test_a_handler_of_all_levels_gets_all_records(root: logging.Logger) -> None:
    root.handlers[:] = [logging.NullHandler()]
    root.setLevel(logging.DEBUG)

    make_only_shown_records()

    assert root.level == logging.DEBUG


@pytest.mark.parametrize("option", ["crit", "error", "warn", "info", "debug"])
def test_a_worker_starts_with_every_level_that_faust_offers(root: logging.Logger, option: str) -> None:
    assert option.upper() in LOGLEVELS
    know_all_levels()
    faust.Worker(faust.App("any"), loglevel=option)._setup_logging()
    assert logging.getLevelName(logging.CRITICAL) == "CRITICAL"
