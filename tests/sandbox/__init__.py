"""The bank in a box, seen through its wire."""
