/** Waits until a condition holds; fails after a minute, as a busy machine takes its time. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what = String(condition),
): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!await condition()) {
    if (performance.now() > deadline) throw new Error(`It never came true: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
