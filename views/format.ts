/** Made when it is first needed, as that takes a tenth of what the program takes to start. */
let grouped: Intl.NumberFormat | undefined;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Writes a count with thousands separated: `12,480`. */
export function count(value: number): string {
  grouped ??= new Intl.NumberFormat("en-US");
  return grouped.format(value);
}

/** Writes a count with its noun: `1 tool`, `24 tools`. */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** Writes milliseconds as a reader would say them: `38 ms`, `1.9 s`, `2 min 5 s`; nothing measured is a dash. */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return "–";
  if (ms > 0 && ms < 1) return "<1 ms";
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** Writes a size in decimal units: `640 B`, `1.2 kB`, `3.4 MB`. */
export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value < 1000) return `${value} B`;
  return value < 999_950 ? `${(value / 1000).toFixed(1)} kB` : `${(value / 1_000_000).toFixed(1)} MB`;
}

/** Writes part of a whole in percent with one decimal place: `0.7 %`; of nothing it is a dash. */
export function percent(part: number, whole: number): string {
  return whole === 0 ? "–" : `${(100 * part / whole).toFixed(1)} %`;
}

/** Writes how far a moment is from `now` (ms): `just now`, `5 min ago`, `in 3 days`; beyond 30 days it is the date. */
export function relativeTime(moment: number, now: number): string {
  const distance = Math.abs(now - moment);
  if (distance < MINUTE) {
    return distance < 5000 || moment > now ? "just now" : `${Math.floor(distance / 1000)} s ago`;
  }
  if (distance >= 30 * DAY) return new Date(moment).toISOString().slice(0, 10);
  const said = distance < HOUR
    ? `${Math.floor(distance / MINUTE)} min`
    : distance < DAY
    ? `${Math.floor(distance / HOUR)} h`
    : plural(Math.floor(distance / DAY), "day");
  return moment > now ? `in ${said}` : `${said} ago`;
}

/** Writes a moment exactly, in UTC: `2026-08-22 14:02:11 UTC`. */
export function exactTime(moment: number): string {
  return `${new Date(moment).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** Chooses one of `size` places for a text, always the same one for the same text. */
export function bucket(text: string, size: number): number {
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) >>> 0;
  return hash % size;
}

/** Gives the first letter or digit of a name in upper case, for its tile. */
export function initial(name: string): string {
  return (name.match(/[\p{L}\p{N}]/u)?.[0] ?? "?").toUpperCase();
}

/** Ends a sentence with its full stop, where it has no end yet. */
export function sentence(text: string): string {
  return /[.!?…]$/.test(text) ? text : `${text}.`;
}

/** Joins class names, leaving out what is not set. */
export function classes(...names: (string | false | null | undefined)[]): string {
  return names.filter(Boolean).join(" ");
}

/** Says where a connection leads: its address, or the command that it runs. */
export function addressOf(
  connection: {
    connection_url?: string | null | undefined;
    connection_headers?:
      | { command?: string | undefined; args?: readonly string[] | undefined }
      | null
      | undefined;
  },
): string {
  const { command, args } = connection.connection_headers ?? {};
  if (command !== undefined) return `stdio: ${[command, ...(args ?? [])].join(" ")}`;
  return connection.connection_url ?? "";
}
