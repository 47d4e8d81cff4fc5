"""The command and its composition roots; `ronda.client` is the Python client of the API."""
