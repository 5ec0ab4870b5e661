/** Shorter texts are too common to be hidden wherever they occur. */
const shortest = 8;

/** The text with each of these secrets, unless it is very short, replaced. Longer ones come first in the list. */
export function conceal(text: string, secrets: readonly string[]): string {
  let left = text;
  for (const secret of secrets) {
    if (secret.length >= shortest && left.includes(secret)) left = left.replaceAll(secret, "***");
  }
  return left;
}

/** True where one of them stands in a text. */
export function holds(text: string, secrets: readonly string[]): boolean {
  return secrets.some((secret) => secret.length >= shortest && text.includes(secret));
}

/** True where one of them may stand in a JSON text; those that JSON writes differently are not looked for. */
export function mayHold(json: string, secrets: readonly string[]): boolean {
  return secrets.some((secret) =>
    secret.length >= shortest && (json.includes(secret) || secret.includes('"') || secret.includes("\\"))
  );
}
