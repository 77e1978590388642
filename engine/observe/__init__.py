"""What the engine tells its keepers: logs and metrics, never clinical content."""
