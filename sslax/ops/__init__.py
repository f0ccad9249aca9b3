"""Pure functions that are not losses: distances, Sinkhorn, queues, ..."""
