"""Backups: of real databases, real registries and a real S3 store, put back and compared."""
