#!/bin/sh
# Run once by PostgreSQL's image when the database is made: MLflow gets a database and a user of its own.
set -eu
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
    --set password="$(cat /run/secrets/mlflow_database_password)" <<'SQL'
CREATE ROLE mlflow LOGIN PASSWORD :'password';
-- Not of template1, to which TimescaleDB's own processes are connected.
CREATE DATABASE mlflow OWNER mlflow TEMPLATE template0;
SQL
