import { maxListLength, readBeginning, TooLong, type Watch, wholeAnswer } from "./answer.ts";

/** Bytes of long answers that may be in memory whole, of all calls together. */
const maxHeld = 64 * 1024 * 1024;
/** So much of each does not count. */
const uncounted = 256 * 1024;

let held = 0;

/** What one call has in memory of an answer that no client may get unread. */
export class Holding {
  #bytes = 0;

  /** Says how much it is now. Throws TooLong where that is too much, be it only for now. */
  set(bytes: number): void {
    const counted = bytes > uncounted ? bytes : 0;
    const grows = counted - this.#bytes;
    if (grows > 0 && held + grows > maxHeld) {
      throw new TooLong("a list longer than can be filtered while others are; try again later");
    }
    held += grows;
    this.#bytes = counted;
  }
}

const encoder = new TextEncoder();

/**
 * A JSON list, read whole and changed. A long one comes as a stream, so that it is known when the client has taken it;
 * `done` is called then. Throws TooLong, and as `wholeAnswer`.
 */
export async function passList(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  { watch, strict, done }: { watch: Watch; strict: boolean; done: () => void },
): Promise<Uint8Array<ArrayBuffer> | string | ReadableStream<Uint8Array>> {
  const holding = new Holding();
  try {
    const { bytes, whole } = await readBeginning(reader, maxListLength, (size) => holding.set(size));
    if (!whole) throw new TooLong(`more than ${maxListLength} bytes`);
    const answer = await wholeAnswer(bytes, watch, strict);
    holding.set(answer.length);
    if (answer.length <= uncounted) return answer;
    return lastingUntilTaken(typeof answer === "string" ? encoder.encode(answer) : answer, () => {
      holding.set(0);
      done();
    });
  } catch (error) {
    holding.set(0);
    reader.cancel().then(undefined, () => undefined); // where it has failed by itself there is nothing to stop
    throw error;
  }
}

/** The runtime takes what it is given at once and asks for more when the client has taken nearly all: so in slices. */
export const sliceBytes = 64 * 1024;

function lastingUntilTaken(bytes: Uint8Array, taken: () => void): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      controller.enqueue(bytes.subarray(at, at += sliceBytes));
      if (at < bytes.length) return;
      controller.close();
      taken();
    },
    cancel: taken,
  }, { highWaterMark: 0 });
}
