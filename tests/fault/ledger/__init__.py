"""The ledger: a client that remembers what it was told, and a judge that compares it with the data.

    Load    drives seeded load from its own process; appends a record before each request and one
            at its answer (record.py says how they look)
    verify  compares these records with the databases: one verdict a promise of the program

It shares no code with the program it judges: what it knows comes from docs/message_schema.md,
docs/api_endpoints.md and docs/patterns.md. python3 -m ledger --help has the command line.
"""
from .load import Load
from .verify import Verdict, verify

__all__ = ["Load", "Verdict", "verify"]
