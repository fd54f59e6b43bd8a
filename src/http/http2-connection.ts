/** One HTTP/2 connection over a byte stream, as client or as server (RFC 9113). */

import type { AmbitError } from '../base/errors.ts';
import type { ByteStream, ByteStreamHandler } from '../io/byte-stream.ts';
import type { Timer } from '../io/reactor.ts';
import { httpErrors } from './errors.ts';
import type { HeaderList } from './header-list.ts';
import type { FloodCause, Http2Counters } from './http2-counters.ts';
import { Http2ErrorCode, http2ErrorName } from './http2-error-code.ts';
import { MAX_STREAM_ID } from './http2-frame.ts';
import { LINGER_MS, OUTPUT_STALL_MS, SETTINGS_TIMEOUT_MS } from './http2-limits.ts';
import { Http2Session, type SessionHost } from './http2-session.ts';
import type { Http2Settings } from './http2-settings.ts';
import { type Http2Stream, type Http2StreamHandler, idleHandler } from './http2-stream.ts';
import { KeepAlive } from './keep-alive.ts';

export interface Http2ConnectionEvents {
  /** The peer's SETTINGS are here. A client may open streams before. */
  onReady(): void;
  /** Servers: a request whose form is sound; `onEnd()` of the handler follows when it has no body. */
  onRequest?(stream: Http2Stream, headers: HeaderList, endOfStream: boolean): Http2StreamHandler;
  /** Servers: the peer has opened a stream beyond the limit that it was told. */
  onStreamRefused?(): void;
  /** The peer takes no new streams; those that are open go on. */
  onGoAway?(): void;
  /** A stream has ended, or the peer has raised its limit. */
  onStreamsAvailable?(): void;
  /** Exactly once, after every stream's onReset(); without an error when both sides had finished. */
  onClosed(error: AmbitError | undefined): void;
}

export interface Http2ConnectionOptions {
  readonly role: 'client' | 'server';
  readonly settings: Http2Settings;
  readonly events: Http2ConnectionEvents;
  readonly counters: Http2Counters;
}

/** Payloads of our own PINGs, to tell their acknowledgements apart. */
const KEEP_ALIVE_PING = 1;
const DRAIN_PING = 2;

type Phase = 'new' | 'open' | 'ended' | 'closed';

export class Http2Connection implements ByteStreamHandler {
  readonly #stream: ByteStream;
  readonly #options: Http2ConnectionOptions;
  readonly #session: Http2Session;
  readonly #keepAlive: KeepAlive;
  #phase: Phase = 'new';
  #timer: Timer | undefined;
  #openHeaderBlock = 0;
  #settingsAcknowledged = false;
  #ready = false;
  // GOAWAY in either direction.
  #draining = false;
  #finalGoAwaySent = false;
  #peerGoAway: { readonly lastStreamId: number; readonly errorCode: number } | undefined;

