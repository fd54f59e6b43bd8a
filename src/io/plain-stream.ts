/** A byte stream over a TCP connection without encryption. */

import { BufferedStream } from './buffered-stream.ts';

/** Takes the socket over, connecting or open; onOpen() follows in a later turn. */
export class PlainStream extends BufferedStream {
  protected begin(): void {
    this.opened();
  }

  protected proceed(): void {}

  protected fill(): number {
    const { input } = this;
    const count = this.socket.receiveInto(input.buffer, input.end, input.space());
    if (count > 0) input.end += count;
    return count;
  }

  protected drain(): boolean {
    const { output } = this;
    while (output.length > 0) {
      const count = this.socket.sendFrom(output.buffer, output.start, output.length);
      if (count < 0) return false;
      output.consume(count);
    }
    return true;
  }

  protected endOutput(): boolean {
    this.socket.shutdownWrite();
    return true;
  }

  protected dispose(): void {}
}
