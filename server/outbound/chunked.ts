import { Malformed } from "./head.ts";

const maxLine = 1024; // a chunk's size and extensions
const maxTrailers = 16 * 1024;

enum At {
  Size,
  Extension,
  SizeEnd,
  Data,
  DataReturn,
  DataEnd,
  TrailerStart,
  Trailer,
  TrailerEnd,
  LastEnd,
  Done,
}

const returnCode = 0x0d;
const newline = 0x0a;

/** Decodes the chunked transfer coding (RFC 9112 section 7.1) from pieces cut anywhere; trailers are dropped. */
export class ChunkedDecoder {
  #at = At.Size;
  #left = 0;
  #digits = 0;
  #line = 0;
  #trailers = 0;
  /** How many bytes of the last input belong to the body; more only once `done`. */
  consumed = 0;

  /** True after the last chunk and its trailers. */
  get done(): boolean {
    return this.#at === At.Done;
  }

  /** The body bytes in a piece, as a copy; throws Malformed. */
  decode(piece: Uint8Array): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(piece.length);
    let length = 0;
    let i = 0;
    while (i < piece.length && this.#at !== At.Done) {
      if (this.#at === At.Data) {
        const part = piece.subarray(i, i + this.#left);
        out.set(part, length);
        length += part.length;
        i += part.length;
        this.#left -= part.length;
        if (this.#left === 0) this.#at = At.DataReturn;
      } else {
        this.#step(piece[i++]!);
      }
    }
    this.consumed = i;
    return out.subarray(0, length);
  }

  #step(byte: number): void {
    switch (this.#at) {
      case At.Size:
        return this.#size(byte);
      case At.Extension:
        return this.#extension(byte);
      case At.SizeEnd:
        this.#expect(byte, newline);
        this.#at = this.#left === 0 ? At.TrailerStart : At.Data;
        this.#digits = this.#line = 0;
        return;
      case At.DataReturn:
        this.#expect(byte, returnCode);
        this.#at = At.DataEnd;
        return;
      case At.DataEnd:
        this.#expect(byte, newline);
        this.#at = At.Size;
        return;
      default:
        return this.#trailer(byte);
    }
  }

  #size(byte: number): void {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      // Twelve digits are 256 TiB, and exact in a number.
      if (++this.#digits > 12) throw new Malformed("a chunk size is too large");
      this.#left = this.#left * 16 + digit;
    } else if (this.#digits === 0) throw new Malformed("a chunk size is malformed");
    else if (byte === returnCode) this.#at = At.SizeEnd;
    else if (byte === 0x3b) this.#at = At.Extension;
    else throw new Malformed("a chunk size is malformed");
  }

  #extension(byte: number): void {
    if (byte === returnCode) this.#at = At.SizeEnd;
    else if (isControl(byte)) throw new Malformed("a chunk extension is malformed");
    else if (++this.#line > maxLine) throw new Malformed("a chunk extension is too long");
  }

  #trailer(byte: number): void {
    if (++this.#trailers > maxTrailers) throw new Malformed("its trailers are too long");
    switch (this.#at) {
      case At.TrailerStart:
        if (byte === returnCode) this.#at = At.LastEnd;
        else if (isControl(byte) || byte === 0x20 || byte === 0x09) {
          throw new Malformed("a trailer is malformed");
        } else this.#at = At.Trailer;
        return;
      case At.Trailer:
        if (byte === returnCode) this.#at = At.TrailerEnd;
        else if (isControl(byte)) throw new Malformed("a trailer is malformed");
        return;
      case At.TrailerEnd:
        this.#expect(byte, newline);
        this.#at = At.TrailerStart;
        return;
      default:
        this.#expect(byte, newline);
        this.#at = At.Done;
    }
  }

  #expect(byte: number, wanted: number): void {
    if (byte !== wanted) throw new Malformed("a chunk does not end where its size says");
  }
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

function isControl(byte: number): boolean {
  return (byte < 0x20 && byte !== 0x09) || byte === 0x7f;
}
