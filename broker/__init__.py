"""How the parties meet: the bus that agents and devices speak over, and the brokers that carry it."""
