"""Comparing documents and index, and repairing what differs."""

from scylla_store.reconcile.compare import Drift
from scylla_store.reconcile.pace import check_request
from scylla_store.reconcile.progress import Progress
from scylla_store.reconcile.rebuild import Rebuild
from scylla_store.reconcile.reconciler import Reconciler
from scylla_store.reconcile.resyncing import resync
from scylla_store.reconcile.rounds import ReconcileReport, Reports

__all__ = ["Drift", "Progress", "Rebuild", "ReconcileReport", "Reconciler", "Reports", "check_request", "resync"]
