import type { Child } from "hono/jsx";

/** A button that opens a panel, without scripts; Escape and a click elsewhere close it when scripts run. */
export function Menu(
  { label, summary, up, children, class: more = "" }: {
    /** What the button is called for those who do not see it. */
    label: string;
    summary: Child;
    /** The panel opens upwards. */
    up?: boolean;
    class?: string;
    children?: Child;
  },
) {
  return (
    <details class={`menu ${more}`.trim()} data-menu="">
      <summary aria-label={label}>{summary}</summary>
      <div class={up ? "menu-panel up" : "menu-panel"}>{children}</div>
    </details>
  );
}
