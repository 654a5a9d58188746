"""Values and rules of mail in a CRM: no I/O, no clock, no logging, standard library only."""
