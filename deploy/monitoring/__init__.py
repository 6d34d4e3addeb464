"""What is watched: dashboards and alerts as people write them; see generate.py."""
