"""Clients of the systems that connectors and agents talk to; driver errors are translated here."""
