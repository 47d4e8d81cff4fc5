"""What runs centrally? The chain of agents, the API, the store, the models and the notifications."""

from importlib.util import find_spec

if find_spec("fastapi") is None:
    raise ImportError("cloud/ needs: pip install 'ronda[cloud]'")
