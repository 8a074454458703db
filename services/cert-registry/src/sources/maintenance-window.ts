/**
 * Maintenance windows: when a switch may be made by itself, as an operator writes it. Pure.
 */

/** From when to when, in milliseconds since the epoch. */
export interface OpenSpan {
  readonly opensAt: number;
  readonly closesAt: number;
}

export interface MaintenanceWindow {
  /** The span that `now` is in, or else the one that begins next. */
  next(now: number): OpenSpan;
}
