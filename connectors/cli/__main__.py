"""`python -m connectors.cli`: the command `connectors` where its script is not on the path."""

from connectors.cli.main import main

main(prog_name="connectors")
