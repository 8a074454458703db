/** The numbers of our advisory locks, which all programs that share a database choose from. */

/** "Conc" in ASCII, above what an id can be. */
const OURS = 0x43_6f_6e_63n << 32n;

/** Held by who brings the schema up to date. */
export const SCHEMA_LOCK = OURS - 1n;
/** Held for one sweep: sweeps of several processes would all free the same rows. */
export const SWEEP_LOCK = OURS - 2n;
/** Plus the account's id: its maildrop. */
export const MAILDROP_LOCKS = OURS;
