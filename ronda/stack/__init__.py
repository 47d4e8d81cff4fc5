"""What a stack of containers needs and `ronda up` does by itself: secrets, preparation, mail, health."""
