"""The whole system on one machine: private servers and the services, in one terminal."""
