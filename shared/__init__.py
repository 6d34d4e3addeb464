"""What the services really share: settings, logs, metrics, health, lifecycle, messages, connections."""
