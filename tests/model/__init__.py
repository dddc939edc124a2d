"""The store held against a plain dictionary, step by step, with crashes anywhere: a state machine on real files and servers."""
