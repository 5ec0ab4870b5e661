import type { Child } from "hono/jsx";
import { plural } from "../format.ts";
import { type Choice, Options } from "./form.tsx";

/**
 * Search and filters of a list: a plain GET form whose fields live in the URL. With htmx it asks while one types and
 * swaps the element with the id `target`; without scripts a button sends it.
 */
export function Filters(
  { action, target, label, children }: { action: string; target: string; label: string; children?: Child },
) {
  return (
    <form
      class="filters"
      method="get"
      action={action}
      role="search"
      aria-label={label}
      hx-get={action}
      hx-trigger="input delay:250ms, submit"
      hx-target={`#${target}`}
      hx-swap="outerHTML"
      hx-replace-url="true"
      hx-sync="this:replace"
    >
      {children}
      <button type="submit" class="button plain no-script">Apply</button>
    </form>
  );
}

/** The search box of a list. */
export function SearchBox(
  { label, value, name = "q", id = "list-search" }: {
    label: string;
    value: string;
    name?: string;
    id?: string;
  },
) {
  return (
    <div class="search">
      <label class="hidden" for={id}>{label}</label>
      <input
        class="control"
        type="search"
        id={id}
        name={name}
        value={value}
        placeholder={label}
        autocomplete="off"
      />
      <span class="spinner" role="presentation"></span>
    </div>
  );
}

/** A filter as a pill: its name and the choice that is made. */
export function PillSelect(
  { label, name, value, choices, end }: {
    label: string;
    name: string;
    value: string;
    choices: readonly Choice[];
    /** At the far end of the row. */
    end?: boolean;
  },
) {
  const id = `pill-${name}`;
  return (
    <span class={end ? "pill end" : "pill"}>
      <label for={id}>{`${label}:`}</label>
      <select id={id} name={name}>
        <Options choices={choices} value={value} />
      </select>
    </span>
  );
}

/** A day as a pill, given and taken as `2026-08-22`. */
export function PillInput({ label, name, value }: { label: string; name: string; value: string }) {
  const id = `pill-${name}`;
  return (
    <span class="pill">
      <label for={id}>{`${label}:`}</label>
      <input id={id} name={name} type="date" value={value} />
    </span>
  );
}

/** Narrows the list with the id `list` by what its entries are called, as one types; nothing without scripts. */
export function NameSearch(
  { id, list, count, noun }: { id: string; list: string; count: number; noun: string },
) {
  return (
    <div class="js-only">
      <label class="hidden" for={id}>Search {noun}s</label>
      <input
        class="control"
        type="search"
        id={id}
        placeholder={`Search ${plural(count, noun)}`}
        data-filter={list}
        autocomplete="off"
      />
    </div>
  );
}
