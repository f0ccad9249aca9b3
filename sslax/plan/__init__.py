"""Plan a run for hardware that is not there: `python -m sslax.plan`."""
