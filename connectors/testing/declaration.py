"""What every plugin must declare, as tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from connectors.api.config import Password, Type
from connectors.api.connector import Connector
from connectors.testing.calls import planned

__all__ = ["DeclarationConformance"]


class DeclarationConformance:
    """The part that sources and sinks have in common."""

    connector: ClassVar[Any]

    def test_every_option_is_documented(self) -> None:
        """Pages and forms are made of the texts."""
        assert issubclass(self.connector, Connector)
        undocumented = [key.name for key in self.connector.config() if not key.doc.strip()]
        assert undocumented == []

    def test_every_default_is_valid(self) -> None:
        """A default that the option's own validator refuses cannot be written down by a user."""
        for key in self.connector.config():
            if key.required or key.default is None or key.validator is None:
                continue
            key.validator(key.name, key.default)

    def test_configuration_is_valid(self, props: Mapping[str, str]) -> None:
        """The options of this suite pass validation."""
        assert [error for value in self.connector.validate(props) for error in value.errors] == []

    def test_missing_option_is_named(self, props: Mapping[str, str]) -> None:
        """Each required option, left out, gives an error on its own name."""
        for key in self.connector.config():
            if key.required and key.pattern is None:
                without = {name: value for name, value in props.items() if name != key.name}
                wrong = {value.name for value in self.connector.validate(without) if value.errors}
                assert key.name in wrong, f"{key.name} is required, and its absence is not reported"

    def test_unknown_option_is_an_error(self, props: Mapping[str, str]) -> None:
        """A mistyped option that is ignored loses data."""
        found = self.connector.validate({**props, "no.such.option": "1"})
        assert any(value.name == "no.such.option" and value.errors for value in found)

    def test_secrets_do_not_print(self, props: Mapping[str, str]) -> None:
        """Values of type PASSWORD print as `[hidden]`."""
        secrets = [key.name for key in self.connector.config() if key.type is Type.PASSWORD and key.pattern is None]
        found = {value.name: value for value in self.connector.validate({**props, **dict.fromkeys(secrets, "s3cr3t")})}
        for name in secrets:
            assert "s3cr3t" not in str(found[name].value)
            assert found[name].value is None or isinstance(found[name].value, Password)

    async def test_plans_no_more_tasks_than_allowed(self, props: Mapping[str, str]) -> None:
        """`task_configs` keeps to its limit and gives text."""
        for most in (1, 3):
            configs = await planned(self.connector, props, most)
            assert 1 <= len(configs) <= most
            for config in configs:
                assert all(isinstance(part, str) for pair in config.items() for part in pair)
