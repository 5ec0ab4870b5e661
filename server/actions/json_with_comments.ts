// Every alternative also takes what is not ended, so that no part of the text is looked at twice.
const stringOrComment = /"[^"\\]*(?:\\[^][^"\\]*)*"?|\/\/[^\n]*|\/\*[^]*?(?:\*\/|$)/g;
const stringOrLastComma = /"[^"\\]*(?:\\[^][^"\\]*)*"?|,(?=\s*[}\]])/g;

/**
 * Reads JSON as editors write it: with comments, and with a comma after the last entry. Throws an Error that says where
 * it is none, and nothing of what stands there.
 */
export function parseWithComments(text: string): unknown {
  const bare = text
    .replace(stringOrComment, (found) => found.startsWith('"') ? found : found.replace(/[^\n]/g, " "))
    .replace(stringOrLastComma, (found) => found === "," ? " " : found);
  try {
    return JSON.parse(bare);
  } catch (error) {
    const place = /\((line \d+) (column \d+)\)/.exec(error instanceof Error ? error.message : "");
    throw new Error(`it is not JSON: ${place ? `look at ${place[1]}, ${place[2]}` : "its end is missing"}`);
  }
}
