"""The chain: what each agent does with a batch. No transport, database or registry: those are handed in as ports."""
