"""How were the models chosen? Notebooks that are executed as tests; nothing that production needs is defined here."""
