import type { Child } from "hono/jsx";
import type { Connection, Outcome } from "../types.ts";
import { reconnectWords, type Standing } from "../credential_words.ts";
import { bucket, classes, initial } from "../format.ts";

export type Tone = "good" | "warn" | "bad" | "quiet";

/** A short state in words with a coloured dot. */
export function Badge({ tone, children, large, ...rest }: {
  tone: Tone;
  children?: Child;
  large?: boolean;
  id?: string;
  title?: string | undefined;
}) {
  return <span class={classes("badge", tone, large && "large")} {...rest}>{children}</span>;
}

/** The initial of a name on one of eight colours, the same colour for the same name. */
export function Tile({ name, large }: { name: string; large?: boolean }) {
  return (
    <span class={classes("tile", `tile-${bucket(name, 8)}`, large && "large")} aria-hidden="true">
      {initial(name)}
    </span>
  );
}

const SLOW_MS = 1500;

/** What else than its status says how a connection does. */
export interface ConnectionSigns {
  medianMs?: number | null | undefined;
  standing?: Standing | undefined;
  /** False while its server never listed any tools. */
  listed: boolean;
}

/** Says in a few words how a connection does: off, what needs somebody, not reachable, slow or healthy. */
export function connectionState(
  connection: Pick<Connection, "status">,
  { medianMs, standing, listed }: ConnectionSigns,
): { tone: Tone; text: string } {
  if (connection.status === "inactive") return { tone: "quiet", text: "Off" };
  if (standing?.sharedAccess === "not_connected") return { tone: "warn", text: "Not connected yet" };
  if (standing?.sharedAccess === "needs_attention") return { tone: "bad", text: "Needs to reconnect" };
  if (connection.status === "error") return { tone: "bad", text: "Not reachable" };
  if (standing && standing.needReconnect > 0) {
    return { tone: "bad", text: reconnectWords(standing.needReconnect) };
  }
  if (!listed) return { tone: "quiet", text: "Nobody connected yet" };
  if (medianMs !== null && medianMs !== undefined && medianMs >= SLOW_MS) {
    return { tone: "warn", text: "Slow" };
  }
  return { tone: "good", text: "Healthy" };
}

const outcomeTone: Record<Outcome, Tone> = { ok: "good", denied: "bad", failed: "warn" };

/** The outcome of a recorded call, with its reason where there is one: cut to a line, `whole` is told beside it. */
export function OutcomeBadge({ outcome, reason, whole }: {
  outcome: Outcome;
  reason?: string | null | undefined;
  whole?: string | null | undefined;
}) {
  const said = reason ? `${outcome}: ${reason.length > 60 ? `${reason.slice(0, 59)}…` : reason}` : outcome;
  return (
    <Badge tone={outcomeTone[outcome]} title={whole || undefined}>
      <span class="badge-text">{said}</span>
    </Badge>
  );
}
