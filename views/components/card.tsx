import type { Child } from "hono/jsx";
import type { Tone } from "./badge.tsx";
import { classes } from "../format.ts";
import { Icon } from "./icons.tsx";

/** A panel with an optional title and actions. */
export function Card(
  { title, actions, id, class: more, children }: {
    title?: string;
    actions?: Child;
    id?: string;
    class?: string;
    children?: Child;
  },
) {
  return (
    <section class={classes("card", more)} id={id}>
      {title && (
        <div class="card-head">
          <h2>{title}</h2>
          {actions}
        </div>
      )}
      {children}
    </section>
  );
}

/** A paragraph on a soft ground that says what needs attention. */
export function Notice({ tone, alert, children }: { tone: Tone; alert?: boolean; children?: Child }) {
  return <div class={classes("notice", tone)} role={alert ? "alert" : undefined}>{children}</div>;
}

export interface Figure {
  label: string;
  value: string;
  /** A second value beside the first, smaller. */
  aside?: string | undefined;
  note?: string | undefined;
}

/** A row of key figures. */
export function KeyFigures({ label, figures }: { label: string; figures: readonly Figure[] }) {
  return (
    <section aria-label={label}>
      <dl class="figures">
        {figures.map((figure) => (
          <div class="card figure">
            <dt>{figure.label}</dt>
            <dd class="figure-value">
              <span>{figure.value}</span>
              {figure.aside && <small>{figure.aside}</small>}
            </dd>
            <dd class="figure-note">{figure.note ?? ""}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

/** What a list shows while it has nothing: what it is for and the next thing to do. */
export function EmptyState(
  { title, children, actions }: { title: string; children?: Child; actions?: Child },
) {
  return (
    <div class="empty">
      <h2>{title}</h2>
      <p>{children}</p>
      {actions && <div class="row">{actions}</div>}
    </div>
  );
}

/** The head of a page: its only h1, one sentence, and the actions at the right. */
export function PageHead({ title, lead, actions }: { title: Child; lead?: Child; actions?: Child }) {
  return (
    <header class="page-head">
      <div class="page-title">
        <h1>{title}</h1>
        {lead && <p class="lead">{lead}</p>}
      </div>
      {actions && <div class="row actions">{actions}</div>}
    </header>
  );
}

/** One of the things that somebody agrees to, in a list of the class `grants`. */
export function Grant({ title, note, children }: { title: string; note: Child; children?: Child }) {
  return (
    <li>
      <Icon name="check" />
      <div>
        <b>{title}</b>
        <p class="small second">{note}</p>
        {children}
      </div>
    </li>
  );
}

/** Facts by name, as a definition list; `children` are `Fact`s. */
export function Facts({ children }: { children?: Child }) {
  return <dl class="facts">{children}</dl>;
}

/** One fact; without a value it is left out. */
export function Fact({ name, children }: { name: string; children?: Child }) {
  if (children === null || children === undefined || children === "") return null;
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
