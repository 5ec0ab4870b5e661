import type { Child } from "hono/jsx";
import { classes } from "../format.ts";
import { Icon, type IconName } from "./icons.tsx";

export type ButtonKind = "main" | "plain" | "danger" | "quiet";

interface Look {
  kind?: ButtonKind;
  icon?: IconName;
  children?: Child;
  class?: string;
}

/** A button; it submits its form unless `type` says otherwise. Further attributes go to the element. */
export function Button(
  { kind = "plain", icon, children, class: more, ...rest }: Look & Record<string, unknown>,
) {
  return (
    <button type="submit" class={classes("button", kind, more)} {...rest}>
      {icon && <Icon name={icon} />}
      <span class="button-text">{children}</span>
    </button>
  );
}

/** A link that looks like a button: for going somewhere, not for changing something. */
export function ButtonLink(
  { kind = "plain", icon, children, class: more, href }: Look & { href: string },
) {
  return (
    <a class={classes("button", kind, more)} href={href}>
      {icon && <Icon name={icon} />}
      <span class="button-text">{children}</span>
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
