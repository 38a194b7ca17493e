"""Runnable measurements (`make bench`): candidate and baseline side by side in one run; never assertions of a test."""
