// TCP connections whose other side may leave at any time.

const signsOfDeparture = [
  Deno.errors.BadResource,
  Deno.errors.BrokenPipe,
  Deno.errors.ConnectionReset,
  Deno.errors.ConnectionAborted,
  Deno.errors.Interrupted,
];

/** Turns the errors of a connection that has ended into null. */
export async function nullWhenGone<T>(operation: Promise<T>): Promise<T | null> {
  try {
    return await operation;
  } catch (error) {
    if (signsOfDeparture.some((kind) => error instanceof kind)) return null;
    throw error;
  }
}

/** Writes all bytes; false when the other side is gone. */
export async function writeAll(connection: Deno.TcpConn, bytes: Uint8Array): Promise<boolean> {
  for (let written = 0; written < bytes.length;) {
    const size = await nullWhenGone(connection.write(bytes.subarray(written)));
    if (size === null) return false;
    written += size;
  }
  return true;
}

/** Closes what may be closed already. */
export function closeQuietly(resource: { close(): void }): void {
  try {
    resource.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}
