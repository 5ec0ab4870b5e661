import type { Child } from "hono/jsx";
import type { PageInfo } from "../types.ts";
import { classes, count } from "../format.ts";
import { withQuery } from "../paths.ts";

export interface Column {
  title: string;
  /** Right-aligned in tabular figures. */
  numeric?: boolean;
  /** Said to screen readers only. */
  silent?: boolean;
}

// The roles are written out because a phone shows the rows as cards, and `display` takes the table away from some
// screen readers.
/** A table whose rows become cards on a phone; `children` are `Row`s. */
export function Table(
  { label, columns, children, foot }: {
    label: string;
    columns: readonly Column[];
    children?: Child;
    foot?: Child;
  },
) {
  return (
    <div class="panel">
      <table role="table" aria-label={label}>
        <thead role="rowgroup">
          <tr role="row">
            {columns.map((column) => (
              <th role="columnheader" scope="col" class={column.numeric ? "num" : undefined}>
                {column.silent ? <span class="hidden">{column.title}</span> : column.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">{children}</tbody>
      </table>
      {foot}
    </div>
  );
}

/** A row; with `link`, the first `RowLink` in it covers the row. */
export function Row({ link, quiet, children }: { link?: boolean; quiet?: boolean; children?: Child }) {
  return <tr role="row" class={classes(link && "linked", quiet && "quiet") || undefined}>{children}</tr>;
}

export interface CellProps {
  /** `main` and `state` make the first line of the card on a phone, a `note` takes a line, `wide` is left out. */
  as?: "main" | "state" | "when" | "by" | "figure" | "note" | "wide" | "actions";
  numeric?: boolean;
  /** What the value is called where the head of the table is not shown. */
  label?: string;
  children?: Child;
}

/** A cell of a row. */
export function Cell({ as = "figure", numeric, label, children }: CellProps) {
  return <td role="cell" class={classes(`cell-${as}`, numeric && "num")} data-label={label}>{children}</td>;
}

/** The name of a row's thing, leading to it; the whole row takes the click. */
export function RowLink({ href, children }: { href: string; children?: Child }) {
  return <a class="row-link" href={href}>{children}</a>;
}

/** The address of a list with what it is narrowed by; the page comes behind it. */
interface ListAddress {
  path: string;
  query?: Readonly<Record<string, string>>;
}

function shownOf({ from, to, total }: PageInfo): string {
  return total === 0 ? "None" : `${count(from)}–${count(to)} of ${count(total)}`;
}

/** Count and paging under a list; `target` is the id that htmx swaps. */
export function Paging({ info, path, query, target }: ListAddress & { info: PageInfo; target?: string }) {
  const href = (page: number) => withQuery(path, { ...query, page: page > 1 ? page : "" });
  const swap = (url: string) =>
    target
      ? { "hx-get": url, "hx-target": `#${target}`, "hx-swap": "outerHTML show:top", "hx-push-url": "true" }
      : {};
  const link = (page: number, words: string, there: boolean) =>
    there
      ? <a href={href(page)} rel={page < info.page ? "prev" : "next"} {...swap(href(page))}>{words}</a>
      : <span aria-disabled="true">{words}</span>;
  return (
    <nav class="paging" aria-label="Pages">
      <span class="paging-count">
        {shownOf(info)}
      </span>
      {(info.page > 1 || info.hasMore) && (
        <span class="row">
          {link(info.page - 1, "‹ Previous", info.page > 1)}
          {link(info.page + 1, "Next ›", info.hasMore)}
        </span>
      )}
    </nav>
  );
}

/** A list that htmx swaps as a whole by its `id`: a table with paging, or `empty` in its place. */
export function Results({ id, label, columns, info, empty, children, ...address }: ListAddress & {
  id: string;
  label: string;
  columns: readonly Column[];
  info: PageInfo;
  /** False where there are rows. */
  empty: Child;
  children?: Child;
}) {
  const foot = <Paging info={info} {...address} target={id} />;
  return (
    <div id={id} class="results" tabindex={-1} data-say={empty ? "Nothing matches" : shownOf(info)}>
      {empty || <Table label={label} columns={columns} foot={foot}>{children}</Table>}
    </div>
  );
}
