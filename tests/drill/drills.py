"""Every alarm's drill: what causes it, and what takes the cause away.

In phases: what stops a queue's workers would hold up the drills that need them.
"""

from tests.drill import drills_of_events, drills_of_mail
from tests.drill.drills_of_work import LAST, WORK

PHASES = (WORK + drills_of_events.DRILLS, drills_of_mail.DRILLS, LAST)
DRILLS = tuple(drill for phase in PHASES for drill in phase)
