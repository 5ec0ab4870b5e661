import { AppError } from "../errors.ts";
import { adoptFolders, claimFolder, type Folder, release } from "./folders.ts";
import { type Chunk, type ReadLimits, Segment } from "./segment.ts";

/** Bytes after which a segment is closed and the next one begun, so that moved rows give their disk back. */
const segmentBytes = 8 * 1024 * 1024;

/**
 * Lines on disk that still have to be moved into the database: first in, first out.
 * A line that `append` took survives the end of the process, however it ends; only `advance` forgets it.
 */
export class Journal {
  readonly #folder: Folder;
  readonly #segments: Segment[] = [];
  readonly #adopted = new Set<Folder>();
  readonly #encoder = new TextEncoder();
  readonly #buffer = new Uint8Array(64 * 1024);
  #live: Segment | null = null;
  #count = 0;
  #appended = 0;
  #moved = 0;
  #closed = false;

  private constructor(folder: Folder) {
    this.#folder = folder;
  }

  /** Opens a journal of its own below `root` and takes over what processes that have ended left there. */
  static async open(root: string): Promise<Journal> {
    try {
      const journal = new Journal(await claimFolder(root));
      await journal.adopt();
      return journal;
    } catch (cause) {
      throw new AppError("unavailable", `Cannot open the audit journal in '${root}'`, { cause });
    }
  }

  /** Takes over the folders of processes that have ended since; returns the bytes found in them. */
  async adopt(): Promise<number> {
    const before = this.#appended;
    const found = await adoptFolders(this.#folder);
    if (found.length === 0) return 0;
    // What is written from now on comes behind what is found, so that `moved` counts in the order of the queue.
    this.#live = null;
    for (const folder of found) {
      this.#adopted.add(folder);
      for (const { path, size } of folder.segments) {
        this.#segments.push(Segment.left(path, size));
        this.#appended += size;
      }
    }
    return this.#appended - before;
  }

  /** Bytes ever taken in, adopted ones included; `moved` reaches it when everything is in the database. */
  get appended(): number {
    return this.#appended;
  }

  /** Bytes that need not be kept any longer. */
  get moved(): number {
    return this.#moved;
  }

  /** Where lines that the database will never take are kept. */
  get rejectedPath(): string {
    return `${this.#folder.root}/rejected.jsonl`;
  }

  /** Writes lines, each with its line feed, to disk, or throws and leaves the journal as it was. */
  append(lines: string): void {
    if (this.#closed) throw new Error("Cannot append to the audit journal: it is closed");
    const live = this.#live ?? this.#begin();
    const bytes = this.#encode(lines);
    try {
      live.append(bytes);
    } catch (error) {
      // The next line begins a segment of its own, as the disk may give room again when this one is moved.
      if (live.size > 0 || !live.sound) this.#live = null;
      throw error;
    }
    this.#appended += bytes.length;
    if (live.size >= segmentBytes) this.#live = null;
  }

  /** Throws where lines could not be written now. */
  probe(): void {
    const path = Deno.makeTempFileSync({ dir: this.#folder.path });
    try {
      Deno.writeFileSync(path, this.#buffer);
    } finally {
      Deno.removeSync(path);
    }
  }

  /** The next whole lines, at most `limits.lines` and about `limits.bytes`; null when all is moved. */
  read(limits: ReadLimits): Chunk | null {
    for (;;) {
      const head = this.#segments[0];
      if (!head) return null;
      const chunk = head.read(limits);
      if (chunk) return chunk;
      if (head === this.#live) return null;
      // Only an adopted segment has a rest here: a last line that its process could not finish.
      this.#moved += head.unread;
      this.#drop(head);
    }
  }

  /** Forgets `bytes` that `read` gave, as they are in the database now. */
  advance(bytes: number): void {
    const head = this.#segments[0];
    if (!head) return;
    head.advance(bytes);
    this.#moved += bytes;
    if (head.unread > 0) return;
    if (head === this.#live) head.rewind();
    else this.#drop(head);
  }

  /** Closes all files; a folder whose lines are all moved is removed, another is left for the next start. */
  close(): void {
    this.#closed = true;
    for (const segment of this.#segments) segment.close();
    const done = this.#moved === this.#appended;
    if (done) { for (const segment of this.#segments) segment.remove(); }
    for (const folder of [...this.#adopted, this.#folder]) release(folder, done);
    this.#segments.length = 0;
    this.#adopted.clear();
    this.#live = null;
  }

  #begin(): Segment {
    const name = String(this.#count + 1).padStart(8, "0");
    const segment = Segment.create(`${this.#folder.path}/${name}.jsonl`);
    this.#count++;
    this.#segments.push(segment);
    return this.#live = segment;
  }

  #drop(segment: Segment): void {
    segment.close();
    segment.remove();
    this.#segments.splice(this.#segments.indexOf(segment), 1);
    for (const folder of this.#adopted) {
      if (folder.segments.at(-1)?.path !== segment.path) continue;
      this.#adopted.delete(folder);
      release(folder, true);
    }
  }

  #encode(lines: string): Uint8Array {
    const { read, written } = this.#encoder.encodeInto(lines, this.#buffer);
    return read === lines.length ? this.#buffer.subarray(0, written) : this.#encoder.encode(lines);
  }
}
