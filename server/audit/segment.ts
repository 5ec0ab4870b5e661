/** How much to read at once; a single line may be longer. */
export interface ReadLimits {
  lines: number;
  bytes: number;
}

/** Some whole lines as they stand in the file; `advance` goes on by their length once they need not be kept. */
export interface Chunk {
  lines: Uint8Array;
  count: number;
}

const lineFeed = 10;
/** The bytes of one line, where they are many. */
const ordinaryLine = 1024;

/** The lines as texts, without their line feeds. */
export function textsOf(lines: Uint8Array): string[] {
  return new TextDecoder().decode(lines.subarray(0, -1)).split("\n");
}

/** One file of the journal: lines are appended at its end and read from its beginning. */
export class Segment {
  readonly path: string;
  #file: Deno.FsFile | null;
  #size: number;
  #at = 0;
  #sound = true;

  private constructor(path: string, file: Deno.FsFile | null, size: number) {
    this.path = path;
    this.#file = file;
    this.#size = size;
  }

  /** Begins a new, empty file. Lines always go to its end, wherever it is being read. */
  static create(path: string): Segment {
    return new Segment(
      path,
      Deno.openSync(path, { read: true, append: true, createNew: true, mode: 0o600 }),
      0,
    );
  }

  /** A file that another process left; it is opened when its turn comes. */
  static left(path: string, size: number): Segment {
    return new Segment(path, null, size);
  }

  /** Bytes of whole lines. */
  get size(): number {
    return this.#size;
  }

  /** Bytes that `advance` has not passed yet. */
  get unread(): number {
    return this.#size - this.#at;
  }

  /** False once a part of a line stands at the end and could not be taken back: nothing may follow it. */
  get sound(): boolean {
    return this.#sound;
  }

  /** Writes whole lines, or throws and takes back what was written of them. */
  append(lines: Uint8Array): void {
    if (!this.#file) throw new Error(`Cannot append to '${this.path}': it is closed`);
    let written = 0;
    try {
      // A full disk shows itself as a short write first, as an error at the next.
      while (written < lines.length) written += this.#file.writeSync(lines.subarray(written));
    } catch (error) {
      if (written > 0) this.#takeBack(this.#file);
      throw error;
    }
    this.#size += lines.length;
  }

  #takeBack(file: Deno.FsFile): void {
    try {
      file.truncateSync(this.#size);
    } catch {
      this.#sound = false; // the caller turns to another file, and readers stop at #size
    }
  }

  /** The next whole lines; null where there are none, though `unread` may still count an unfinished one. */
  read(limits: ReadLimits): Chunk | null {
    // As much as so many ordinary lines take, as memory that is read into and not used is not had back at once.
    for (let bytes = Math.min(limits.bytes, limits.lines * ordinaryLine);; bytes *= 4) {
      const window = this.#window(Math.min(bytes, this.unread));
      const { end, count } = wholeLines(window, limits.lines);
      const enough = count === limits.lines || bytes >= limits.bytes || window.length === this.unread;
      if (count > 0 && enough) return { lines: window.subarray(0, end), count };
      if (window.length === this.unread) return null;
    }
  }

  #window(length: number): Uint8Array {
    if (length === 0) return new Uint8Array(0);
    this.#file ??= Deno.openSync(this.path, { read: true });
    this.#file.seekSync(this.#at, Deno.SeekMode.Start);
    const window = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const count = this.#file.readSync(window.subarray(filled));
      if (count === null) throw new Error(`Cannot read '${this.path}': it is shorter than it was`);
      filled += count;
    }
    return window;
  }

  advance(bytes: number): void {
    this.#at += bytes;
  }

  /** Gives the disk back what was moved, so that an idle process leaves little to replay. */
  rewind(): void {
    if (this.#size < 64 * 1024 || !this.#sound) return;
    this.#file?.truncateSync(0);
    this.#size = this.#at = 0;
  }

  close(): void {
    this.#file?.close();
    this.#file = null;
  }

  remove(): void {
    try {
      Deno.removeSync(this.path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/** How many whole lines there are, at most `most`, and where they end. */
function wholeLines(bytes: Uint8Array, most: number): { end: number; count: number } {
  let end = 0;
  let count = 0;
  while (count < most) {
    const at = bytes.indexOf(lineFeed, end);
    if (at < 0) break;
    end = at + 1;
    count++;
  }
  return { end, count };
}
