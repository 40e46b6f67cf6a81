"""Versions from elsewhere: fetched from the places that publish them, and asked for newer ones."""
