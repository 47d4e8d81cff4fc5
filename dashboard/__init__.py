"""What does a person see? The Dash application; it asks through the API's client and never a table."""

from importlib.util import find_spec

if find_spec("dash") is None:
    raise ImportError("dashboard/ needs: pip install 'ronda[dashboard]'")
