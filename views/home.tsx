import type { Shell, Stats } from "./types.ts";
import { ButtonLink } from "./components/button.tsx";
import { Card, PageHead } from "./components/card.tsx";
import type { Tone } from "./components/badge.tsx";
import { Icon } from "./components/icons.tsx";
import { LogFigures } from "./components/log_figures.tsx";
import { Layout } from "./layout.tsx";
import { count, sentence } from "./format.ts";
import { paths, withQuery } from "./paths.ts";

/** Something that a person should look at: a sentence and where to go. */
export interface AttentionItem {
  tone: Tone;
  /** Names the thing and what is wrong: `Gmail did not accept the token (401)`. */
  text: string;
  href: string;
  /** The words of the link: `Paste a new token`. */
  action: string;
}

export interface HomePageProps {
  shell: Shell;
  /** What is done of the way to the first call. */
  steps: { connection: boolean; key: boolean; client: boolean };
  /** Figures of the last 24 hours. */
  stats: Stats;
  attention: readonly AttentionItem[];
  /** Connections that do not answer beside those among `attention`. */
  furtherUnreachable?: number;
}

interface Step {
  done: boolean;
  text: string;
  hint: string;
  href: string;
  action: string;
}

function stepsOf({ steps, shell }: HomePageProps): Step[] {
  return [
    {
      done: steps.connection,
      text: "Add a connection",
      hint: shell.canManage
        ? "Paste the URL of an MCP server, or the mcp.json that you already have."
        : "An owner or administrator of the organization adds it.",
      href: shell.canManage ? paths.newConnection : paths.connections,
      action: shell.canManage ? "New connection" : "Show connections",
    },
    {
      done: steps.key,
      text: "Make an API key",
      hint: "It says what a client may call, and you can take it back at any time.",
      href: paths.newApiKey,
      action: "New API key",
    },
    {
      done: steps.client,
      text: "Connect a client",
      hint: "Claude, Cursor, VS Code, Windsurf, Codex or curl: the configuration is ready to paste.",
      href: paths.connections,
      action: "Choose a connection",
    },
  ];
}

function StepRow({ step, number, next }: { step: Step; number: number; next: boolean }) {
  return (
    <li class={step.done ? "done" : undefined}>
      <span class="step">{step.done ? <Icon name="check" /> : number}</span>
      <div class="thing-text">
        <b>{step.text}</b>
        {step.done ? <span class="hidden">done</span> : <span class="small second">{step.hint}</span>}
      </div>
      {!step.done && <ButtonLink kind={next ? "main" : "plain"} href={step.href}>{step.action}</ButtonLink>}
    </li>
  );
}

/** The start page: what to do next, the figures of the day, and what needs attention. */
export function HomePage(props: HomePageProps) {
  const { shell, stats, attention } = props;
  const steps = stepsOf(props);
  const next = steps.findIndex((step) => !step.done);
  return (
    <Layout title="Home" shell={shell} place="home">
      <PageHead
        title={shell.organization?.name ?? "Home"}
        lead={next >= 0 ? "Three steps to the first call through Mesh." : "The last 24 hours at a glance."}
      />
      {next >= 0 && (
        <Card title="What to do next">
          <ol class="checklist">
            {steps.map((step, index) => (
              <StepRow key={index} step={step} number={index + 1} next={index === next} />
            ))}
          </ol>
        </Card>
      )}
      <div class="home-part">
        <LogFigures stats={stats} label="Last 24 hours" />
      </div>
      <Attention items={attention} further={props.furtherUnreachable ?? 0} />
    </Layout>
  );
}

function Attention({ items, further }: { items: readonly AttentionItem[]; further: number }) {
  return (
    <Card title="Needs attention">
      {items.length === 0
        ? <p class="second">Nothing. Every connection that was called answered.</p>
        : (
          <ul class="checklist">
            {items.map((item) => (
              <li>
                <span class={`step ${item.tone}`}>
                  <Icon name="warning" />
                </span>
                <span class="thing-text">{sentence(item.text)}</span>
                <a href={item.href}>{item.action}</a>
              </li>
            ))}
            {further > 0 && (
              <li>
                <span class="step bad">
                  <Icon name="warning" />
                </span>
                <span class="thing-text">
                  {further === 1
                    ? "1 further connection does not answer."
                    : `${count(further)} further connections do not answer.`}
                </span>
                <a href={withQuery(paths.connections, { status: "error" })}>Show all</a>
              </li>
            )}
          </ul>
        )}
    </Card>
  );
}
