/** A complete event of an event stream: its text with the blank line that ends it, and its joined data. */
export interface SseEvent {
  text: string;
  data: string;
  /** A piece of an event that is longer than may be held. */
  partial?: boolean;
  /** The last piece of such an event; `data` is the head and the tail of it. */
  oversize?: boolean;
}

const boundary = /(?:\r\n|\n|\r(?!\n|$)){2}/g; // a CR at the very end may be half of a CRLF

/**
 * Cuts an event stream into whole events as its text arrives. HTML Living Standard section 9.2.5
 * An event longer than `maxLength` characters is handed on in pieces, with only its head kept as data.
 */
export class SseSplitter {
  readonly #maxLength: number;
  #rest = "";
  #searched = 0;
  #oversizeHead: string | null = null;

  constructor(maxLength: number) {
    this.#maxLength = maxLength;
  }

  /** True while nothing is waiting for the end of its event. */
  get empty(): boolean {
    return this.#rest === "" && this.#oversizeHead === null;
  }

  /** True while an event too long to be held passes in pieces. */
  get inPieces(): boolean {
    return this.#oversizeHead !== null;
  }

  push(text: string): SseEvent[] {
    const events: SseEvent[] = [];
    this.#rest += text;
    boundary.lastIndex = Math.max(0, this.#searched - 4);
    let start = 0;
    for (let match = boundary.exec(this.#rest); match; match = boundary.exec(this.#rest)) {
      const end = match.index + match[0].length;
      events.push(this.#whole(this.#rest.slice(start, end)));
      start = end;
    }
    if (start > 0) this.#rest = this.#rest.slice(start);
    this.#searched = this.#rest.length;
    if (this.#rest.length > this.#maxLength) events.push(this.#piece());
    return events;
  }

  /** What is left when the stream ends without a blank line; clients ignore it, so it only passes. */
  end(): string {
    return this.#rest;
  }

  #whole(text: string): SseEvent {
    const head = this.#oversizeHead;
    this.#oversizeHead = null;
    return head === null
      ? { text, data: dataOf(text) }
      : { text, data: head + text.slice(-1024), oversize: true };
  }

  #piece(): SseEvent {
    const text = this.#rest.slice(0, -4); // a boundary may be under way
    this.#oversizeHead ??= text.slice(0, 16_384);
    this.#rest = this.#rest.slice(-4);
    this.#searched = 0;
    return { text, data: "", partial: true };
  }
}

function dataOf(event: string): string {
  let data = "";
  for (const line of event.split(/\r\n|\n|\r/)) {
    if (!line.startsWith("data:")) continue;
    data += (data === "" ? "" : "\n") + line.slice(line[5] === " " ? 6 : 5);
  }
  return data;
}

/** The event with other data, its id, name and retry kept. */
export function withData(event: SseEvent, data: string): string {
  const kept = event.text.split(/\r\n|\n|\r/).filter((line) => line !== "" && !line.startsWith("data:"));
  return [...kept, `data: ${data}`, "", ""].join("\n");
}
