"""`ronda doctor`: what is wrong with an installation, with whom, since when, and what to do about it.

Facts are collected first, each part within a bounded time; what they mean is then said by pure functions.
"""
