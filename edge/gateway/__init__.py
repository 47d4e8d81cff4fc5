"""The gateway of a site: keeps what its machines say in a file of its own until the cloud has stored it."""
