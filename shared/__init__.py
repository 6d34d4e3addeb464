"""Code shared by the services: settings, logs, metrics, health, lifecycle, messages, connections."""
