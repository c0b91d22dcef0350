"""Errors, files, hashing, progress, devices and processes: what every room builds on."""
