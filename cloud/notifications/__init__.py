"""Who is told, when, and in which words: the decision, the mail, the webhook and the local mailbox."""
