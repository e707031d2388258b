"""Opens the client library that is configured."""

from __future__ import annotations

import importlib.util

from connectors.clients.kudu.port import KuduClient
from connectors.clients.kudu.settings import KuduSettings

__all__ = ["open_client"]


def open_client(settings: KuduSettings) -> KuduClient:
    """Connect to Kudu. Blocks for up to a few seconds.

    Args:
        settings: How to reach the cluster; `auto` takes kudu-python where it can be imported, else the Java client.

    Raises:
        ConfigError: The library is not there; the message says how to get it.
        RetriableError: No master answers.
        FatalError: Access is refused.
    """
    installed = importlib.util.find_spec("kudu") is not None
    if settings.backend == "native" or (settings.backend == "auto" and installed):
        from connectors.clients.kudu.native import NativeKuduClient

        return NativeKuduClient(settings)
    from connectors.clients.kudu.jvm_client import JvmKuduClient

    return JvmKuduClient(settings)
