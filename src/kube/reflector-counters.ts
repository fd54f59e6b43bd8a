/** What a reflector counts. */

export interface ReflectorCounters {
  lists: number;
  /** Lists after the first. */
  relists: number;
  watches: number;
  /** Objects told by watches. */
  events: number;
  bookmarks: number;
  /** Events that had been told before. */
  duplicates: number;
  /** Times the version to resume from was too old (HTTP 410). */
  expired: number;
  /** Answers and lines that could not be read. */
  undecodable: number;
  /** Watches that were cut because their server did not end them. */
  overdue: number;
  /** Failures of any kind, those above among them. */
  failures: number;
  /** When the server last said something, by the monotonic clock in ms; 0 before. */
  lastLifeMs: number;
}

export function makeCounters(): ReflectorCounters {
  return {
    lists: 0,
    relists: 0,
    watches: 0,
    events: 0,
    bookmarks: 0,
    duplicates: 0,
    expired: 0,
    undecodable: 0,
    overdue: 0,
    failures: 0,
    lastLifeMs: 0,
  };
}
