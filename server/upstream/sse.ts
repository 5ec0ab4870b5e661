/** An event of an event stream, or a piece of one that is longer than may be held. */
export interface SseEvent {
  /** The text as it came; of a whole event and of the last piece with the blank line that ends it. */
  readonly text: string;
  readonly part: "whole" | "piece" | "last";
}

const boundary = /(?:\r\n|\n|\r(?!\n|$)){2}/g; // a CR at the very end may be half of a CRLF
const boundaryAtEnd = /(?:\r\n|\n|\r(?!\n)){2}$/;
const boundaryLength = 4;

/**
 * Cuts an event stream into whole events as its text arrives. HTML Living Standard section 9.2.5
 * An event longer than `maxLength` characters is handed on in pieces.
 */
export class SseSplitter {
  readonly #maxLength: number;
  /** The text of the event under way, and the end of it in which a boundary may have begun. */
  #parts: string[] = [];
  #length = 0;
  #tail = "";
  #inPieces = false;

  constructor(maxLength: number) {
    this.#maxLength = maxLength;
  }

  /** True while nothing is waiting for the end of its event. */
  get empty(): boolean {
    return this.#length === 0 && !this.#inPieces;
  }

  /** Characters of the event under way. */
  get held(): number {
    return this.#length;
  }

  /** True while an event too long to be held passes in pieces. */
  get inPieces(): boolean {
    return this.#inPieces;
  }

  push(text: string): SseEvent[] {
    const events: SseEvent[] = [];
    // Only the new text is searched: an event that grows is not read again with each chunk.
    const behind = this.#tail.length;
    const searched = this.#tail + text;
    let start = 0;
    boundary.lastIndex = 0;
    while (boundary.exec(searched) !== null) {
      const end = boundary.lastIndex - behind;
      this.#hold(text.slice(start, end));
      events.push(this.#take());
      start = end;
    }
    this.#hold(text.slice(start));
    if (this.#length > this.#maxLength) events.push(this.#piece());
    return events;
  }

  /** The last event where only the end of the stream tells that it is whole; anything less is dropped by rule. */
  end(): SseEvent | null {
    return boundaryAtEnd.test(this.#tail) ? this.#take() : null;
  }

  #hold(text: string): void {
    if (text === "") return;
    this.#parts.push(text);
    this.#length += text.length;
    this.#tail = (this.#tail + text.slice(-boundaryLength)).slice(1 - boundaryLength);
  }

  #take(): SseEvent {
    const event: SseEvent = { text: this.#join(), part: this.#inPieces ? "last" : "whole" };
    this.#inPieces = false;
    return event;
  }

  #piece(): SseEvent {
    const whole = this.#join();
    this.#inPieces = true;
    let end = whole.length - boundaryLength; // a boundary may be under way
    if (/[\ud800-\udbff]/.test(whole[end - 1] ?? "")) end--; // half a character has no bytes
    this.#hold(whole.slice(end));
    return { text: whole.slice(0, end), part: "piece" };
  }

  #join(): string {
    const text = this.#parts.length === 1 ? this.#parts[0] ?? "" : this.#parts.join("");
    this.#parts = [];
    this.#length = 0;
    this.#tail = "";
    return text;
  }
}

const lineEnd = /\r\n|\n|\r/;
const dataField = "data:";

/** The data of an event, its lines joined. */
export function dataOf(event: string): string {
  let data: string | null = null;
  for (const line of event.split(lineEnd)) {
    if (!isData(line)) continue;
    const value = line.slice(line[5] === " " ? 6 : 5);
    data = data === null ? value : `${data}\n${value}`;
  }
  return data ?? "";
}

/** Finds the data of an event that comes in pieces. */
export class PiecedData {
  /** What the line began with, as far as it is not data. */
  #field = "";

  /** The data in a piece; before each line stands a line end, and where there is one its first blank: in JSON they say nothing. */
  push(piece: string): string {
    let data = "";
    for (const [index, part] of piece.split(lineEnd).entries()) {
      if (index > 0) this.#field = "";
      const missing = dataField.length - this.#field.length;
      this.#field += part.slice(0, missing);
      if (this.#field === dataField) data += missing > 0 ? `\n${part.slice(missing)}` : part;
    }
    return data;
  }
}

/** The event with other data, its id, name and retry kept. */
export function withData(event: string, data: string): string {
  const kept = event.split(lineEnd).filter((line) => line !== "" && !isData(line));
  return [...kept, `data: ${data}`, "", ""].join("\n");
}

function isData(line: string): boolean {
  return line.startsWith(dataField) || line === "data";
}

/** True where an event has an id, so that a client can come back for what follows it (L06). */
export function hasId(event: string): boolean {
  return /(?:^|[\r\n])id(?::|[\r\n])/.test(event);
}
