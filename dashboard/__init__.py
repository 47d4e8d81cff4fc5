"""What does a person see? The Dash application; it asks through the API's client and never a table."""
