import type { Child } from "hono/jsx";
import { indentedBeginning } from "../json_text.ts";
import { CopyButton } from "./button.tsx";

/** Text for a machine to read, with a button that copies it; `id` must be its own in the page. */
export function CodeBlock(
  { id, text, label, wrap }: { id: string; text: string; label?: string; wrap?: boolean },
) {
  return (
    <div class="code">
      <div class="code-head">
        {label && <span class="code-label">{label}</span>}
        <CopyButton target={id} />
      </div>
      <pre id={id} class={wrap ? "wrap" : undefined} tabindex={0}><code>{text}</code></pre>
    </div>
  );
}

// Beyond this a page is no longer a place to read JSON in.
const MAX_CHARACTERS = 200_000;
const MAX_COLOURED = 50_000;

/** A value as indented JSON with its keys in a quieter ink, cut at 200,000 characters. */
export function Json({ value, id }: { value: unknown; id?: string }) {
  const text = indentedBeginning(value, MAX_CHARACTERS);
  const shown = text.length > MAX_CHARACTERS ? `${text.slice(0, MAX_CHARACTERS)}\n… (cut)` : text;
  return (
    <div class="code">
      {id && (
        <div class="code-head">
          <CopyButton target={id} />
        </div>
      )}
      <pre
        id={id}
        class="wrap"
        tabindex={0}
      ><code>{shown.length > MAX_COLOURED ? shown : coloured(shown)}</code></pre>
    </div>
  );
}

function coloured(text: string): Child[] {
  return text.split("\n").map((line) => {
    const key = /^(\s*)("(?:[^"\\]|\\.)*")(: .*)$/.exec(line);
    if (!key) return `${line}\n`;
    return (
      <>
        {key[1]}
        <span class="json-key">{key[2]}</span>
        {`${key[3]}\n`}
      </>
    );
  });
}
