"""The worker: takes connectors over REST, places their tasks and runs them."""
