"""The fault campaign: a whole installation on a cluster of three nodes, broken in one way after another."""
