"""What runs centrally? The chain of agents, the API, the store, the models and the notifications."""
