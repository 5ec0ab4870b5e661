import { html } from "hono/html";
import type { Child } from "hono/jsx";
import type { PublicShell, Shell, Theme } from "./types.ts";
import { asset } from "./assets.ts";
import { Icon } from "./components/icons.tsx";
import { Toast } from "./components/toast.tsx";
import { type Place, SideNavigation } from "./components/navigation.tsx";
import { paths } from "./paths.ts";

// The policy of the pages has neither eval nor inline style: htmx must not add its own style element, and history
// reloads because a page restored from a fragment would miss its frame.
const htmxConfig = JSON.stringify({
  includeIndicatorCSS: false,
  defaultSettleDelay: 0,
  history: "reload",
  transitions: false,
});

/** The document around every page: head, styles, scripts; `title` comes before the product's name. */
function Document({ title, theme, children }: { title: string; theme: Theme; children?: Child }) {
  return html`<!DOCTYPE html>
${(
    <html lang="en" data-theme={theme}>
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content={theme === "system" ? "light dark" : theme} />
        <meta name="htmx-config" content={htmxConfig} />
        <title>{`${title} · Mesh`}</title>
        <link rel="icon" href={asset("icon.svg")} type="image/svg+xml" />
        <link rel="stylesheet" href={asset("app.css")} />
        <script src={asset("vendor/htmx-4.0.1.min.js")} defer></script>
        <script src={asset("app.js")} defer></script>
      </head>
      <body>{children}</body>
    </html>
  )}`;
}

/** Shown where htmx gets no answer at all. */
const unreached = "Mesh did not answer. Check that you are online and that it runs, then try once more.";

export interface LayoutProps {
  title: string;
  shell: Shell;
  /** The entry of the navigation that is marked as the current one. */
  place: Place;
  children?: Child;
}

/** The frame of a signed-in page: side column or, on a phone, a bar with a menu; then the page itself. */
export function Layout({ title, shell, place, children }: LayoutProps) {
  return (
    <Document title={title} theme={shell.theme}>
      <a class="skip" href="#main">Skip to the page</a>
      <header class="bar">
        <a class="brand" href={paths.home}>
          <Icon name="logo" />
          Mesh
        </a>
        <details class="bar-menu" data-menu="">
          <summary aria-label="Menu">
            <Icon name="menu" />
          </summary>
          <div class="bar-panel">
            <SideNavigation shell={shell} place={place} />
          </div>
        </details>
      </header>
      <div class="frame">
        <aside class="side">
          <a class="brand" href={paths.home}>
            <Icon name="logo" />
            Mesh
          </a>
          <SideNavigation shell={shell} place={place} />
        </aside>
        <main id="main" tabindex={-1}>
          <div class="content">{children}</div>
        </main>
      </div>
      {shell.flash && <Toast flash={shell.flash} path={shell.path} />}
      <p id="said" class="hidden" role="status" data-unreached={unreached}></p>
    </Document>
  );
}

export interface AuthLayoutProps {
  title: string;
  shell: PublicShell;
  /** A sentence below the card. */
  foot?: Child;
  children?: Child;
}

/** The frame of a page outside a session: one card in the middle. */
export function AuthLayout({ title, shell, foot, children }: AuthLayoutProps) {
  return (
    <Document title={title} theme={shell.theme}>
      <main id="main" class="auth">
        <p class="brand">
          <Icon name="logo" />
          Mesh
        </p>
        <div class="card auth-card">{children}</div>
        {foot && <p class="auth-foot">{foot}</p>}
      </main>
      {shell.flash && <Toast flash={shell.flash} path="" />}
    </Document>
  );
}
