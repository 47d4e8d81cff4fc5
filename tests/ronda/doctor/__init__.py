"""The doctor: rules on facts, and the facts themselves."""
