"""Deployment of Dialpass: manifests, monitoring, and the one-machine run."""
