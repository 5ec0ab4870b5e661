import { clientConfigs, type ClientTarget } from "../client_config.ts";
import { CodeBlock } from "./code.tsx";

/** Ready-to-paste configuration for every client that we know, one open at a time. */
export function ClientConfigs(
  { targets, apiKey }: { targets: readonly ClientTarget[]; apiKey?: string | undefined },
) {
  return (
    <div class="panel folds">
      {clientConfigs(targets, apiKey).map((config, index) => (
        <details name="clients" open={index === 0}>
          <summary>{config.title}</summary>
          <div class="stack">
            <CodeBlock
              id={`client-${config.id}`}
              text={config.text}
              label={config.file === null ? "In a terminal" : config.file}
            />
            <p class="small muted">{config.note}</p>
          </div>
        </details>
      ))}
    </div>
  );
}
