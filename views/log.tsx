import type { Log, Shell } from "./types.ts";
import { OutcomeBadge } from "./components/badge.tsx";
import { ButtonLink } from "./components/button.tsx";
import { Card, Fact, Facts, Notice, PageHead } from "./components/card.tsx";
import { Json } from "./components/code.tsx";
import { calledOf, placeOf } from "./components/log_rows.tsx";
import { ExactTime } from "./components/time.tsx";
import { bytes, duration } from "./format.ts";
import { Layout } from "./layout.tsx";
import { paths } from "./paths.ts";

export interface LogPageProps {
  shell: Shell;
  log: Log;
  /** The connection still exists. */
  hasConnection: boolean;
  /** It has the tool, and the reader may call it. */
  canTryAgain: boolean;
}

/** A name with the id behind it, or the one that is known; the name leads to `href`. */
function Named({ name, id, href }: {
  name: string | null | undefined;
  id: string | null | undefined;
  href?: string | undefined;
}) {
  return (
    <>
      {name && (href ? <a href={href}>{name}</a> : name)}
      {name && " "}
      {id && <code class={name ? "muted" : undefined}>{id}</code>}
    </>
  );
}

function sizeOf(value: number | null | undefined): string {
  return value ? bytes(value) : ""; // 0 where it was not measured
}

function CallFacts({ log, hasConnection }: { log: Log; hasConnection: boolean }) {
  const href = hasConnection ? paths.connection(log.connectionId) : undefined;
  return (
    <Facts>
      <Fact name="Time">
        <ExactTime at={log.timestamp} />
      </Fact>
      <Fact name="Outcome">
        <OutcomeBadge outcome={log.outcome} />
      </Fact>
      <Fact name="Duration">{duration(log.durationMs)}</Fact>
      <Fact name="Method">{log.method && <code>{log.method}</code>}</Fact>
      <Fact name="Tool">{log.toolName && <code>{log.toolName}</code>}</Fact>
      <Fact name="Connection">
        {log.connectionId === "self"
          ? "Mesh itself"
          : <Named name={log.connectionTitle ?? (href && "Show it")} id={log.connectionId} href={href} />}
      </Fact>
      <Fact name="Gateway">{log.gatewayId && <code>{log.gatewayId}</code>}</Fact>
      <Fact name="Server's status">{log.upstreamStatus}</Fact>
      <Fact name="Request">{sizeOf(log.requestBytes)}</Fact>
      <Fact name="Answer">{sizeOf(log.responseBytes)}</Fact>
    </Facts>
  );
}

function CallerFacts({ log }: { log: Log }) {
  return (
    <Facts>
      <Fact name="Person">{log.userId && <Named name={log.userName} id={log.userId} />}</Fact>
      <Fact name="API key">{log.keyId && <Named name={log.keyName} id={log.keyId} />}</Fact>
      <Fact name="Client">
        {(log.clientName || log.clientId) && <Named name={log.clientName} id={log.clientId} />}
      </Fact>
      <Fact name="User agent">{log.userAgent}</Fact>
      <Fact name="Organization">{log.organizationId && <code>{log.organizationId}</code>}</Fact>
      <Fact name="Request id">{log.requestId && <code>{log.requestId}</code>}</Fact>
      <Fact name="Trace id">{log.traceId && <code>{log.traceId}</code>}</Fact>
      <Fact name="Log id">
        <code>{log.id}</code>
      </Fact>
    </Facts>
  );
}

/** One recorded call with everything that is known about it. */
export function LogPage({ shell, log, hasConnection, canTryAgain }: LogPageProps) {
  const properties = log.properties && Object.keys(log.properties).length > 0 ? log.properties : null;
  return (
    <Layout title={`${calledOf(log)} · Activity`} shell={shell} place="activity">
      <PageHead
        title={calledOf(log)}
        lead={`on ${placeOf(log)}`}
        actions={
          <>
            <ButtonLink href={paths.activity} back>Back to the activity</ButtonLink>
            {canTryAgain && log.toolName && (
              <ButtonLink kind="main" href={paths.connectionTool(log.connectionId, log.toolName)}>
                Open in the tool tester
              </ButtonLink>
            )}
          </>
        }
      />
      <div class="stack">
        {log.errorMessage && (
          <Notice tone={log.outcome === "failed" ? "warn" : "bad"}>{log.errorMessage}</Notice>
        )}
        <div class="columns">
          <Card title="Call">
            <CallFacts log={log} hasConnection={hasConnection} />
          </Card>
          <Card title="Caller">
            <CallerFacts log={log} />
          </Card>
        </div>
        <Payload id="log-input" title="Input" value={log.input} />
        <Payload id="log-output" title="Output" value={log.output} />
        {properties && <Payload id="log-properties" title="Properties" value={properties} />}
        <p class="small muted">Secrets are taken out before a call is recorded, and long values are cut.</p>
      </div>
    </Layout>
  );
}

function Payload({ id, title, value }: { id: string; title: string; value: unknown }) {
  return (
    <section aria-label={title}>
      <h2 class="payload-head">{title}</h2>
      {value === null || value === undefined
        ? <p class="muted">Nothing was recorded.</p>
        : <Json id={id} value={value} />}
    </section>
  );
}
