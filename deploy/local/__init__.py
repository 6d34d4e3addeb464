"""The whole system on one machine: private servers, the services, one terminal."""
