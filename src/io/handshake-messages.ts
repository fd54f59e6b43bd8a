/** The handshake messages that come after the handshake of TLS 1.3 (RFC 8446 §4.6). */

const NEW_SESSION_TICKET = 4;
const KEY_UPDATE = 24;
const HEADER_BYTES = 4;
/** A ticket holds what the server likes, its own session with a chain of certificates at worst. */
const MAX_MESSAGE_BYTES = 64 * 1024;

const UNEXPECTED_MESSAGE = 10;
const ILLEGAL_PARAMETER = 47;
const DECODE_ERROR = 50;

export type MessageVerdict =
  | { readonly kind: 'fine' }
  /** What comes next is sealed with the peer's next key. */
  | { readonly kind: 'key-update'; readonly wantsReply: boolean }
  | { readonly kind: 'fault'; readonly alert: number; readonly what: string };

const FINE: MessageVerdict = { kind: 'fine' };
const EMPTY = new Uint8Array(0);

export class HandshakeMessages {
  /** Tells that our next record is sealed with the next key, and asks for nothing (§4.6.3). */
  static readonly keyUpdate: Uint8Array = Uint8Array.of(KEY_UPDATE, 0, 0, 1, 0);
  readonly #role: 'client' | 'server';
  /** The beginning of a message whose rest is still to come. */
  #held: Uint8Array = EMPTY;

  constructor(role: 'client' | 'server') {
    this.#role = role;
  }

  /** Whether a message has begun and not ended: nothing else may come in between (§5.1). */
  get isCut(): boolean {
    return this.#held.length > 0;
  }

  /** Takes the content of one record. */
  take(content: Uint8Array): MessageVerdict {
    if (content.length === 0) return fault(UNEXPECTED_MESSAGE, 'an empty handshake record');
    let rest: Uint8Array = this.isCut ? Buffer.concat([this.#held, content]) : content;
    this.#held = EMPTY;
    while (rest.length >= HEADER_BYTES) {
      const length = HEADER_BYTES + ((rest[1]! << 16) | (rest[2]! << 8) | rest[3]!);
      if (length > MAX_MESSAGE_BYTES) return fault(DECODE_ERROR, 'a handshake message is too long');
      if (rest.length < length) break;
      const verdict = this.#judge(rest.subarray(0, length), rest.length > length);
      if (verdict.kind !== 'fine') return verdict;
      rest = rest.subarray(length);
    }
    if (rest.length > 0) this.#held = Uint8Array.from(rest);
    return FINE;
  }

  #judge(message: Uint8Array, isFollowed: boolean): MessageVerdict {
    const type = message[0];
    // We resume no sessions, so a ticket is of no use.
    if (type === NEW_SESSION_TICKET && this.#role === 'client') return FINE;
    if (type !== KEY_UPDATE) return fault(UNEXPECTED_MESSAGE, 'a handshake message after the handshake');
    if (message.length !== HEADER_BYTES + 1) return fault(DECODE_ERROR, 'KeyUpdate has the wrong size');
    if (isFollowed) return fault(UNEXPECTED_MESSAGE, 'a record goes on behind KeyUpdate');
    const request = message[HEADER_BYTES]!;
    if (request > 1) return fault(ILLEGAL_PARAMETER, 'KeyUpdate asks for what there is not');
    return { kind: 'key-update', wantsReply: request === 1 };
  }
}

function fault(alert: number, what: string): MessageVerdict {
  return { kind: 'fault', alert, what };
}
