"""Which options of Kafka's clients a connector may set: `CONNECTORS_CLIENT_CONFIG_OVERRIDE_POLICY`.

Source: KIP-458, Kafka Connect's `connector.client.config.override.policy`, with librdkafka's names of options.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Final, Literal

from connectors.api.errors import ConfigError, did_you_mean

__all__ = ["check_override", "policy"]

Policy = Literal["All", "None", "Principal"]

_VARIABLE: Final = "CONNECTORS_CLIENT_CONFIG_OVERRIDE_POLICY"
_POLICIES: Final[tuple[Policy, ...]] = ("All", "None", "Principal")
_OVERRIDE: Final = re.compile(r"(producer|consumer|admin)\.override\.(.+)")
_PRINCIPAL: Final = ("security.protocol", "sasl.mechanism", "sasl.mechanisms", "sasl.username", "sasl.password")


def policy(env: Mapping[str, str]) -> Policy:
    """Read the policy, in any case; `All` where there is none.

    Args:
        env: The worker's environment.

    Raises:
        ConfigError: There is no such policy.
    """
    text = env.get(_VARIABLE, "").strip() or "All"
    for known in _POLICIES:
        if text.lower() == known.lower():
            return known
    near = did_you_mean(text, _POLICIES)
    raise ConfigError(f"{_VARIABLE}: {text!r} is not one of {', '.join(_POLICIES)}{near}", key=_VARIABLE)


def check_override(option: str, env: Mapping[str, str] | None = None) -> None:
    """Check an option against the policy; those that are not of a client pass.

    Args:
        option: Its whole name, e.g. `producer.override.linger.ms`.
        env: The worker's environment.

    Raises:
        ConfigError: The policy does not allow it.
    """
    found = _OVERRIDE.fullmatch(option)
    chosen = policy(os.environ if env is None else env) if found else "All"
    if found is None or chosen == "All" or (chosen == "Principal" and found[2] in _PRINCIPAL):
        return
    allowed = "no options" if chosen == "None" else f"only {', '.join(_PRINCIPAL)}"
    of = "" if chosen == "Principal" else " of Kafka's clients"
    raise ConfigError(f"Option {option}: this worker allows {allowed}{of} ({_VARIABLE} is {chosen})", key=option)
