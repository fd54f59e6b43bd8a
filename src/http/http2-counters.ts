/** What the HTTP/2 layer counts: one object for all connections of a kind, read by telemetry. */

/** Plain numbers that only grow. */
export class Http2Counters {
  connections = 0;
  connectionsClosed = 0;
  streams = 0;
  streamsClosed = 0;
  /** Streams that the peer opened beyond its limit, or after our GOAWAY. */
  refusedStreams = 0;
  /** Messages that were reset because their header fields break the rules. */
  malformedMessages = 0;
  /** Header lists over the size or field limit. */
  headerListsTooLarge = 0;
  /** Connections closed for a violation that is no flood. */
  protocolErrors = 0;
  settingsTimeouts = 0;
  keepAliveTimeouts = 0;
  /** Connections closed because the peer took nothing of what was sent for OUTPUT_STALL_MS. */
  outputStalls = 0;
  /** Connections closed because a header block went on for longer than a keep-alive interval. */
  headerTimeouts = 0;
  /** Frames, and entries of header tables, counted against the bucket of that name in floodLimits. */
  rapidResets = 0;
  provokedResets = 0;
  settingsFrames = 0;
  pings = 0;
  priorityFrames = 0;
  emptyFrames = 0;
  windowUpdates = 0;
  tableInsertions = 0;
  glitches = 0;
  /** Connections closed because that bucket was empty. */
  readonly floods = {
    rapidResets: 0,
    provokedResets: 0,
    settingsFrames: 0,
    pings: 0,
    priorityFrames: 0,
    emptyFrames: 0,
    windowUpdates: 0,
    tableInsertions: 0,
    glitches: 0,
    /** More than MAX_CONTINUATIONS frames, or more octets than a header block may have. */
    headerBlocks: 0,
    /** A header list beyond HEADER_BOMB_FACTOR times what we take. */
    headerBombs: 0,
    /** More than MAX_SETTINGS_ENTRIES. */
    settingsEntries: 0,
    /** More than MAX_QUEUED_REPLIES. */
    queuedReplies: 0,
  };
}

export type FloodCause = keyof Http2Counters['floods'];
