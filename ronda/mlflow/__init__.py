"""MLflow as a server: its database, its logs, and where the registry is for everybody else."""