  /** Becomes the stream's handler. When the stream is open already, the caller calls {@link onOpen} itself. */
  constructor(stream: ByteStream, options: Http2ConnectionOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#session = new Http2Session(stream, this.#sessionHost(), options);
    this.#keepAlive = new KeepAlive(stream.reactor, {
      intervalMs: options.settings.keepAliveIntervalMs,
      timeoutMs: options.settings.keepAliveTimeoutMs,
      sendPing: () => this.#session.sender.writer.ping(false, 0, KEEP_ALIVE_PING),
      onDead: () => this.#onDead(),
      isOutOfPatience: () => this.#isOutOfPatience(),
    });
    stream.handler = this;
    options.counters.connections++;
  }

  get openStreams(): number {
    return this.#session.table.size;
  }

  /** How many streams the peer lets us have open at once. */
  get maxPeerStreams(): number {
    return this.#session.peer.maxConcurrentStreams;
  }

  /** Clients: whether {@link openStream} would work. False after GOAWAY either way. */
  get acceptsStreams(): boolean {
    return (
      this.#phase === 'open' &&
      !this.#draining &&
      this.#peerGoAway === undefined &&
      !this.#session.table.exhausted &&
      this.openStreams < this.maxPeerStreams
    );
  }

  /** Whether it will never again accept streams. */
  get isLeaving(): boolean {
    const gone = this.#phase === 'ended' || this.#phase === 'closed';
    return gone || this.#draining || this.#peerGoAway !== undefined || this.#session.table.exhausted;
  }

  /** Bytes handed to handlers that were not given back by Http2Stream.consumed() yet. */
  get heldBytes(): number {
    return this.#session.heldBytes;
  }

  /** Clients: opens a stream with these request fields; undefined when the peer takes none, or none so large. */
  openStream(headers: HeaderList, handler: Http2StreamHandler, endOfStream = false): Http2Stream | undefined {
    if (!this.acceptsStreams) return undefined;
    return this.#session.open(headers, handler, endOfStream);
  }

  /**
   * Ends the connection without losing a request (RFC 9113 §6.8): a server announces it, and names the last stream
   * only after a round trip, when every stream that was on its way has arrived.
   */
  startDrain(): void {
    if (this.#draining || this.#phase !== 'open') return;
    this.#draining = true;
    const { writer } = this.#session.sender;
    if (this.#options.role === 'server') {
      writer.goAway(MAX_STREAM_ID, Http2ErrorCode.noError, '');
      writer.ping(false, 0, DRAIN_PING);
      return;
    }
    this.#sendFinalGoAway();
  }

  /** Ends the connection now; streams that are open are reset. */
  close(errorCode: number): void {
    this.#end(errorCode, '', undefined);
  }

  onOpen(): void {
    this.#phase = 'open';
    this.#session.start();
    this.#timer = this.#stream.reactor.setTimer(SETTINGS_TIMEOUT_MS, () => this.#onSettingsTimeout());
    this.#keepAlive.start();
  }

  onInput(): void {
    this.#keepAlive.noteInput();
    this.#session.readInput();
  }

  /** Half-closed TCP has no meaning in HTTP/2: nothing that we could ask for would be answered. */
  onInputEnd(): void {
    if (this.#phase === 'ended') this.#stream.close();
    else this.#end(Http2ErrorCode.noError, '', this.#lossError(undefined));
  }

  onOutputSpace(): void {
    if (this.#phase === 'open') this.#session.sender.resume();
  }

  onClosed(error: AmbitError | undefined): void {
    const wasEnded = this.#phase === 'ended';
    this.#stopTimers();
    this.#phase = 'closed';
    if (!wasEnded) this.#tellClosed(Http2ErrorCode.internalError, error ?? this.#lossError(undefined));
  }

  #sessionHost(): SessionHost {
    return {
      onRequest: (stream, headers, endOfStream) => this.#onRequest(stream, headers, endOfStream),
      onStreamRefused: () => this.#options.events.onStreamRefused?.(),
      onStreamGone: () => this.#onStreamGone(),
      onSettings: () => this.#onSettings(),
      onSettingsAck: () => this.#onSettingsAck(),
      onPingAck: (_, low) => this.#onPingAck(low),
      onGoAway: (lastStreamId, errorCode) => this.#onGoAway(lastStreamId, errorCode),
      onViolation: (errorCode, what) => this.#onViolation(errorCode, what),
      onFlood: (cause) => this.#onFlood(cause),
    };
  }

  #onRequest(stream: Http2Stream, headers: HeaderList, endOfStream: boolean): Http2StreamHandler {
    const handler = this.#options.events.onRequest?.(stream, headers, endOfStream);
    if (handler === undefined) stream.reset(Http2ErrorCode.refusedStream);
    return handler ?? idleHandler;
  }

  #onStreamGone(): void {
    if (this.#phase !== 'open') return;
    if (this.openStreams === 0 && this.#mayFinish()) this.#finish();
    else this.#options.events.onStreamsAvailable?.();
  }

  /** Nothing can come any more: one side has said its last word about streams, and there are none. */
  #mayFinish(): boolean {
    return this.#finalGoAwaySent || this.#peerGoAway !== undefined || this.#session.table.exhausted;
  }

  #onSettings(): void {
    if (this.#ready) {
      this.#options.events.onStreamsAvailable?.();
      return;
    }
    this.#ready = true;
    this.#settingsDone();
    this.#options.events.onReady();
  }

  #onSettingsAck(): void {
    this.#settingsAcknowledged = true;
    this.#settingsDone();
  }

  #settingsDone(): void {
    if (!this.#ready || !this.#settingsAcknowledged) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #onPingAck(low: number): void {
    if (low === DRAIN_PING && this.#draining && !this.#finalGoAwaySent) this.#sendFinalGoAway();
  }

  #sendFinalGoAway(): void {
    this.#finalGoAwaySent = true;
    this.#session.takesRequests = false;
    this.#session.sender.writer.goAway(this.#session.table.lastPeerId, Http2ErrorCode.noError, '');
    if (this.openStreams === 0) this.#finish();
  }

  #onGoAway(lastStreamId: number, errorCode: number): void {
    const before = this.#peerGoAway;
    const last = Math.min(lastStreamId, before?.lastStreamId ?? MAX_STREAM_ID);
    this.#peerGoAway = { lastStreamId: last, errorCode };
    if (this.#options.role === 'client') this.#session.dropUnhandled(last);
    if (this.#phase !== 'open') return;
    if (before === undefined) this.#options.events.onGoAway?.();
    if (this.openStreams === 0) this.#finish();
  }

  #onViolation(errorCode: number, what: string): void {
    this.#options.counters.protocolErrors++;
    const message = `${this.#peerName()} broke HTTP/2 (${http2ErrorName(errorCode)}): ${what}`;
    const error =
      this.#options.role === 'server'
        ? httpErrors.AMBIT_HTTP2_DOWNSTREAM_VIOLATION(message)
        : httpErrors.AMBIT_HTTP2_UPSTREAM_VIOLATION(message);
    this.#end(errorCode, what, error);
  }

  #onFlood(cause: FloodCause): void {
    const error = httpErrors.AMBIT_HTTP2_FLOOD(`${this.#peerName()} went over the limit of ${cause}`);
    this.#end(Http2ErrorCode.enhanceYourCalm, `flood: ${cause}`, error);
  }

  #onSettingsTimeout(): void {
    this.#timer = undefined;
    this.#options.counters.settingsTimeouts++;
    const what = 'SETTINGS were not sent or not acknowledged in time';
    const error = httpErrors.AMBIT_HTTP2_UNRESPONSIVE(`${this.#peerName()}: ${what}`);
    this.#end(Http2ErrorCode.settingsTimeout, what, error);
  }

  #onDead(): void {
    this.#options.counters.keepAliveTimeouts++;
    this.#giveUp(`sent nothing for ${this.#options.settings.keepAliveTimeoutMs} ms after a PING`);
  }

  /** A peer that gives signs of life, but keeps us waiting in a way that holds memory. */
  #isOutOfPatience(): boolean {
    const { reactor, outputBlockedSinceMs } = this.#stream;
    const { counters, settings } = this.#options;
    if (outputBlockedSinceMs !== undefined && reactor.nowMs - outputBlockedSinceMs >= OUTPUT_STALL_MS) {
      counters.outputStalls++;
      this.#giveUp(`took nothing of what was sent for ${OUTPUT_STALL_MS} ms`);
      return true;
    }
    const block = this.#session.openHeaderBlock;
    const isOld = block !== 0 && block === this.#openHeaderBlock;
    this.#openHeaderBlock = block;
    if (!isOld) return false;
    counters.headerTimeouts++;
    this.#giveUp(`did not end a header block within ${settings.keepAliveIntervalMs} ms`);
    return true;
  }

  #giveUp(what: string): void {
    const error = httpErrors.AMBIT_HTTP2_UNRESPONSIVE(`${this.#peerName()} ${what}`);
    this.#tellClosed(Http2ErrorCode.noError, error);
    this.#stream.close(error);
  }

  #peerName(): string {
    const { ip, port } = this.#stream.remoteAddress;
    return `HTTP/2 peer ${ip} port ${port}`;
  }

  /** What to say when the peer closes: nothing when no stream was open and it did not complain. */
  #lossError(cause: AmbitError | undefined): AmbitError | undefined {
    const code = this.#peerGoAway?.errorCode ?? Http2ErrorCode.noError;
    if (this.openStreams === 0 && code === Http2ErrorCode.noError) return undefined;
    const reason = code === Http2ErrorCode.noError ? '' : ` after GOAWAY ${http2ErrorName(code)}`;
    return httpErrors.AMBIT_HTTP2_CLOSED_BY_PEER(
      `${this.#peerName()} closed the connection with ${this.openStreams} streams open${reason}`,
      cause,
    );
  }

  /** Both sides are done with all streams. */
  #finish(): void {
    const code = this.#peerGoAway?.errorCode ?? Http2ErrorCode.noError;
    this.#end(
      Http2ErrorCode.noError,
      '',
      code === Http2ErrorCode.noError ? undefined : this.#lossError(undefined),
    );
  }

  #end(errorCode: number, text: string, error: AmbitError | undefined): void {
    if (this.#phase !== 'open' && this.#phase !== 'new') return;
    const wasOpen = this.#phase === 'open';
    const { table, sender } = this.#session;
    if (wasOpen && !(this.#finalGoAwaySent && errorCode === Http2ErrorCode.noError)) {
      sender.writer.goAway(table.lastPeerId, errorCode, text);
    }
    this.#tellClosed(errorCode, error);
    if (!wasOpen) {
      this.#stream.close();
      return;
    }
    this.#stream.shutdownOutput();
    this.#timer = this.#stream.reactor.setTimer(LINGER_MS, () => this.#stream.close());
  }

  #tellClosed(errorCode: number, error: AmbitError | undefined): void {
    this.#stopTimers();
    if (this.#phase !== 'closed') this.#phase = 'ended';
    this.#session.end(errorCode, error);
    this.#options.counters.connectionsClosed++;
    this.#options.events.onClosed(error);
  }

  #stopTimers(): void {
    this.#keepAlive.stop();
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
