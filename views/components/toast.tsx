import type { Flash } from "../types.ts";
import { Icon } from "./icons.tsx";

/** A message shown once. Its cross is a link to the same page, so it closes without scripts too. */
export function Toast({ flash, path }: { flash: Flash; path: string }) {
  const icon = flash.kind === "good" ? "check" : "warning";
  return (
    <div class={`toast ${flash.kind}`} role={flash.kind === "bad" ? "alert" : "status"} data-toast="">
      {flash.kind !== "info" && <Icon name={icon} />}
      <p>{flash.text}</p>
      <a class="toast-close" href={path} aria-label="Close this message">
        <Icon name="cross" />
      </a>
    </div>
  );
}
