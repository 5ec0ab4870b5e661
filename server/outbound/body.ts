import { ChunkedDecoder } from "./chunked.ts";
import { Malformed } from "./head.ts";
import type { Wire } from "./wire.ts";

const pieceBytes = 64 * 1024;
const brokeOff = "it broke off in the middle of the answer";

/** Reads a response body piece by piece; a piece may be empty, and none follows once `done`. */
export interface BodyReader {
  readonly done: boolean;
  next(): Promise<Uint8Array<ArrayBuffer>>;
}

/** A body of a known number of bytes, read straight into the pieces given out. */
export class LengthBody implements BodyReader {
  readonly #wire: Wire;
  #left: number;

  constructor(wire: Wire, length: number) {
    this.#wire = wire;
    this.#left = length;
  }

  get done(): boolean {
    return this.#left === 0;
  }

  async next(): Promise<Uint8Array<ArrayBuffer>> {
    const buffered = takeBuffered(this.#wire, this.#left);
    if (buffered.length > 0) {
      this.#left -= buffered.length;
      return buffered;
    }
    const piece = await readPiece(this.#wire, Math.min(this.#left, pieceBytes));
    if (piece === null) throw new Malformed(brokeOff);
    this.#left -= piece.length;
    return piece;
  }

  /** Reads the whole body into one array, calling `waiting` before each wait. */
  async whole(waiting: () => void): Promise<Uint8Array<ArrayBuffer>> {
    const body = new Uint8Array(this.#left);
    const view = this.#wire.view().subarray(0, this.#left);
    body.set(view);
    this.#wire.skip(view.length);
    let at = view.length;
    while (at < body.length) {
      waiting();
      const n = await this.#wire.readInto(body.subarray(at));
      if (n === null) throw new Malformed(brokeOff);
      at += n;
    }
    this.#left = 0;
    return body;
  }
}

/** A body in the chunked transfer coding. */
export class ChunkedBody implements BodyReader {
  readonly #wire: Wire;
  readonly #decoder = new ChunkedDecoder();

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  get done(): boolean {
    return this.#decoder.done;
  }

  /** Decodes what has arrived, without waiting. */
  arrived(): Uint8Array<ArrayBuffer> {
    const piece = this.#decoder.decode(this.#wire.view());
    this.#wire.skip(this.#decoder.consumed);
    return piece;
  }

  async next(): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#wire.buffered === 0 && !await this.#wire.fill()) throw new Malformed(brokeOff);
    return this.arrived();
  }
}

/** A body that ends with its connection. */
export class CloseBody implements BodyReader {
  readonly #wire: Wire;
  done = false;

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  async next(): Promise<Uint8Array<ArrayBuffer>> {
    const buffered = takeBuffered(this.#wire, Infinity);
    if (buffered.length > 0) return buffered;
    const piece = await readPiece(this.#wire, pieceBytes);
    if (piece !== null) return piece;
    this.done = true;
    return new Uint8Array(0);
  }
}

function takeBuffered(wire: Wire, most: number): Uint8Array<ArrayBuffer> {
  const piece = new Uint8Array(wire.view().subarray(0, Math.min(most, wire.buffered)));
  wire.skip(piece.length);
  return piece;
}

async function readPiece(wire: Wire, most: number): Promise<Uint8Array<ArrayBuffer> | null> {
  const target = new Uint8Array(most);
  const n = await wire.readInto(target);
  if (n === null) return null;
  // A short piece of a large array would keep all of it in memory.
  return n * 2 < most ? target.slice(0, n) : target.subarray(0, n);
}
