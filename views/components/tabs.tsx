import { count } from "../format.ts";

export interface Tab {
  text: string;
  href: string;
  count?: number | undefined;
  current: boolean;
}

/** Tabs that are links: every tab has its own address. */
export function Tabs({ id, label, tabs }: { id: string; label: string; tabs: readonly Tab[] }) {
  return (
    <nav class="tabs" id={id} aria-label={label}>
      {tabs.map((tab) => (
        <a href={tab.href} aria-current={tab.current ? "page" : undefined}>
          {tab.text}
          {tab.count !== undefined && <span class="tab-count">{count(tab.count)}</span>}
        </a>
      ))}
    </nav>
  );
}
