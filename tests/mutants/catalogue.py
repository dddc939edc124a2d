"""All mutants, by what they break."""

from __future__ import annotations

from tests.mutants.contending import CONTENDING
from tests.mutants.expiring import EXPIRING
from tests.mutants.filtering import FILTERING
from tests.mutants.finding import FINDING
from tests.mutants.foreign import FOREIGN
from tests.mutants.mutant import Mutant
from tests.mutants.outbox import OUTBOX
from tests.mutants.reconciling import RECONCILING
from tests.mutants.storing import STORING
from tests.mutants.syncing import SYNCING
from tests.mutants.working import WORKING
from tests.mutants.writing import WRITING

MUTANTS: tuple[Mutant, ...] = (
    *SYNCING,
    *WRITING,
    *OUTBOX,
    *WORKING,
    *RECONCILING,
    *FILTERING,
    *FINDING,
    *CONTENDING,
    *EXPIRING,
    *STORING,
    *FOREIGN,
)
