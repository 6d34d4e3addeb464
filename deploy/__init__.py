"""Deploying Dialpass: images, manifests, and the one-machine run."""
