"""Opens the client library that is configured."""

from __future__ import annotations

import importlib
import importlib.util
import logging

from connectors.clients.kudu.port import KuduClient
from connectors.clients.kudu.settings import KuduSettings

__all__ = ["open_client"]

log = logging.getLogger(__name__)


def open_client(settings: KuduSettings) -> KuduClient:
    """Connect to Kudu. Blocks for up to a few seconds.

    Args:
        settings: How to reach the cluster; `auto` takes kudu-python where it can be imported, else the Java client.

    Raises:
        ConfigError: The library is not there; the message says how to get it.
        RetriableError: No master answers.
        FatalError: Access is refused.
    """
    if settings.backend == "native" or (settings.backend == "auto" and _native_works()):
        from connectors.clients.kudu.native import NativeKuduClient

        return NativeKuduClient(settings)
    from connectors.clients.kudu.jvm_client import JvmKuduClient

    return JvmKuduClient(settings)


def _native_works() -> bool:
    if importlib.util.find_spec("kudu") is None:
        return False
    try:
        importlib.import_module("kudu")
    except ImportError as error:  # its C++ library is missing or of another version
        log.warning("kudu-python is installed but cannot be loaded (%s); taking the Java client", error)
        return False
    return True
