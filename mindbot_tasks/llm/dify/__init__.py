"""Dify apps of every kind as answerers: one app in `app`, several behind one workflow in `pool`.

Endpoints, events and codes: Dify's OpenAPI 1.0.0 and documentation, read 2026-11-20.
"""
