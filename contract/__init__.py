"""What is said? Messages, topics, codecs and errors. Depends on nothing of ours."""
