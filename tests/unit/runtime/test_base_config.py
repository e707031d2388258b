from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from connectors import ConfigDef, ConfigError, SinkConnector, SinkRecord, SinkTask, SourceConnector, SourceTask, Type
from connectors.runtime import plugins
from connectors.runtime.base_config import check
from connectors.runtime.plugins import connector_class


class ToyTask(SinkTask):
    def start(self, props: object) -> None:
        return

    def put(self, records: list[SinkRecord]) -> None:
        return

    def stop(self) -> None:
        return


class ToySink(SinkConnector):
    @classmethod
    def task_class(cls) -> type[SinkTask]:
        return ToyTask

    @classmethod
    def config(cls) -> ConfigDef:
        return ConfigDef().define("url", Type.STRING, doc="Where to.")


class ToySource(SourceConnector):
    @classmethod
    def task_class(cls) -> type[SourceTask]:
        return SourceTask

    @classmethod
    def config(cls) -> ConfigDef:
        return ConfigDef()


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    toys = {
        name: EntryPoint(name, f"{__name__}:{name}", "faust_connect.connectors") for name in ("ToySink", "ToySource")
    }
    found = plugins._found
    monkeypatch.setattr(plugins, "_found", lambda group: toys if group == "connectors" else found(group))


def errors(**props: str) -> list[str]:
    given = {"name": "x", "connector.class": "ToySink"} | {k.replace("__", "."): v for k, v in props.items()}
    return [text for value in check(given)[1] for text in value.errors]


def test_a_good_configuration_has_no_errors() -> None:
    assert errors(url="u", topics="t") == []


def test_all_errors_of_framework_and_plugin_come_at_once() -> None:
    found = errors(tasks__max="0", value__converter="cannal-json", transforms="a")
    assert len(found) == 5
    text = "\n".join(found)
    assert "Missing required option url" in text
    assert "did you mean canal-json" in text
    assert "transforms.a.type" in text
    assert "Exactly one of the options topics and topics.regex" in text


def test_the_dead_letter_topic_may_not_be_read_too() -> None:
    assert "is one of the topics" in errors(url="u", topics="t,d", errors__deadletterqueue__topic__name="d")[0]


@pytest.mark.parametrize("name", ["ToySink", f"{__name__}.ToySink"])
def test_a_connector_goes_by_several_names(name: str) -> None:
    assert connector_class(name) is ToySink


def test_an_ambiguous_short_name_lists_the_candidates() -> None:
    with pytest.raises(ConfigError, match="ambiguous: ToySink, ToySource"):
        connector_class("Toy")


def test_an_unknown_class_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean ToySink"):
        connector_class("ToySinc")
