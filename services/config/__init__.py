"""Settings of the services: one table, read from the environment, from files and from flags."""
