"""`ronda check`: does an environment keep what the product promises? Four gates, each line tried for real."""
