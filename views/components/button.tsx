import type { Child } from "hono/jsx";
import { classes } from "../format.ts";
import { Icon, type IconName } from "./icons.tsx";

export type ButtonKind = "main" | "plain" | "danger" | "quiet";

interface Look {
  kind?: ButtonKind;
  icon?: IconName | undefined;
  children?: Child;
  /** What it is about, said to screen readers behind its words: several in a list have the same words. */
  about?: string | undefined;
  class?: string;
}

function Words({ icon, about, children }: Look) {
  return (
    <>
      {icon && <Icon name={icon} />}
      <span class="button-text">
        {children}
        {about && <span class="hidden">{` ${about}`}</span>}
      </span>
    </>
  );
}

/** A button; it submits its form unless `type` says otherwise. Further attributes go to the element. */
export function Button(
  { kind = "plain", icon, about, children, class: more, ...rest }: Look & Record<string, unknown>,
) {
  return (
    <button type="submit" class={classes("button", kind, more)} {...rest}>
      <Words icon={icon} about={about}>{children}</Words>
    </button>
  );
}

/**
 * A link that looks like a button: for going somewhere, not for changing something. With `back` it leads to a list as
 * the reader has narrowed it.
 */
export function ButtonLink(
  { kind = "plain", icon, about, children, class: more, href, back }: Look & { href: string; back?: boolean },
) {
  return (
    <a data-back={back ? "" : undefined} class={classes("button", kind, more)} href={href}>
      <Words icon={icon} about={about}>{children}</Words>
    </a>
  );
}

/** Copies the text of the element with the id `target`; it is there only when the script that does it runs. */
export function CopyButton({ target, label = "Copy" }: { target: string; label?: string }) {
  return (
    <button type="button" class="button plain small copy" data-copy={target} hidden>
      <Icon name="copy" />
      <span class="button-text" aria-live="polite">{label}</span>
    </button>
  );
}
